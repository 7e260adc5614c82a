"""What things cost: decode, hour, build, records, scale, page and startup; and the page of all figures.

Example:
    python -m tests.bench decode --videos clips --frames 32
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def decode(
    videos: Annotated[Path, typer.Option(help="Folder of videos; it is only read.")],
    frames: Annotated[int, typer.Option(min=2, help="Frames of every video.")] = 32,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Time the frame cache beside other readers, their frames compared."""
    from tests.bench import decode, machine
    from viubench.cli.progress import bar

    with bar("reading", quiet=quiet) as progress:
        rows = decode.clips(videos, frames, progress)
    printed = f"{frames} frames of each video\n{decode.table(rows)}"
    print(printed)
    machine.write(json, rows, printed, sums=decode.sums(rows))


def hour(
    seconds: Annotated[int, typer.Option(min=10, help="Length of the drawn video.")] = 3600,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Time and memory of frames of one long video, beside decord, torchcodec and ffmpeg, the frames compared."""
    from tests.bench import hour, machine
    from viubench.cli.progress import bar

    with bar("reading", quiet=quiet) as progress:
        rows = hour.measure(seconds, progress=progress)
    print(printed := hour.table(rows, seconds))
    machine.write(json, rows, printed)


def pack(
    videos: Annotated[Path, typer.Option(help="Folder of videos; it is only read.")],
    frames: Annotated[int, typer.Option(min=1, help="Frames of every video.")] = 32,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Room and processor seconds of the frame cache, raw and compressed."""
    from tests.bench import machine, pack
    from viubench.cli.progress import bar

    with bar("reading", quiet=quiet) as progress:
        rows = pack.measure(videos, frames, progress=progress)
    print(printed := f"{frames} frames of each video, of at most 262,144 pixels\n{pack.table(rows)}")
    machine.write(json, rows, printed)


def imports(
    answers: Annotated[
        int, typer.Option(min=1000, help="Answers in the file; a tenth of them is imported first.")
    ] = 200_000,
    questions: Annotated[int, typer.Option(min=10, help="Questions of the task.")] = 2700,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
) -> None:
    """Time and memory of importing a large file of another harness, beside one of a tenth."""
    from tests.bench import imports, machine

    rows = [imports.measure(number, questions) for number in (answers // 10, answers)]
    print(printed := imports.table(rows))
    machine.write(json, rows, printed)


def build(
    videos: Annotated[Path, typer.Option(help="Folder of videos; it is only read.")],
    recipe: Annotated[str, typer.Option(help="As of `viubench build`.")] = "viubench",
    sample: Annotated[int, typer.Option(min=1, help="Items made the straightforward way; scaled to all.")] = 270,
    memory: Annotated[bool, typer.Option(help="Also build a tenth and ten times the items.")] = True,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Time building pretext items beside making each by itself; memory by the number of items."""
    from tests.bench import build, machine
    from viubench.cli.progress import bar

    with bar("building", quiet=quiet) as progress:
        rows = build.measure(videos, recipe, sample=sample, scales=build.SCALES if memory else (), progress=progress)
    printed = build.table(rows)
    print(printed)
    machine.write(json, rows, printed, ratios=build.ratios(rows))


def records(
    n: Annotated[int, typer.Option("--n", min=600, help="Answers, and a tenth of them for comparison.")] = 1_000_000,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Time and memory of grading, results and statistics of many drawn answers."""
    from tabulate import tabulate

    from tests.bench import machine, records
    from viubench.cli.progress import bar

    with bar("measuring", quiet=quiet) as progress:
        rows = records.measure(n, progress)
    lines = [
        [row.what, f"{row.n:,}", f"{row.seconds:.2f}", f"{row.n / row.seconds:,.0f}", f"{row.peak_mb:,.0f}"]
        for row in rows
    ]
    headers = ["what", "answers", "seconds", "answers / s", "peak MB"]
    printed = tabulate(lines, headers, disable_numparse=True, colalign=("left", *["right"] * 4))
    print(printed)
    machine.write(json, rows, printed)


def scale(
    items: Annotated[int, typer.Option(min=12, help="Questions of the drawn data set.")] = 20_000,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Time and memory of planning, a dry run, scoring, resuming and the page of a run of many questions."""
    from tests.bench import machine, scale
    from viubench.cli.progress import bar

    with bar("measuring", quiet=quiet) as progress:
        rows = scale.measure(items, progress)
    print(printed := scale.table(rows))
    machine.write(json, rows, printed)


def page(
    tasks: Annotated[int, typer.Option(min=1, help="Tasks on the page.")] = 18,
    models: Annotated[int, typer.Option(min=1, help="Models on the page.")] = 10,
    items: Annotated[int, typer.Option(min=2, help="Items of each task.")] = 2700,
    out: Annotated[Path | None, typer.Option(help="Keep the page there.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the row there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Size, time and memory of the leaderboard of many made-up runs; exit code 1 above 15 MB."""
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    from reports.pages.leaderboard_page import write
    from tests.bench import machine, page
    from viubench.cli.progress import bar
    from viubench.tasks.registry import Catalogue

    settings, references = page.PageSettings(tasks, models, items), Catalogue().references
    with TemporaryDirectory(prefix="viubench-bench-") as scratch, bar("drawing", quiet=quiet) as progress:
        row = page.measure(
            lambda runs, to: write(runs, to, references), settings, out or Path(scratch) / "leaderboard.html", progress
        )
    printed = page.table(row, settings)
    print(printed)
    machine.write(json, [row], printed, settings=asdict(settings))
    if row.megabytes > page.MOST_MEGABYTES:
        raise typer.Exit(1)


def view(
    samples: Annotated[int, typer.Option(min=100, help="Samples of the run.")] = 100_000,
    json: Annotated[Path | None, typer.Option(help="Write the row there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """First list and memory of the viewer over a drawn run; exit code 1 above 1 s or 500 MB."""
    from tests.bench import machine, view
    from viubench.cli.progress import bar

    with bar("viewing", quiet=quiet) as progress:
        row = view.measure(samples, progress)
    print(printed := view.table(row))
    machine.write(json, [row], printed)
    if row.first_list_s > view.MOST_SECONDS or row.peak_mb > view.MOST_MB:
        raise typer.Exit(1)


def startup(
    runs: Annotated[int, typer.Option(min=1, help="Starts of each command.")] = 7,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
) -> None:
    """Processor seconds of `viubench --help`, of importing what a run needs, and of an empty Python."""
    from tests.bench import machine, startup

    rows = startup.measure(runs)
    printed = startup.table(rows)
    print(printed)
    machine.write(json, rows, printed)


def document(
    folder: Annotated[Path, typer.Argument(help="Where the JSON files of the benchmarks are.")],
    out: Annotated[Path, typer.Option(help="The page, in Markdown.")],
) -> None:
    """Write the page of all figures from the files that `--json` wrote: peers.json, pipeline.json and so on."""
    from tests.bench import document
    from viubench.cli import files

    files.write(out, document.render(document.read(folder)), "--out")
