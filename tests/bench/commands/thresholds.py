"""`python -m tests.bench thresholds`: models of known thresholds, found by the adaptive search and by a grid.

Example:
    python -m tests.bench thresholds --runs 100
"""

from __future__ import annotations

from typing import Annotated

import typer

from tests.bench.commands.statistics import Json, Quiet, Seed
from viubench.cli import files
from viubench.errors import Exit

HELD, SHARE = 0.9, 1 / 3


def thresholds(
    runs: Annotated[int, typer.Option(min=1, help="Models of each shape.")] = 100,
    grids: Annotated[int, typer.Option(min=1, help="Of them asked by a grid too.")] = 10,
    width: Annotated[float, typer.Option(min=0.3, help="Of the interval that is asked for, in levels.")] = 1.5,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Try the search for thresholds on models of several shapes: exit 1 where fewer than 9 in 10 intervals hold."""
    import json as writing

    from tabulate import tabulate

    from tests.bench.simulation.thresholds import experiments, tried
    from viubench.cli.progress import bar

    cases = experiments()
    rows = []
    with bar("simulating", quiet=quiet) as progress:
        for done, case in enumerate(cases):
            progress(done, len(cases))
            rows.append(tried(case, runs, min(grids, runs), width, seed))
    lines = [
        [row.axis, row.shape, f"{row.held} of {runs}", f"{row.error:.2f}", f"{row.questions:.0f}",
         f"{row.grid_crossing:.0f}", f"{row.questions / row.grid_crossing:.2f}",
         f"{row.grid_posterior:.0f}", f"{row.questions / row.grid_posterior:.2f}"]
        for row in rows
    ]  # fmt: skip
    heads = ["axis", "model", "interval holds", "rms error", "questions", "grid", "share", "grid, fitted", "share"]
    print(f"Thresholds to {width:g} levels; a grid asks all levels alike, enough for 9 in 10 models (seed {seed})")
    print(tabulate(lines, heads, disable_numparse=True, colalign=["left", "left", *["right"] * 7]))
    held = sum(row.held >= HELD * runs for row in rows)
    few = sum(row.questions <= SHARE * row.grid_crossing for row in rows)
    print(
        f"{held} of {len(rows)} hold in at least 9 of 10, {few} take at most a third of the questions of a plain grid"
    )
    if json is not None:
        from dataclasses import asdict

        data = {"runs": runs, "width": width, "seed": seed, "rows": [asdict(row) for row in rows]}
        files.write(json, writing.dumps(data, indent=1) + "\n", "--json")
    raise typer.Exit(Exit.OK if held == len(rows) else Exit.NEGATIVE)
