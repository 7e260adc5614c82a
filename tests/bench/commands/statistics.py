"""`python -m tests.bench stats` and `floors`: intervals, the gate and its floors against simulation.

Example:
    python -m tests.bench stats --runs 200
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from viubench.cli import files
from viubench.errors import Exit

if TYPE_CHECKING:
    from tests.bench.simulation import Experiment, OutcomeRow


Runs = Annotated[int, typer.Option(min=1, help="How often each experiment is drawn.")]
Seed = Annotated[int, typer.Option(min=0, help="Equal seeds give equal tables.")]
Json = Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]


def stats(runs: Runs = 2000, seed: Seed = 0, json: Json = None, quiet: Quiet = False) -> None:
    """Try intervals and the gate on drawn runs of known truth: exit 1 when a bound is broken beyond chance."""
    from tests.bench.simulation import experiments

    _try(experiments(), runs, seed, json, quiet)


def floors(runs: Runs = 2000, seed: Seed = 0, json: Json = None, quiet: Quiet = False) -> None:
    """Try the gate of floors, and what its plans promise, in the same way."""
    from tests.bench.simulation import floors

    _try(floors.experiments(), runs, seed, json, quiet)


def _try(tried: list[Experiment], runs: int, seed: int, json: Path | None, quiet: bool) -> None:
    from tests.bench.simulation import simulate
    from viubench.cli.progress import bar

    with bar("simulating", quiet=quiet) as progress:
        rows = simulate(tried, runs, seed, progress)
    print(_table(rows, runs, seed))
    if json is not None:
        files.write(json, _json(rows, runs, seed), "--json")
    raise typer.Exit(Exit.NEGATIVE if any(row.broken for row in rows) else Exit.OK)


def _table(rows: list[OutcomeRow], runs: int, seed: int) -> str:
    from tabulate import tabulate

    lines = [
        [row.what, row.scenario, f"{100 * row.share:.1f}", f"{100 * row.error:.1f}", _bound(row), _met(row)]
        for row in rows
    ]
    headers = ["outcome", "drawn", "%", "+-", "bound", "met"]
    title = f"Share of {runs:,} drawn runs (seed {seed}), its Monte Carlo standard error, and the bound it has to meet"
    table = tabulate(lines, headers, disable_numparse=True, colalign=("left", "left", "right", "right", "left", "left"))
    broken = sum(row.broken for row in rows)
    bounded = sum(bool(_bound(row)) for row in rows)
    return f"{title}\n{table}\n{bounded - broken} of {bounded} bounds met"


def _bound(row: OutcomeRow) -> str:
    low, high = f"{100 * row.low:g}", f"{100 * row.high:g}"
    if row.low > 0 and row.high < 1:
        return f"{low} to {high}"
    return f"at least {low}" if row.low > 0 else f"at most {high}" if row.high < 1 else ""


def _met(row: OutcomeRow) -> str:
    return "" if not _bound(row) else "NO" if row.broken else "yes"


def _json(rows: list[OutcomeRow], runs: int, seed: int) -> str:
    import json
    from dataclasses import asdict

    from viubench.version import __version__

    found = [asdict(row) | {"error": row.error, "broken": row.broken} for row in rows]
    return json.dumps({"viubench": __version__, "runs": runs, "seed": seed, "rows": found}, indent=1) + "\n"
