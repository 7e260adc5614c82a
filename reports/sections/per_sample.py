"""The score of every sample of every run, small enough to travel in the page, which offers it as a file.

Example:
    per_sample(runs)["tasks"]["viubench_count_easy"]
    # {'ids': ['a1', 'b2'], 'scores': [[1, 0.333], [0, -1]]}

A score is the task's headline one, to three decimals, of several answers the mean; a sample without an answer has minus
the place of its status in `statuses`, and one that a run does not have has null.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from reports.data.runs import RunData
from viubench.schema import STATUSES, Record

BUDGET = 3_000_000
"""Characters of all of it; tasks after that are left out, and the page says how many."""

_CODES = {status: -place for place, status in enumerate(STATUSES)}


def per_sample(runs: Sequence[RunData]) -> dict[str, Any]:
    """The scores as JSON data, task by task: the ids, and for each run its numbers in the same order."""
    tables: dict[str, Any] = {}
    spent, left_out = 0, 0
    for task in sorted({task for run in runs for task in run.by_task}):
        by_run = [_numbers(run, task) for run in runs]
        ids = sorted({sample for numbers in by_run for sample in numbers})
        table = {"ids": ids, "scores": [[numbers.get(sample) for sample in ids] for numbers in by_run]}
        size = len(json.dumps(table, ensure_ascii=False, separators=(",", ":")))
        if spent + size > BUDGET:
            left_out += 1
            continue
        spent += size
        tables[task] = table
    return {"statuses": list(STATUSES), "tasks": tables, "leftOut": left_out}


def metric_of(run: RunData, task: str) -> str:
    """The key of a task's headline score; empty where what it was scored by is not installed here."""
    evaluator = run.evaluator(task)
    return "" if evaluator is None else evaluator.metric


def _numbers(run: RunData, task: str) -> dict[str, float]:
    if task not in run.by_task:
        return {}
    rows = run.by_task[task]
    scores = rows.filter(regex=r"^score\.")
    own = f"score.{metric_of(run, task)}"
    first = scores.assign(none=0.0).bfill(axis=1).iloc[:, 0]
    rows = rows[["id", "status"]].assign(score=scores[own].fillna(first) if own in scores else first)
    if rows["id"].duplicated().any():
        means = rows.groupby("id", sort=False)["score"].transform("mean")
        rows = rows.assign(score=means).iloc[(rows["status"] != "ok").argsort(kind="stable")].drop_duplicates("id")
    return {
        name: (int(score) if score in (0, 1) else round(score, 3)) if status == "ok" else _CODES[status]
        for name, status, score in zip(rows["id"], rows["status"], rows["score"].tolist(), strict=True)
    }


def headline(record: Record, metric: str) -> float:
    """A sample's headline score, or its first one where `metric` is not among them; 0 without an answer."""
    if record.status != "ok":
        return 0.0
    return record.scores.get(metric, next(iter(record.scores.values()), 0.0))
