"""What things cost: `viubench bench decode`, `build` and `records`.

Example:
    viubench bench decode --videos clips --frames 32
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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


def records(
    n: Annotated[int, typer.Option("--n", min=600, help="Answers, and a tenth of them for comparison.")] = 1_000_000,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Time and memory of grading, results, resuming and statistics of many drawn answers."""
    from dataclasses import asdict

    from tabulate import tabulate

    from viubench.bench import machine, records
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
        machine.write(json, [asdict(row) for row in rows])
