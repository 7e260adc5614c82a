"""Which item is drawn from which video: rounds over all videos until every item has an answerable question.

Example:
    >>> tried = draw_all(tasks, {"viubench_count_easy": 300}, usable, frames, seed=0, pool=pool)  # doctest: +SKIP
    >>> tried.count("viubench_count_easy")                                                         # doctest: +SKIP
    300

Item k of a task is tried on video (k + offset of the task + round) mod V. In round 0 all items are drawn, grouped by
video, so that each video is decoded once; those without an answerable question go on to the next video in the next
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
from viubench.pretext.build_worker import ATTEMPTS, Frames, Looked, Made, Order, Outcome, make
from viubench.pretext.rng import seed_of
from viubench.schema import Task

Progress = Callable[[int, int], None]

T = TypeVar("T")

_Item = tuple[str, int]


class Pool(Protocol):
    """Who does the jobs; see `KillablePool`."""

    def submit(self, fn: Callable[..., T], *args: Any, name: str = "") -> Future[T]: ...
    def __enter__(self) -> Pool: ...
    def __exit__(self, *error: Any) -> None: ...


@dataclass
class Tried:
    """State of the rounds.

    Attributes:
        made: by task and k, the path of the source and the item.
        taken: per video and task, the key of the question of each k that was asked of it.
        rejections: per task, how many draws were given up for which cause.
        broken: videos whose frames could no longer be had, and why.
    """

    made: dict[_Item, tuple[str, Made]] = field(default_factory=dict)
    taken: dict[str, dict[str, dict[int, str]]] = field(default_factory=dict)
    rejections: dict[str, Counter[str]] = field(default_factory=dict)
    broken: dict[str, MediaError] = field(default_factory=dict)

    def count(self, task: str) -> int:
        """Items of a task."""
        return sum(name == task for name, _ in self.made)


def draw_all(
    tasks: Mapping[str, Task],
    wanted: Mapping[str, int],
    usable: list[Looked],
    frames: Frames,
    seed: int,
    pool: Pool,
    progress: Progress | None = None,
) -> Tried:
    """Draw `wanted` items of each of the `tasks` from the `usable` videos, in the workers of `pool`.

    Args:
        progress: called with items made and items wanted; at the end as if all were made.
    """
    tried = Tried(rejections={task: Counter() for task in wanted})
    total = sum(wanted.values())
    pending = [(task, k) for task, n in wanted.items() for k in range(n)]
    offsets = {task: seed_of("offset", task) for task in wanted}
    places = {task: place for place, task in enumerate(wanted)}
    for turn in range(len(usable)):
        orders: dict[int, list[Order]] = {}
        for task, k in pending:
            number = (k + offsets[task] + turn) % len(usable)
            orders.setdefault(number, []).append(Order(tasks[task], k, turn * ATTEMPTS))
        jobs: deque[tuple[Looked, list[Order], Future[list[Outcome]]]] = deque()
        for number in sorted(orders):
            video, other = usable[number], usable[(number + 1) % len(usable)]
            jobs.append((video, orders[number], _submit(pool, frames, video, other, seed, orders[number], tried)))
        pending = []
        while jobs:  # taken off, so that what is booked is not held twice
            pending += _collect(*jobs.popleft(), tried)
            if progress is not None:
                progress(len(tried.made), total)
        pending.sort(key=lambda one: (places[one[0]], one[1]))
    if progress is not None:
        progress(total, total)
    return tried


def _submit(
    pool: Pool, frames: Frames, video: Looked, other: Looked, seed: int, job: list[Order], tried: Tried
) -> Future[list[Outcome]]:
    second = other.path if other.path != video.path else None
    taken = tried.taken.get(video.path, {})
    return pool.submit(make, frames, video.path, second, seed, job, taken, name=video.path)


def _collect(video: Looked, job: list[Order], future: Future[list[Outcome]], tried: Tried) -> list[_Item]:
    """Book the outcomes of one video; returns the items that must go on to another one."""
    try:
        outcomes = future.result()
    except MediaError as error:
        tried.broken[video.path] = error
        for order in job:
            tried.rejections[order.task.task][error.fault] += 1
        return [(order.task.task, order.k) for order in job]
    left = []
    for outcome in outcomes:
        tried.rejections[outcome.task].update(outcome.causes)
        if outcome.made is None:
            left.append((outcome.task, outcome.k))
        else:
            tried.made[outcome.task, outcome.k] = (video.path, outcome.made)
            tried.taken.setdefault(video.path, {}).setdefault(outcome.task, {})[outcome.k] = outcome.made.key
    return left
