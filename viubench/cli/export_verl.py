"""`viubench export verl`: a training set, its reward and its configuration for verl.

Example:
    $ viubench export verl --tasks build/videossr-30k --out handed
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from viubench.cli.run import DataRoot, FrameCache, Include, Limit, MaxPixels, Protocol, Quiet, Tasks, Videos

if TYPE_CHECKING:
    from trainer.verl import Written


def verl(
    tasks: Tasks,
    out: Annotated[Path, typer.Option(help="Folder for the parquet, the pictures and the reward file.")],
    model: Annotated[str | None, typer.Option(help="Base model, instead of the paper's.")] = None,
    videos: Videos = None,
    data_root: DataRoot = None,
    protocol: Protocol = None,
    max_pixels: MaxPixels = None,
    limit: Limit = None,
    seed: Annotated[int, typer.Option(help="Seed of the items and of the training.")] = 0,
    reward: Annotated[Literal["smooth", "strict"], typer.Option(help="Near answers count, or only true ones.")] = (
        "smooth"
    ),
    picture: Annotated[Literal["png", "jpg"], typer.Option(help="png keeps every pixel, jpg is smaller.")] = "png",
    groups: Annotated[int, typer.Option(min=1, help="Questions per training step.")] = 64,
    max_prompt: Annotated[int, typer.Option(min=1, help="Longer prompts (tokens) are left out.")] = 8192,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs per node.")] = 8,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes.")] = 1,
    frame_cache: FrameCache = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode and write pictures.")] = 2,
    include_path: Include = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Write a training set for verl: parquet, pictures, reward file, and the overrides of the paper's recipe."""
    import sys
    from functools import partial

    from trainer import verl as handing
    from viubench import atomic, planning
    from viubench.cli.progress import bar
    from viubench.gather import Wishes
    from viubench.tasks import Catalogue
    from viubench.video.store import FrameStore, default_root

    wishes = Wishes(tasks, videos, data_root, protocol, None, None, max_pixels, limit, seed, workers)
    catalogue = Catalogue(tuple(include_path))
    store = FrameStore(frame_cache or default_root())
    planned = planning.plan(wishes, catalogue, out, store, handing.MULTIPLE, partial(bar, quiet=quiet))
    for line in (*planned.notes, *planning.fewer(planned, catalogue, wishes)):
        print(line, file=sys.stderr)
    kinds = dict.fromkeys(planned.tasks, reward)
    with bar("writing pictures", quiet=quiet) as update:
        written = handing.export(
            planned, out, store, rewards=kinds, max_prompt=max_prompt, picture=picture, workers=workers, progress=update
        )
    for name in written.too_long:
        print(f"left out, its prompt may be over {max_prompt} tokens: {name}", file=sys.stderr)
    changes = {"seed": seed, "groups": groups} | ({"model": model} if model else {})
    lines = _overrides(written, out, changes, max_prompt, gpus, nodes)
    atomic.write(out / "overrides.txt", "".join(line + "\n" for line in lines).encode())
    print(f"{written.rows} questions in {written.parquet}, {len(written.too_long)} left out as too long")
    print(f"xargs -a {out / 'overrides.txt'} -d '\\n' python -m verl.trainer.main_ppo")


def _overrides(
    written: Written, out: Path, changes: dict[str, Any], max_prompt: int, gpus: int, nodes: int
) -> list[str]:
    """The paper's recipe with `changes`, for the files just written."""
    from trainer import verl as handing

    return handing.overrides(
        {**handing.PAPER, **changes},
        train=written.parquet,
        reward=written.reward,
        out=out / "checkpoints",
        rows=written.rows,
        max_prompt=max_prompt,
        gpus=gpus,
        nodes=nodes,
    )
