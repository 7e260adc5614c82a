"""Builds a set of pretext items from a folder of videos: `items.jsonl`, `build.json`, and the frames where wanted.

Example:
    >>> report = build(recipe, tasks, Path("clips"), Path("items"), store=FrameStore(Path("cache")))
    >>> report.made
    {'viubench_count_easy': 300, ...}

Item k of a task is tried on video (k + offset of the task + round) mod V. In round 0 all items are drawn, grouped by
video, so that each video is decoded once; those without an answerable question go on to the next video in the next
round, until every video was tried. Nothing depends on the number of workers, and item k does not depend on how many
items follow it. Equal inputs give equal bytes. A build that was cut off is simply started again: the frame store has
the decoded frames, and materialised items that are whole are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from viubench import atomic
from viubench.errors import MediaError, ViubenchError
from viubench.pretext.dice import seed_of
from viubench.pretext.listing import Listing, list_videos
from viubench.pretext.making import ATTEMPTS, Frames, Looked, Order, Outcome, look, make, write_frames
from viubench.pretext.recipes import FIELDS, Drawn, JigsawParams, fill, params_of
from viubench.schema import SCHEMA_VERSION, Clip, Item, PretextSpec, Recipe, Task, canonical_json, content_hash
from viubench.video.store import FrameStore
from viubench.video.workers import KillablePool

DECODE_SECONDS = 300.0
DRAW_SECONDS = 3600.0
"""Wall limits of a worker's job: one video decoded; all items of one video drawn or written."""

Progress = Callable[[int, int], None]

T = TypeVar("T")


class Pool(Protocol):
    """Who does the jobs; see `KillablePool`."""

    def submit(self, fn: Callable[..., T], *args: Any, name: str = "") -> Future[T]: ...
    def __enter__(self) -> Pool: ...
    def __exit__(self, *error: Any) -> None: ...


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


@dataclass(frozen=True)
class _Made:
    video: Looked
    drawn: Drawn
    seed: int


@dataclass
class _Tried:
    """State of the rounds: the items (by task and k), what each video was asked already, and what was rejected."""

    made: dict[tuple[str, int], _Made] = field(default_factory=dict)
    taken: dict[str, dict[str, dict[int, str]]] = field(default_factory=dict)
    rejections: dict[str, Counter[str]] = field(default_factory=dict)
    broken: dict[str, MediaError] = field(default_factory=dict)


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
    store: FrameStore,
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
    pretexts = {name: _pretext(tasks[name]) for name in wanted}
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
        tried = _draw_all(wanted, pretexts, usable, frames, seed, pool, progress)
        items = _items(wanted, tasks, tried)
        report = _report(recipe, out, wanted, lines, listing, tried, items)
        out.mkdir(parents=True, exist_ok=True)
        if materialize:
            _materialize(items, frames, out / "frames", pool)
    (out / "build.json").unlink(missing_ok=True)
    atomic.write(out / "items.jsonl", _jsonl(items), lasting=True)
    about = _about(report, recipe, tasks, seed, videos)
    atomic.write(out / "build.json", json.dumps(about, indent=1, ensure_ascii=False).encode() + b"\n", lasting=True)
    return report


def _pretext(task: Task) -> PretextSpec:
    """The pretext of a task, proved to be well formed together with its question."""
    if task.pretext is None:
        raise ViubenchError(f"{task.task} is no pretext task: it cannot be built from videos")
    params = params_of(task.pretext)
    shown = params.n if isinstance(params, JigsawParams) else 1
    fields = dict.fromkeys(FIELDS[task.pretext.kind], "") | {"clips": "<video>" * shown}
    places = fill(task.question, fields).count("<video>")
    if places != shown:
        raise ViubenchError(f"the question has {places} times <video>, {shown} wanted", where=f"task {task.task}")
    return task.pretext


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


def _draw_all(
    wanted: Mapping[str, int],
    pretexts: Mapping[str, PretextSpec],
    usable: list[Looked],
    frames: Frames,
    seed: int,
    pool: Pool,
    progress: Progress | None,
) -> _Tried:
    tried = _Tried(rejections={task: Counter() for task in wanted})
    total = sum(wanted.values())
    pending = [(task, k) for task, n in wanted.items() for k in range(n)]
    offsets = {task: seed_of("offset", task) for task in wanted}
    for turn in range(len(usable)):
        orders: dict[int, list[Order]] = {}
        for task, k in pending:
            number = (k + offsets[task] + turn) % len(usable)
            orders.setdefault(number, []).append(Order(task, pretexts[task], k, turn * ATTEMPTS))
        jobs = [(usable[number], usable[(number + 1) % len(usable)], orders[number]) for number in sorted(orders)]
        futures = [_submit(pool, frames, video, other, seed, job, tried) for video, other, job in jobs]
        pending = []
        for (video, _, job), future in zip(jobs, futures, strict=True):
            pending += _collect(video, job, future, tried)
            if progress is not None:
                progress(len(tried.made), total)
        pending.sort(key=lambda one: (list(wanted).index(one[0]), one[1]))
    if progress is not None:
        progress(total, total)
    return tried


