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

    from viubench.cli.progress import bar, stages
    from viubench.export import lmms
    from viubench.runner.config import EvalConfig
    from viubench.runner.evaluate import plan_run

    with stages(quiet=quiet) as progress:
        config = EvalConfig(
            tasks=tasks, videos=videos, data_root=data_root, protocol=protocol, frames=frames, fps=fps,
            max_pixels=max_pixels, limit=limit, seed=seed, out=out, frame_cache=frame_cache, workers=workers,
            include_path=include_path, progress=progress, argv=["viubench", *sys.argv[1:]],
        )  # fmt: skip
        plan = plan_run(config, None)
    with bar("writing videos", quiet=quiet) as update:
        names = lmms.export(plan, config, copy=copy, progress=update)
    print(f"{len(plan.samples)} questions in {out}; {out / 'README.md'} has the command")
    print(f"python -m lmms_eval --include_path {out} --tasks {','.join(names)} ...")
