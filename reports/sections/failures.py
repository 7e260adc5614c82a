"""Samples without a usable answer: how many of which kind, by model, by task, and by what went wrong.

Example:
    >>> found = failures(runs, names, heads)
    >>> found.models[0].label, found.models[0].statuses, found.models[0].faults
    ('VideoSSR-8B', {'ok': 520, 'unparsed': 18, 'media_error': 2}, (('missing', 2),))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.data.runs import Run
from reports.tables.leaderboard import Column


@dataclass(frozen=True)
class StatusCounts:
    """The statuses of some samples; `share` of them have no usable answer."""

    statuses: Mapping[str, int]

    @property
    def n(self) -> int:
        return sum(self.statuses.values())

    @property
    def share(self) -> float:
        return 1 - self.statuses.get("ok", 0) / self.n if self.n else 0.0


@dataclass(frozen=True)
class RunFailures(StatusCounts):
    """All samples of a run, and the words its media and engine errors are counted by, the most frequent first."""

    label: str
    kind: str
    faults: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class TaskFailures:
    """One task, run by run; None where a run does not have it."""

    name: str
    label: str
    counts: tuple[StatusCounts | None, ...]


@dataclass(frozen=True)
class Failures:
    """By run, and by task in the order of the main table; tasks that every run answered whole are only counted."""

    models: tuple[RunFailures, ...]
    tasks: tuple[TaskFailures, ...]
    whole: int

    @property
    def share(self) -> float:
        """The share of all samples of all runs without a usable answer."""
        total = sum(run.n for run in self.models)
        return sum(run.n - run.statuses.get("ok", 0) for run in self.models) / total if total else 0.0


def failures(runs: Sequence[Run], names: Sequence[str], heads: Sequence[Column]) -> Failures:
    """What became of every sample, from the runs' results and records."""
    models = tuple(_of_run(run, name) for run, name in zip(runs, names, strict=True))
    tasks = [
        TaskFailures(head.key, head.label, tuple(_count(run, head.key) for run in runs))
        for head in heads
        if head.kind == "task"
    ]
    failed = tuple(task for task in tasks if any(count and count.share for count in task.counts))
    return Failures(models, failed, len(tasks) - len(failed))


def _of_run(run: Run, label: str) -> RunFailures:
    statuses: Counter[str] = Counter()
    for task in run.results.tasks.values():
        statuses.update(task.statuses)
    faults = Counter(run.samples["fault"].dropna())
    ordered = tuple(sorted(faults.items(), key=lambda pair: (-pair[1], pair[0])))
    return RunFailures(statuses, label, run.kind, ordered)


def _count(run: Run, task: str) -> StatusCounts | None:
    return StatusCounts(run.results.tasks[task].statuses) if task in run.results.tasks else None
