"""The items of every level of every axis, built once: of each, as many as the search may ask at one level.

Example:
    levels = make(config, axes, recipe, catalogue, Path("frontiers/a/items"), pool=40)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from viubench.errors import ViubenchError
from viubench.frontier.axes import Axis, Levels, levels, too_few
from viubench.pretext import build
from viubench.runner.config import EvalConfig, Progress
from viubench.schema import Recipe, RecipeEntry, Task
from viubench.tasks.registry import Catalogue

NONE_DRAWN = "no item of it could be drawn from these videos"


def make(
    config: EvalConfig, axes: Sequence[Axis], recipe: Recipe, catalogue: Catalogue, folder: Path, pool: int
) -> list[Levels]:
    """The levels of the axes, with `pool` items of each in `folder` (where it can be: fewer); items that are there
    already are kept when they are of the same build.

    Raises:
        ViubenchError: no videos, an axis with fewer than two levels, or as `build` does.
    """
    if config.videos_folder is None:
        raise ViubenchError("items are made from videos: none were given", where="--videos", hint="name a folder")
    frames = config.frames or recipe.sampling.frames
    made = [levels(axis, recipe, catalogue, frames) for axis in axes]
    tasks = {task.task: task for one in made for task in one.tasks.values()}
    entries = [
        RecipeEntry(task=task.task, n=pool, base=one.base, params=one.axis.params(value))
        for one in made
        for value, task in one.tasks.items()
    ]
    recipe = recipe.model_copy(update={"items": entries})
    if not _built_before(folder, recipe, tasks, config.videos_folder, config.seed, config.frames):
        report = config.progress or (lambda _: None)
        build.build(
            recipe,
            tasks,
            config.videos_folder,
            folder,
            seed=config.seed,
            frames=config.frames,
            workers=config.decoders,
            cache=config.cache,
            partial_ok=True,
            scanned=lambda done, total: report(Progress("reading videos", done, total)),
            progress=lambda done, total: report(Progress("building items", done, total)),
        )
    drawn = json.loads((folder / "build.json").read_bytes())["counts"]
    return [_drawn(one, {task for task, count in drawn.items() if count["made"]}) for one in made]


def _drawn(one: Levels, tasks: set[str]) -> Levels:
    """The levels of an axis that have items."""
    empty = {f"{value:g}": NONE_DRAWN for value, task in one.tasks.items() if task.task not in tasks}
    kept = {value: task for value, task in one.tasks.items() if task.task in tasks}
    if len(kept) < 2:
        raise too_few(one.axis, one.left_out | empty)
    return replace(one, tasks=kept, left_out=one.left_out | empty)


def _built_before(
    folder: Path, recipe: Recipe, tasks: Mapping[str, Task], videos: Path, seed: int, frames: int | None
) -> bool:
    """Whether `folder` holds the items of just this build; of some of its tasks none could be drawn then."""
    try:
        about = json.loads((folder / "build.json").read_bytes())
        drawn = about["recipe"]["items"]
        return bool(
            about["seed"] == seed
            and about.get("frames") == frames
            and list(about["counts"]) == list(tasks)
            and drawn == [one.model_dump(mode="json") for one in recipe.items if one.task in about["tasks"]]
            and all(tasks[name].model_dump(mode="json") == task for name, task in about["tasks"].items())
            and (folder / about["videos_root"]).resolve() == videos.resolve()
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