def _submit(
    pool: Pool, frames: Frames, video: Looked, other: Looked, seed: int, job: list[Order], tried: _Tried
) -> Future[list[Outcome]]:
    second = other.path if other.path != video.path else None
    taken = tried.taken.get(video.path, {})
    return pool.submit(make, frames, video.path, second, seed, job, taken, name=video.path)


def _collect(
    video: Looked, job: list[Order], future: Future[list[Outcome]], tried: _Tried
) -> Iterable[tuple[str, int]]:
    """Book the outcomes of one video; returns the items that must go on to another one."""
    try:
        outcomes = future.result()
    except MediaError as error:
        tried.broken[video.path] = error
        for order in job:
            tried.rejections[order.task][error.fault] += 1
        return [(order.task, order.k) for order in job]
    left = []
    for outcome in outcomes:
        order = outcome.order
        tried.rejections[order.task].update(outcome.causes)
        if outcome.drawn is None:
            left.append((order.task, order.k))
        else:
            tried.made[order.task, order.k] = _Made(video, outcome.drawn, outcome.seed)
            tried.taken.setdefault(video.path, {}).setdefault(order.task, {})[order.k] = outcome.key
    return left


def _items(wanted: Mapping[str, int], tasks: Mapping[str, Task], tried: _Tried) -> list[Item]:
    items = []
    for task, n in wanted.items():
        made = [tried.made[task, k] for k in range(n) if (task, k) in tried.made]
        if not made:
            causes = ", ".join(f"{cause} {count}" for cause, count in tried.rejections[task].most_common())
            raise ViubenchError(
                f"not one answerable item of {task} could be made: {causes}",
                hint="give videos with more motion, colour or length, or an easier recipe",
            )
        items += [_item(tasks[task], task, one) for one in made]
    if len({item.id for item in items}) != len(items):
        raise ViubenchError("two items have one id", hint="build with another --seed")
    return items


def _item(task: Task, name: str, made: _Made) -> Item:
    content, drawn = made.video.content, made.drawn
    # The seed is part of what is shown (noise), and keeps items apart that ask the same of one video.
    identity = content_hash([name, content, made.seed, drawn.params, drawn.answer])
    return Item(
        id=f"{name}-{identity[:12]}",
        task=name,
        video=made.video.path,
        cluster=content[:16],
        seed=made.seed,
        params=drawn.params,
        question=fill(task.question, drawn.question_fields),
        answer=drawn.answer,
    )


def _materialize(items: list[Item], frames: Frames, out: Path, pool: Pool) -> None:
    out.mkdir(exist_ok=True)
    by_video: dict[str, list[Item]] = {}
    for item in items:
        by_video.setdefault(item.video, []).append(item)
    for future in [pool.submit(write_frames, frames, some, out, name=path) for path, some in by_video.items()]:
        future.result()


def _report(
    recipe: Recipe,
    out: Path,
    wanted: dict[str, int],
    lines: list[VideoLine],
    listing: Listing,
    tried: _Tried,
    items: list[Item],
) -> BuildReport:
    made = Counter(item.task for item in items)
    used = Counter(item.video for item in items)
    told = []
    for line in lines:
        error = tried.broken.get(line.path)
        facts = line.__dict__ | {"items": used[line.path]}
        told.append(VideoLine(**facts | ({"fault": error.fault, "detail": error.detail} if error else {})))
    return BuildReport(
        out=out,
        wanted=wanted,
        made={task: made[task] for task in wanted},
        rejections={task: dict(sorted(tried.rejections[task].items())) for task in wanted},
        videos=tuple(told),
        ignored=tuple(listing.ignored),
        items_hash=hashlib.sha256(_jsonl(items)).hexdigest()[:16],
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


def _jsonl(items: Iterable[Item]) -> bytes:
    return b"".join(canonical_json(item.model_dump(mode="json")).encode() + b"\n" for item in items)
