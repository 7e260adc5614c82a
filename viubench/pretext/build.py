"""Builds a set of pretext items from a folder of videos: `items.jsonl`, `build.json`, and the frames on request.

Example:
    report = build(recipe, tasks, Path("clips"), Path("items"), cache=FrameCache(Path("cache")))
    report.built
    # {'viubench_count_easy': 300, ...}

Equal inputs give equal bytes, whatever the number of workers. To resume a build that was cut off, run it again: the
frame cache has the decoded frames, and materialised items that are whole are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from viubench.errors import MediaError, ViubenchError
from viubench.pretext.build_worker import BuiltItem, Frames, VideoFile, scan, write_frames
from viubench.pretext.generate import fields, fill, least_frames
from viubench.pretext.schedule import Drawing, Pool, Progress, draw_all
from viubench.schema import SCHEMA_VERSION, Clip, JigsawSpec, Recipe, Sampling, Task, utf8
from viubench.storage import atomic, output
from viubench.video.discover import folder_of, list_videos
from viubench.video.frame_cache import FrameCache
from viubench.video.process_pool import KillablePool

DECODE_SECONDS = 300.0
DRAW_SECONDS = 3600.0
"""Wall limits of a worker's job: one video decoded; all items of one video drawn or written."""


@dataclass(frozen=True)
class BuildReport:
    """What was built, and what was not and why; `build.json` holds the same. `requested`, `built` and `rejections` are
    numbers per task, `ignored` files whose suffix is no video's, `left_out` folders that were not searched,
    `items_hash` the first 16 hex digits of a SHA-256."""

    out: Path
    requested: dict[str, int]
    built: dict[str, int]
    rejections: dict[str, dict[str, int]]
    videos: tuple[VideoFile, ...]
    ignored: tuple[str, ...]
    items_hash: str
    left_out: tuple[str, ...] = ()

    def text(self) -> str:
        """The report in a few lines for a terminal."""
        usable = sum(video.fault is None for video in self.videos)
        lines = [f"{sum(self.built.values())} items from {usable} of {len(self.videos)} videos in {self.out}"]
        for task, n in self.requested.items():
            causes = _listed(self.rejections[task].items())
            short = f" of {n}" if self.built[task] < n else ""
            lines.append(f"  {task}: {self.built[task]}{short}" + (f" (rejected draws: {causes})" if causes else ""))
        for video in self.videos:
            if video.fault:
                lines.append(f"  not used: {video.path}: {video.fault.replace('_', ' ')}, {video.detail}")
        lines += [f"  not used: {path}: not a video suffix" for path in self.ignored]
        lines += [f"  not searched: {folder}" for folder in self.left_out]
        return "\n".join(lines)


