"""`viubench bench`: what viubench claims of itself, measured: statistics against simulation, what records cost, how
far answers depend on their neighbours."""

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
def records(
    n: Annotated[int, typer.Option("--n", min=600, help="Answers, and a tenth of them for comparison.")] = 1_000_000,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Time and memory of grading, results, resuming and statistics of many drawn answers."""
    from tabulate import tabulate

    from viubench.bench import records
    from viubench.cli.progress import bar

    with bar("measuring", quiet=quiet) as progress:
        rows = records.measure(n, progress)
    lines = [
        [row.what, f"{row.n:,}", f"{row.seconds:.2f}", f"{row.n / row.seconds:,.0f}", f"{row.peak_mb:,.0f}"]
        for row in rows
    ]
    headers = ["what", "answers", "seconds", "answers / s", "peak MB"]
    print(tabulate(lines, headers, disable_numparse=True, colalign=("left", *["right"] * 4)))
    if json is not None:
        records.write(json, rows)


@app.command()
def order(
    model: Annotated[str, typer.Option(help="Checkpoint folder or hub id, opened by vLLM.")],
    tasks: Annotated[str, typer.Option("--tasks", help="Tasks or suites, comma separated, or a build folder.")],
    videos: Annotated[Path | None, typer.Option(help="Folder of videos to make pretext items from.")] = None,
    n: Annotated[int, typer.Option("--n", min=2, help="Requests, the first of the tasks.")] = 32,
    in_flight: Annotated[int, typer.Option(min=2, help="Requests under way at once, where not one.")] = 16,
    max_pixels: Annotated[int | None, typer.Option(min=1024, help="Pixels per frame, at most.")] = None,
    engine_arg: Annotated[list[str], typer.Option(help="K=V, passed to the engine; repeatable.")] = [],  # noqa: B006
    frame_cache: Annotated[Path | None, typer.Option(help="Where decoded frames are kept.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
) -> None:
    """Ask the same requests one by one, at once and in another order: what that changes, with and without
    --deterministic."""
    from tempfile import TemporaryDirectory

    from tabulate import tabulate

    from viubench import planning
    from viubench.bench import order, records
    from viubench.cli.job import pairs
    from viubench.engines.loading import describe_checkpoint
    from viubench.gather import Wishes
    from viubench.tasks import Catalogue
    from viubench.video.store import FrameStore, default_root

    store = FrameStore(frame_cache or default_root())
    wishes = Wishes(tasks, videos, max_pixels=max_pixels)
    with TemporaryDirectory(prefix="viubench-bench-") as scratch:
        multiple = describe_checkpoint(model)["size_multiple"]
        planned = planning.plan(wishes, Catalogue(()), Path(scratch), store, multiple)
        rows = order.measure(model, order.requests(planned, store, n), pairs(engine_arg), in_flight)
    lines = [
        [row.what, "yes" if row.deterministic else "no", row.n, f"{row.seconds:.1f}", f"{100 * row.answers:.1f}",
         f"{row.logprob:.1e}"]
        for row in rows
    ]  # fmt: skip
    headers = ["asked", "deterministic", "answers", "seconds", "% changed", "log-prob, at most"]
    print(tabulate(lines, headers, disable_numparse=True, colalign=("left", "left", *["right"] * 4)))
    if json is not None:
        records.write(json, rows)


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
