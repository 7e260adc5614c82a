"""`viubench export`: hand tasks over to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.cli.export_verl import verl
from viubench.cli.run import (
    DataRoot,
    Fps,
    FrameCache,
    Frames,
    Include,
    Limit,
    MaxPixels,
    Protocol,
    Quiet,
    Tasks,
    Videos,
)

app = typer.Typer(no_args_is_help=True, help="Hand tasks over to other tools.")
app.command("verl")(verl)


@app.command("lmms-eval")
def lmms_eval(
    tasks: Tasks,
    out: Annotated[Path, typer.Option(help="Folder for lmms-eval's --include_path.")],
    videos: Videos = None,
    data_root: DataRoot = None,
    protocol: Protocol = None,
    frames: Frames = None,
    fps: Fps = None,
    max_pixels: MaxPixels = None,
    limit: Limit = None,
    seed: Annotated[int, typer.Option(help="Seed of the items.")] = 0,
    copy: Annotated[bool, typer.Option("--copy", help="Put data-set videos into the folder (hard links).")] = False,
    frame_cache: FrameCache = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode and write videos.")] = 2,
    include_path: Include = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Write tasks for lmms-eval: rows, videos, YAML, and a README with the command that runs them."""
    import sys
    from functools import partial

    from viubench.cli.progress import bar
    from viubench.export import lmms
    from viubench.runner import planning
    from viubench.runner.collect import Wishes
    from viubench.tasks.registry import Catalogue
    from viubench.video.frame_cache import FrameCache, default_root

    wishes = Wishes(tasks, videos, data_root, protocol, frames, fps, max_pixels, limit, seed, workers)
    catalogue = Catalogue(tuple(include_path))
    store = FrameCache(frame_cache or default_root())
    planned = planning.plan(wishes, catalogue, out, store, None, partial(bar, quiet=quiet))
    for line in (*planned.notes, *planning.fewer(planned, catalogue, wishes)):
        print(line, file=sys.stderr)
    argv = ["viubench", *sys.argv[1:]]
    with bar("writing videos", quiet=quiet) as update:
        names = lmms.export(planned, out, store, workers=workers, copy=copy, seed=seed, argv=argv, progress=update)
    print(f"{len(planned.plan.samples)} questions in {out}; {out / 'README.md'} has the command")
    print(f"python -m lmms_eval --include_path {out} --tasks {','.join(names)} ...")
