"""Samples without a usable answer: how many of which kind, by model, by task, and by what went wrong.

Example:
    found = failures(runs, names, heads)["models"][0]
    found["label"], found["counts"].statuses, found["faults"]
    # ('VideoSSR-8B', {'ok': 520, 'unparsed': 18, 'media_error': 2}, [('missing', 2)])
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from reports.data.runs import RunData
from reports.tables.leaderboard import Column
from viubench.schema import ANSWERED, TaskResult


class StatusCounts:
    """The statuses of all `n` samples of these results; `share` of them have no usable answer."""

    def __init__(self, results: Iterable[TaskResult]) -> None:
        self.statuses: Counter[str] = Counter()
        for result in results:
            self.statuses.update(result.statuses)
        self.n = self.statuses.total()
        answered = sum(self.statuses[status] for status in ANSWERED)
        self.share = (self.n - answered) / self.n if self.n else 0.0


def failures(runs: Sequence[RunData], names: Sequence[str], heads: Sequence[Column]) -> dict[str, Any]:
    """What became of every sample, from the runs' results and records.

    Returns:
        `models`, with the words that media and engine errors are counted by, the most frequent first; `tasks` in the
        order of the main table, a count for each run, None where it does not have the task; `whole`, the number of
        tasks that every run answered whole, which are only counted; and the `share` of all samples without an answer.
    """
    models = []
    for run, name in zip(runs, names, strict=True):
        faults = sorted(Counter(run.samples["fault"].dropna()).items(), key=lambda pair: (-pair[1], pair[0]))
        counts = StatusCounts(run.results.tasks.values())
        models.append({"label": name, "kind": run.kind, "counts": counts, "faults": faults})
    tasks: list[dict[str, Any]] = []
    for head in (head for head in heads if head.kind == "task"):
        results = [run.results.tasks.get(head.key) for run in runs]
        by_run = [StatusCounts([result]) if result else None for result in results]
        tasks.append({"name": head.key, "label": head.label, "counts": by_run})
    failed = [task for task in tasks if any(count and count.share for count in task["counts"])]
    share = StatusCounts(result for run in runs for result in run.results.tasks.values()).share
    return {"models": models, "tasks": failed, "whole": len(tasks) - len(failed), "share": share}
