"""Which item is drawn from which video: rounds over all videos until every item has an answerable question.

Example:
    drawing = draw_all(tasks, {"viubench_count_easy": 300}, usable, frames, seed=0, pool=pool)
    drawing.count("viubench_count_easy")
    # 300

Item k of a task is tried on video (k + offset of the task + round) mod V. In round 0 all items are drawn, grouped by
video, so that each video is decoded once; those without an answerable question move on to the next video in the next
round, until every video was tried. Nothing depends on the number of workers, and item k does not depend on how many
items follow it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from viubench.errors import MediaError
from viubench.pretext.build_worker import ATTEMPTS, BuiltItem, DrawRequest, DrawResult, Frames, VideoFile, draw_items
from viubench.pretext.rng import seed_of
from viubench.schema import Task

Progress = Callable[[int, int], None]

T = TypeVar("T")


class Pool(Protocol):
    """Who does the jobs; see `KillablePool`."""

    def submit(self, fn: Callable[..., T], *args: Any, name: str = "") -> Future[T]: ...
    def __enter__(self) -> Pool: ...
    def __exit__(self, *error: Any) -> None: ...


@dataclass
class Drawing:
    """State of the rounds: per task, how many draws were given up for which cause; by task and k, the source's path and
    the item; the videos whose frames could no longer be read."""

    rejections: dict[str, Counter[str]]
    items: dict[tuple[str, int], tuple[str, BuiltItem]] = field(default_factory=dict)
    broken: dict[str, MediaError] = field(default_factory=dict)

    def count(self, task: str) -> int:
        return sum(name == task for name, _ in self.items)

    def collect(self, path: str, requests: list[DrawRequest], future: Future[list[DrawResult]]) -> None:
        """Take in what was drawn from one video."""
        try:
            results = future.result()
        except MediaError as error:
            self.broken[path] = error
            for request in requests:
                self.rejections[request.task.task][error.fault] += 1
            return
        for request, (item, causes) in zip(requests, results, strict=True):
            self.rejections[request.task.task].update(causes)
            if item is not None:
                self.items[request.task.task, request.k] = (path, item)


def draw_all(
    tasks: Mapping[str, Task],
    requested: Mapping[str, int],
    usable: list[VideoFile],
    frames: Frames,
    seed: int,
    pool: Pool,
    progress: Progress | None = None,
) -> Drawing:
    """Draw the `requested` items of each of the `tasks` from the `usable` videos, in the workers of `pool`.

    `progress` is called with items drawn and items requested; at the end as if all were drawn.
    """
    drawing = Drawing({task: Counter() for task in requested})
    total = sum(requested.values())
    offsets = {task: seed_of("offset", task) for task in requested}
    for turn in range(len(usable)):
        by_video: dict[int, list[DrawRequest]] = {}
        for task, n in requested.items():
            for k in range(n):
                if (task, k) not in drawing.items:
                    number = (k + offsets[task] + turn) % len(usable)
                    by_video.setdefault(number, []).append(DrawRequest(tasks[task], k, turn * ATTEMPTS))
        taken: dict[str, dict[str, dict[int, str]]] = {}  # by video and task, the question of each k
        for (task, k), (path, item) in drawing.items.items():
            taken.setdefault(path, {}).setdefault(task, {})[k] = item.key
        jobs: deque[tuple[str, list[DrawRequest], Future[list[DrawResult]]]] = deque()
        for number, requests in sorted(by_video.items()):
            path = usable[number].path
            other = usable[(number + 1) % len(usable)].path if len(usable) > 1 else None
            future = pool.submit(draw_items, frames, path, other, seed, requests, taken.get(path, {}), name=path)
            jobs.append((path, requests, future))
        while jobs:  # removed one by one, so that a collected result is not held twice
            drawing.collect(*jobs.popleft())
            if progress is not None:
                progress(len(drawing.items), total)
    if progress is not None:
        progress(total, total)
    return drawing
