"""`viubench bench`: what viubench claims of itself, measured: the statistics against simulation, what things cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from viubench.errors import Exit, ViubenchError

if TYPE_CHECKING:
    from viubench.simulation import Row

app = typer.Typer(no_args_is_help=True, help="Measure what viubench claims of itself.")


@app.command()
def stats(
    runs: Annotated[int, typer.Option(min=1, help="How often each experiment is drawn.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal tables.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Try intervals and the gate on drawn runs of known truth: exit 1 when a bound is broken beyond chance."""
    from viubench.cli.progress import bar
    from viubench.simulation import experiments, simulate

    with bar("simulating", quiet=quiet) as progress:
        rows = simulate(experiments(), runs, seed, progress)
    print(_table(rows, runs, seed))
    if json is not None:
        _write(json, rows, runs, seed)
    raise typer.Exit(Exit.NEGATIVE if any(row.broken for row in rows) else Exit.OK)


@app.command()
def decode(
    videos: Annotated[Path, typer.Option(help="Folder of videos; it is only read.")],
    frames: Annotated[int, typer.Option(min=2, help="Frames of every video.")] = 32,
    hour: Annotated[int, typer.Option(min=0, help="Seconds of the drawn 720p video; 0 leaves it out.")] = 3600,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Time the frame store beside other readers, their frames compared; time and memory of one long video."""
    from viubench.bench import decode, machine
    from viubench.cli.progress import bar

    with bar("reading", quiet=quiet) as progress:
        rows = decode.clips(videos, frames, progress)
    print(f"{frames} frames of each video\n{decode.table(rows)}", flush=True)
    long = []
    if hour:
        with bar("reading", quiet=quiet) as progress:
            long = decode.hour(hour, progress)
        print(f"\nOne drawn video of {hour} s, 1280x720, 30 frames a second\n{decode.hour_table(long)}")
    if json is not None:
        machine.write(json, decode.plain(rows), hour=decode.plain(long), sums=decode.sums(rows))


@app.command()
def build(
    videos: Annotated[Path, typer.Option(help="Folder of videos; it is only read.")],
    recipe: Annotated[str, typer.Option(help="As of `viubench build`.")] = "viubench",
    sample: Annotated[int, typer.Option(min=1, help="Items made the straightforward way; scaled to all.")] = 270,
    memory: Annotated[bool, typer.Option(help="Also build a tenth and ten times the items.")] = True,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Time building pretext items beside making each by itself; memory by the number of items."""
    from dataclasses import asdict

    from viubench.bench import build, machine
    from viubench.cli.progress import bar

    with bar("building", quiet=quiet) as progress:
        rows = build.measure(videos, recipe, sample=sample, scales=build.SCALES if memory else (), progress=progress)
    print(build.table(rows))
    if json is not None:
        machine.write(json, [asdict(row) for row in rows], ratios=build.ratios(rows))


def _table(rows: list[Row], runs: int, seed: int) -> str:
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


def _bound(row: Row) -> str:
    low, high = f"{100 * row.low:g}", f"{100 * row.high:g}"
    if row.low > 0 and row.high < 1:
        return f"{low} to {high}"
    return f"at least {low}" if row.low > 0 else f"at most {high}" if row.high < 1 else ""


def _met(row: Row) -> str:
    return "" if not _bound(row) else "NO" if row.broken else "yes"


def _write(path: Path, rows: list[Row], runs: int, seed: int) -> None:
    import json
    from dataclasses import asdict

    from viubench import __version__, atomic

    found = [asdict(row) | {"error": row.error, "broken": row.broken} for row in rows]
    content = json.dumps({"viubench": __version__, "runs": runs, "seed": seed, "rows": found}, indent=1)
    try:
        atomic.write(path, f"{content}\n".encode(), lasting=True)
    except OSError as error:
        raise ViubenchError(f"cannot write {path}: {error.strerror}", where="--json") from None
