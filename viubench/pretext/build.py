"""Builds a set of pretext items from a folder of videos: `items.jsonl`, `build.json`, and the frames where wanted.

Example:
    >>> report = build(recipe, tasks, Path("clips"), Path("items"), store=FrameCache(Path("cache")))
    >>> report.made
    {'viubench_count_easy': 300, ...}

Equal inputs give equal bytes, whatever the number of workers. A build that was cut off is simply started again: the
frame store has the decoded frames, and materialised items that are whole are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from viubench.errors import MediaError, ViubenchError
from viubench.pretext.build_worker import Frames, Looked, Made, look, write_frames
from viubench.pretext.generate import FIELDS, JigsawParams, fill, params_of
from viubench.pretext.schedule import Pool, Progress, Tried, draw_all
from viubench.schema import SCHEMA_VERSION, Clip, Recipe, Task
from viubench.storage import atomic
from viubench.video.discover import Listing, list_videos
from viubench.video.frame_cache import FrameCache
from viubench.video.process_pool import KillablePool

DECODE_SECONDS = 300.0
DRAW_SECONDS = 3600.0
"""Wall limits of a worker's job: one video decoded; all items of one video drawn or written."""


@dataclass(frozen=True)
class VideoLine:
    """What became of one video file. `fault` is a MediaFault, or "duplicate" for the bytes of an earlier file."""

    path: str
    content: str | None = None
    frames: int | None = None
    duration: float | None = None
    items: int = 0
    fault: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class BuildReport:
    """What was made, and what was not and why; `build.json` holds the same.

    Attributes:
        wanted, made: items per task.
        rejections: per task, how many draws were given up for which cause.
        videos: one line per video file, sorted by path.
        ignored: files whose name is no video's.
        items_hash: SHA-256 (16 hex digits) of `items.jsonl`.
    """

    out: Path
    wanted: dict[str, int]
    made: dict[str, int]
    rejections: dict[str, dict[str, int]]
    videos: tuple[VideoLine, ...]
    ignored: tuple[str, ...]
    items_hash: str

    def text(self) -> str:
        """The report in a few lines for a terminal."""
        usable = sum(line.fault is None for line in self.videos)
        lines = [f"{sum(self.made.values())} items from {usable} of {len(self.videos)} videos in {self.out}"]
        for task, wanted in self.wanted.items():
            causes = ", ".join(f"{cause} {n}" for cause, n in self.rejections[task].items())
            short = f" of {wanted}" if self.made[task] < wanted else ""
            lines.append(f"  {task}: {self.made[task]}{short}" + (f" (drawn again: {causes})" if causes else ""))
        for line in self.videos:
            if line.fault:
                lines.append(f"  not used: {line.path}: {line.fault.replace('_', ' ')}, {line.detail}")
        lines += [f"  not used: {path}: no video by its name" for path in self.ignored]
        return "\n".join(lines)


def build(
    recipe: Recipe,
    tasks: Mapping[str, Task],
    videos: Path,
    out: Path,
    *,
    seed: int = 0,
    n: int | None = None,
    workers: int = 1,
    pool_of: Callable[[float], Pool] | None = None,
    store: FrameCache,
    materialize: bool = False,
    progress: Progress | None = None,
) -> BuildReport:
    """Make the items of `recipe` from the videos below `videos`.

    Args:
        tasks: the task of each of the recipe's entries, by name.
        out: gets `items.jsonl` and `build.json`, replaced as whole files, `build.json` last.
        n: items of each task, instead of the recipe's numbers.
        pool_of: makes the pool whose jobs may take so many seconds; `workers` processes of this machine where None.
        store: where decoded frames are kept.
        materialize: also write the shown frames, at the recipe's `check` size, to `out/frames/<item id>/`.
        progress: called with items made or given up, and items wanted.

    Raises:
        ViubenchError: no usable video, a task without a single item, or a question that names an unknown field.
    """
    if n is not None:
        recipe = recipe.model_copy(update={"items": [entry.model_copy(update={"n": n}) for entry in recipe.items]})
    wanted = {entry.task: entry.n for entry in recipe.items}
    if len(wanted) < len(recipe.items):
        raise ViubenchError("a task occurs twice", where=f"recipe {recipe.recipe}", hint="give the second a new name")
    for name in wanted:
        _well_formed(tasks[name])
    pool_of = pool_of or partial(KillablePool, workers)
    listing = list_videos(videos, skip=out)
    frames = Frames(store, videos, recipe.sampling, recipe.check)
    with pool_of(DECODE_SECONDS) as pool:
        lines, usable = _look_at_all(listing, frames, pool)
    if not usable:
        first = next(line for line in lines if line.fault)
        raise ViubenchError(
            f"none of the {len(lines)} videos can be used: {first.path}: {first.fault}, {first.detail}",
            where=str(videos),
        )
    with pool_of(DRAW_SECONDS) as pool:
        tried = draw_all(tasks, wanted, usable, frames, seed, pool, progress)
        _proved(wanted, tried)
        out.mkdir(parents=True, exist_ok=True)
        if materialize:
            _materialize(tried, frames, out / "frames", pool)
    (out / "build.json").unlink(missing_ok=True)
    report = _report(out, wanted, lines, listing, tried, _write_items(wanted, tried, out / "items.jsonl"))
    about = _about(report, recipe, tasks, seed, videos)
    atomic.write(out / "build.json", json.dumps(about, indent=1, ensure_ascii=False).encode() + b"\n", lasting=True)
    return report