def build(
    recipe: Recipe,
    tasks: Mapping[str, Task],
    videos: Path,
    out: Path,
    *,
    seed: int = 0,
    n: int | None = None,
    frames: int | None = None,
    max_pixels: int | None = None,
    about: Mapping[str, Any] | None = None,
    workers: int = 1,
    pool_of: Callable[[float], Pool] | None = None,
    cache: FrameCache,
    materialize: bool = False,
    partial_ok: bool = False,
    scanned: Progress | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Build the items of `recipe` from the videos below `videos`, or from the one video that it is. Raises
    ViubenchError: no usable video, a task without a single item, or a question that names an unknown field.

    Args:
        tasks: the task of each of the recipe's entries, by name.
        out: gets `items.jsonl` and `build.json`, replaced as whole files, `build.json` last.
        n: items of each task, instead of the recipe's numbers.
        frames, max_pixels: of the recipe's sampling and of its `check`, instead of its own.
        about: more to say in `build.json`, such as how the recipe was made.
        pool_of: creates the pool whose jobs may take so many seconds; `workers` processes of this machine where None.
        partial_ok: leave out tasks of which no item could be drawn, instead of refusing; `built` has 0 of them.
        materialize: also write the shown frames, at the recipe's `check` size, to `out/frames/<item id>/`.
        scanned, progress: called with videos read, then items drawn, and how many there are of each.
    """
    recipe = _changed(recipe, n, frames, max_pixels)
    requested, found = _requested(recipe, tasks), list_videos(videos, skip=out)
    pool_of = pool_of or partial(KillablePool, workers)
    output.try_folder(out, "--out")
    source = Frames(cache, folder_of(videos), recipe.sampling, recipe.check)
    with pool_of(DECODE_SECONDS) as pool:
        files, usable = _scan_all(found.videos, source, pool, scanned)
    with pool_of(DRAW_SECONDS) as pool:
        drawing = draw_all(tasks, requested, usable, source, seed, pool, progress)
        recipe = _checked(_drawn(recipe, drawing) if partial_ok else recipe, drawing, tasks)
        out.mkdir(parents=True, exist_ok=True)
        if materialize:
            _materialize(drawing, source, out / "frames", pool)
    (out / "build.json").unlink(missing_ok=True)
    report = BuildReport(
        out=out,
        requested=requested,
        built={task: drawing.count(task) for task in requested},
        rejections={task: dict(sorted(drawing.rejections[task].items())) for task in requested},
        videos=_outcomes(files, drawing),
        ignored=tuple(found.ignored),
        left_out=tuple(found.left_out),
        items_hash=_write_items(requested, drawing, out / "items.jsonl"),
    )
    atomic.write(out / "build.json", _about(report, recipe, tasks, seed, videos, frames, about or {}), lasting=True)
    return report


def _requested(recipe: Recipe, tasks: Mapping[str, Task]) -> dict[str, int]:
    """How many items each task is to have; ViubenchError for a task that cannot be built."""
    requested = {entry.task: entry.n for entry in recipe.items}
    if len(requested) < len(recipe.items):
        raise ViubenchError("a task occurs twice", where=f"recipe {recipe.recipe}", hint="give the second a new name")
    for name in requested:
        _check_question(tasks[name])
    return requested


def _changed(recipe: Recipe, n: int | None, frames: int | None, max_pixels: int | None) -> Recipe:
    """The recipe with so many items of each task, frames of a video, and pixels of the frames to prove items on."""
    sampling, check, items = recipe.sampling, recipe.check, recipe.items
    if n is not None:
        items = [entry.model_copy(update={"n": n}) for entry in items]
    if frames is not None:
        least = min(sampling.min_frames, frames)
        sampling = sampling.model_copy(update={"frames": frames, "min_frames": least})
    if max_pixels is not None:
        least = min(check.min_pixels, max_pixels)
        check = check.model_copy(update={"max_pixels": max_pixels, "min_pixels": least})
    return recipe.model_copy(update={"sampling": sampling, "check": check, "items": items})


def _listed(causes: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{cause} {count}" for cause, count in causes)


def _check_question(task: Task) -> None:
    """The pretext of a task and its question belong together."""
    if task.pretext is None:
        raise ViubenchError(f"{task.task} is no pretext task: it cannot be built from videos")
    clips = task.pretext.params.n if isinstance(task.pretext, JigsawSpec) else 1
    known = dict.fromkeys(fields(task.pretext), "") | {"clips": "<video>" * clips}
    places = fill(task.question, known).count("<video>")
    if places != clips:
        raise ViubenchError(f"the question has {places} times <video>, expected {clips}", where=f"task {task.task}")


def _scan_all(
    paths: list[str], frames: Frames, pool: Pool, scanned: Progress | None
) -> tuple[list[VideoFile], list[VideoFile]]:
    """Every video decoded into the cache, and those to draw from; equal bytes are used once."""
    futures = [pool.submit(scan, frames, path, name=path) for path in paths]
    files: list[VideoFile] = []
    usable: dict[str | None, VideoFile] = {}
    for done, (path, future) in enumerate(zip(paths, futures, strict=True), 1):
        try:
            video = future.result()
        except MediaError as error:
            content = None
            with suppress(MediaError):  # it may have no bytes of its own
                content = frames.cache.content(Clip(path=path), frames.root)
            video = VideoFile(path, content, fault=error.fault, detail=error.detail)
        else:
            twin = usable.setdefault(video.content, video)
            if twin is not video:
                video = replace(video, fault="duplicate", detail=f"the same bytes as {twin.path}")
        files.append(video)
        if scanned is not None:
            scanned(done, len(paths))
    if not usable:
        reason = f"{files[0].path}: {files[0].fault}, {files[0].detail}"
        raise ViubenchError(f"none of the {len(files)} videos can be used: {reason}", where=str(frames.root))
    return files, list(usable.values())


def _drawn(recipe: Recipe, drawing: Drawing) -> Recipe:
    """The recipe without the tasks that have no item; whole where none has."""
    entries = [entry for entry in recipe.items if drawing.count(entry.task)]
    return recipe.model_copy(update={"items": entries or recipe.items})


def _checked(recipe: Recipe, drawing: Drawing, tasks: Mapping[str, Task]) -> Recipe:
    """The recipe, of which every task has an item, and no two items have one id; ViubenchError else."""
    for task in (entry.task for entry in recipe.items):
        if not drawing.count(task):
            if drawing.rejections[task].most_common(1)[0][0] == "too_few_frames":
                raise _too_few_frames(tasks[task], recipe.sampling)
            raise ViubenchError(
                f"no answerable item of {task} could be drawn: {_listed(drawing.rejections[task].most_common())}",
                hint="give videos with more motion, colour or length, or an easier recipe",
            )
    if len({item.id for _, item in drawing.items.values()}) != len(drawing.items):
        raise ViubenchError("two items have one id", hint="build with another --seed")
    return recipe


def _too_few_frames(task: Task, shown: Sampling) -> ViubenchError:
    """What to tell who shows a video in fewer frames than the questions of a task are made of."""
    if task.pretext is None or (least := least_frames(task.pretext)) <= shown.frames:
        message = f"no item of {task.task} could be drawn: no video gives the frames that its questions need"
        hint = "give longer videos, or sample them more densely (--fps), or choose an easier recipe"
        return ViubenchError(message, hint=hint)
    message = f"no item of {task.task} could be drawn: it needs at least {least} frames of a video, and is shown "
    hint = f"--frames {least} or more, or leave this task out"
    return ViubenchError(f"{message}{shown.frames}", where="--frames", hint=hint)


def _write_items(requested: Mapping[str, int], drawing: Drawing, path: Path) -> str:
    """Write the items task by task, one line at a time; returns the first 16 hex digits of the file's SHA-256."""
    digest = hashlib.sha256()
    order = {task: place for place, task in enumerate(requested)}
    with atomic.replacing(path) as aside, aside.open("wb") as file:
        for key in sorted(drawing.items, key=lambda key: (order[key[0]], key[1])):
            line = drawing.items[key][1].line
            digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()[:16]


def _materialize(drawing: Drawing, frames: Frames, out: Path, pool: Pool) -> None:
    out.mkdir(exist_ok=True)
    by_video: dict[str, list[BuiltItem]] = {}
    for path, item in drawing.items.values():
        by_video.setdefault(path, []).append(item)
    for future in [pool.submit(write_frames, frames, items, out, name=path) for path, items in by_video.items()]:
        future.result()


def _outcomes(files: list[VideoFile], drawing: Drawing) -> tuple[VideoFile, ...]:
    """The files with their numbers of items, and with the fault met while drawing."""
    items = Counter(path for path, _ in drawing.items.values())
    files = [replace(file, items=items[file.path]) for file in files]
    faults: dict[str, dict[str, Any]] = {
        path: {"fault": error.fault, "detail": error.detail} for path, error in drawing.broken.items()
    }
    return tuple(replace(file, **faults.get(file.path, {})) for file in files)


def _about(
    report: BuildReport,
    recipe: Recipe,
    tasks: Mapping[str, Task],
    seed: int,
    videos: Path,
    frames: int | None,
    more: Mapping[str, Any],
) -> bytes:
    root = str(videos) if videos.is_absolute() else os.path.relpath(videos, report.out)
    content = {
        "schema": SCHEMA_VERSION,
        "recipe": recipe.model_dump(mode="json"),
        **({"frames": frames} if frames else {}),
        **more,
        "tasks": {entry.task: tasks[entry.task].model_dump(mode="json") for entry in recipe.items},
        "seed": seed,
        "videos_root": root,
        "counts": {task: {"wanted": n, "made": report.built[task]} for task, n in report.requested.items()},
        "rejections": report.rejections,
        "videos": [asdict(file) for file in report.videos],
        "ignored": list(report.ignored),
        **({"left_out": list(report.left_out)} if report.left_out else {}),
        "items_hash": report.items_hash,
    }
    return utf8(json.dumps(content, indent=1, ensure_ascii=False)).encode() + b"\n"
