"""What the results of one task need of each of its records: a few numbers, its id, and nothing of its text.

Example:
    >>> tally = Tally(manifest.tasks["viubench_ground_mirror"])
    >>> for record in records:
    ...     tally.add(record)
    >>> tally.rows.score("iou").mean()
    0.306
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

import evaluators
from evaluators import Evaluator
from evaluators.published import Verdict
from viubench.schema import STATUSES, Counted, Record, TaskEntry
from viubench.scoring.columns import ABSENT, Columns, Filling, Lazy

CODES = {status: code for code, status in enumerate(STATUSES)}


class Tally:
    """One task's records, added one by one and then read as columns ordered by id.

    Attributes:
        evaluator: what the task is scored by.
    """

    def __init__(self, about: TaskEntry) -> None:
        self.evaluator = evaluators.get(about.evaluator.name, **about.evaluator.params)
        self._kept: list[Record | Counted] = []
        self._whole = type(self.evaluator).official is not Evaluator.official
        self._ids: list[str] = []
        self._statuses = array("B")
        self._rules = {name: array("d") for name in about.alternatives}
        self._filling = Filling()

    def add(self, record: Record | Counted) -> None:
        self._ids.append(record.id)
        self._statuses.append(CODES[record.status])
        self._filling.append(record.scores if record.status == "ok" else {}, record.cluster, record.groups)
        for name, verdicts in self._rules.items():
            verdict = record.rules.get(name)
            verdicts.append(ABSENT if verdict is None else verdict)
        if self._whole:
            self._kept.append(record)

    def __len__(self) -> int:
        return len(self._ids)

    def statuses(self) -> dict[str, int]:
        """How many records there are of each status that occurs."""
        return {status: count for status, code in CODES.items() if (count := self._statuses.count(code))}

    def answered(self) -> Columns:
        """The records that were answered."""
        answered = np.array(self._statuses, np.uint8)[self._order] == CODES["ok"]
        return self.rows if answered.all() else self.rows.take(np.flatnonzero(answered))

    def whole(self) -> Sequence[Record | Counted]:
        """The records themselves; only those of an evaluator that calls a publisher's own code are kept."""
        return sorted(self._kept, key=lambda record: record.id)

    def verdicts(self, rule: str) -> tuple[Sequence[Verdict], int]:
        """What a published rule made of each response (None where a sample never got one), and how many it counts."""
        values, rows = np.array(self._rules[rule], np.float64)[self._order], self.rows

        def verdict(index: int) -> Verdict:
            value = float(values[index])
            return Verdict(value if value == value else None, rows.clusters[index], rows.groups[rows.codes[index]])

        return Lazy(len(values), verdict), int(np.count_nonzero(~np.isnan(values)))

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.array(sorted(range(len(self._ids)), key=self._ids.__getitem__), np.int64)

    @cached_property
    def rows(self) -> Columns:
        """Every record: its scores when it was answered, else none."""
        return self._filling.columns().take(self._order)
