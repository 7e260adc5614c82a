"""`viubench build`, `clips` and `tiny`: pretext items from videos, drawn sample clips, a tiny checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.cli.run import FrameCache


def register(app: typer.Typer) -> None:
    app.command("build")(build)
    app.command("clips")(clips)
    app.command("tiny")(tiny)


def build(
    recipe: Annotated[str, typer.Option(help="viubench, viubench-mini, videossr-30k, or a YAML file.")],
    videos: Annotated[Path, typer.Option(help="Folder of videos; it is only read.")],
    out: Annotated[Path, typer.Option(help="Where items.jsonl and build.json go.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal items.")] = 0,
    n: Annotated[int | None, typer.Option(min=1, help="Items of each task, instead of the recipe's.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the items do not depend on it.")] = 2,
    materialize: Annotated[bool, typer.Option("--materialize", help="Also write the frames as pictures.")] = False,
    frame_cache: FrameCache = None,
    include_path: Annotated[list[Path], typer.Option(help="More folders with task YAML files.")] = [],  # noqa: B006
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Make pretext items from any videos."""
    from viubench.cli.progress import bar
    from viubench.pretext import build as builder
    from viubench.tasks import Catalogue
    from viubench.video.store import FrameStore, default_root

    catalogue = Catalogue(tuple(include_path))
    chosen = catalogue.recipe(recipe)
    with bar("building items", quiet=quiet) as progress:
        report = builder.build(
            chosen,
            catalogue.tasks_of(chosen),
            videos,
            out,
            seed=seed,
            n=n,
            workers=workers,
            store=FrameStore(frame_cache or default_root()),
            materialize=materialize,
            progress=progress,
        )
    print(report.text())


def clips(
    out: Annotated[Path, typer.Option(help="Folder for the mp4 files.")],
    n: Annotated[int, typer.Option(min=1, help="How many.")] = 8,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal scenes.")] = 0,
) -> None:
    """Draw short sample clips: moving scenes with texture, cuts and camera motion."""
    from viubench.video import draw

    for path in draw.draw(out, n, seed):
        print(path)


def tiny(
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal weights.")] = 0,
) -> None:
    """Write a tiny Qwen3-VL checkpoint with random weights, for trying a pipeline out without a download."""
    from viubench import tiny as model

    model.write(out, seed)
    print(out)