def _well_formed(task: Task) -> None:
    """The pretext of a task and its question belong together."""
    if task.pretext is None:
        raise ViubenchError(f"{task.task} is no pretext task: it cannot be built from videos")
    params = params_of(task.pretext)
    shown = params.n if isinstance(params, JigsawParams) else 1
    fields = dict.fromkeys(FIELDS[task.pretext.kind], "") | {"clips": "<video>" * shown}
    places = fill(task.question, fields).count("<video>")
    if places != shown:
        raise ViubenchError(f"the question has {places} times <video>, {shown} wanted", where=f"task {task.task}")


def _look_at_all(listing: Listing, frames: Frames, pool: Pool) -> tuple[list[VideoLine], list[Looked]]:
    """Every video decoded into the store; equal bytes are used once."""
    futures = [pool.submit(look, frames, path, name=path) for path in listing.videos]
    lines: list[VideoLine] = []
    usable: dict[str, Looked] = {}
    for path, future in zip(listing.videos, futures, strict=True):
        try:
            looked = future.result()
        except MediaError as error:
            lines.append(VideoLine(path, _content(frames, path), fault=error.fault, detail=error.detail))
            continue
        facts = (path, looked.content, looked.frames, looked.duration)
        twin = usable.setdefault(looked.content, looked)
        if twin is looked:
            lines.append(VideoLine(*facts))
        else:
            lines.append(VideoLine(*facts, fault="duplicate", detail=f"the same bytes as {twin.path}"))
    return lines, list(usable.values())


def _content(frames: Frames, path: str) -> str | None:
    """Content hash of a file whose frames cannot be used; None for one without bytes of its own."""
    try:
        return frames.store.content(Clip(path=path), frames.root)
    except MediaError:
        return None


def _proved(wanted: Mapping[str, int], tried: Tried) -> None:
    """Every task has an item, and no two items have one id."""
    for task in wanted:
        if not tried.count(task):
            causes = ", ".join(f"{cause} {count}" for cause, count in tried.rejections[task].most_common())
            raise ViubenchError(
                f"not one answerable item of {task} could be made: {causes}",
                hint="give videos with more motion, colour or length, or an easier recipe",
            )
    if len({made.id for _, made in tried.made.values()}) != len(tried.made):
        raise ViubenchError("two items have one id", hint="build with another --seed")


def _write_items(wanted: Mapping[str, int], tried: Tried, path: Path) -> str:
    """Write the items task by task, one line at a time; returns the first 16 hex digits of the file's SHA-256."""
    digest = hashlib.sha256()
    with atomic.replacing(path) as aside, aside.open("wb") as file:
        for task, n in wanted.items():
            for k in range(n):
                if (task, k) in tried.made:
                    line = tried.made[task, k][1].line
                    digest.update(line)
                    file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()[:16]


def _materialize(tried: Tried, frames: Frames, out: Path, pool: Pool) -> None:
    out.mkdir(exist_ok=True)
    by_video: dict[str, list[Made]] = {}
    for path, made in tried.made.values():
        by_video.setdefault(path, []).append(made)
    for future in [pool.submit(write_frames, frames, some, out, name=path) for path, some in by_video.items()]:
        future.result()


def _report(
    out: Path, wanted: dict[str, int], lines: list[VideoLine], listing: Listing, tried: Tried, items_hash: str
) -> BuildReport:
    used = Counter(path for path, _ in tried.made.values())
    told = []
    for line in lines:
        error = tried.broken.get(line.path)
        facts = line.__dict__ | {"items": used[line.path]}
        told.append(VideoLine(**facts | ({"fault": error.fault, "detail": error.detail} if error else {})))
    return BuildReport(
        out=out,
        wanted=wanted,
        made={task: tried.count(task) for task in wanted},
        rejections={task: dict(sorted(tried.rejections[task].items())) for task in wanted},
        videos=tuple(told),
        ignored=tuple(listing.ignored),
        items_hash=items_hash,
    )


def _about(report: BuildReport, recipe: Recipe, tasks: Mapping[str, Task], seed: int, videos: Path) -> dict[str, Any]:
    root = str(videos) if videos.is_absolute() else os.path.relpath(videos, report.out)
    return {
        "schema": SCHEMA_VERSION,
        "recipe": recipe.model_dump(mode="json"),
        "tasks": {entry.task: tasks[entry.task].model_dump(mode="json") for entry in recipe.items},
        "seed": seed,
        "videos_root": root,
        "counts": {task: {"wanted": n, "made": report.made[task]} for task, n in report.wanted.items()},
        "rejections": report.rejections,
        "videos": [line.__dict__ for line in report.videos],
        "ignored": list(report.ignored),
        "items_hash": report.items_hash,
    }
