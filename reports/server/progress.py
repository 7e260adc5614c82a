"""How far runs are: answers, statuses, failures and rates, of those that are going on as they come.

Example:
    progress = Progress()
    progress.of(workspace.runs())[0]
    # {'key': '9f2c41d07a55', 'state': 'running', 'done': 540, 'total': 2700, 'rate': 3.1, ...}
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from reports.html.escape import clean, shorten
from reports.html.format import percent
from reports.sections.per_sample import metric_of
from reports.server.record_index import RecordIndex, Samples
from reports.server.workspace import OpenRun, changed
from viubench.schema import ANSWERED, STATUSES

QUIET = 120.0
"""Seconds without a word after which a run that is not finished is no longer called running."""

WINDOW = 60.0
"""Seconds over which a rate is taken."""

LOOK = 0.25
"""Seconds that are spent on reading what runs have written, at most, each time."""

FAULTS = 6
"""Kinds of failure that are named."""


class Progress:
    """Counts the records of runs that are not finished; of the others their results say it."""

    def __init__(self) -> None:
        self._samples = Samples()
        self._counted: dict[str, tuple[RecordIndex, deque[tuple[float, int]]]] = {}
        self._lock = threading.Lock()

    def of(self, runs: Sequence[OpenRun]) -> list[dict[str, Any]]:
        """A row for each run, as JSON data."""
        with self._lock:
            going = [run for run in runs if not run.finished]
            until = time.monotonic() + LOOK
            for run in going:
                index, _ = self._index(run)
                while index.advance() and time.monotonic() < until:
                    pass
            for key in self._counted.keys() - {run.key for run in going}:
                del self._counted[key]
            return [self._finished(run) if run.finished else self._going(run) for run in runs]

    def _index(self, run: OpenRun) -> tuple[RecordIndex, deque[tuple[float, int]]]:
        if run.key not in self._counted:
            index = RecordIndex(run.place.path, self._samples, lambda task: metric_of(run.data, task))
            self._counted[run.key] = index, deque()
        return self._counted[run.key]

    def _finished(self, run: OpenRun) -> dict[str, Any]:
        results = run.data.results
        statuses: Counter[str] = Counter()
        for task in results.tasks.values():
            statuses.update(task.statuses)
        values = [suite.value for suite in results.suites.values()][:1]
        values = values or [task.value for task in results.tasks.values() if not task.needs_judge]
        score = percent(sum(values) / len(values)) if values else "–"
        return _row(run, "finished", statuses) | {"score": score}

    def _going(self, run: OpenRun) -> dict[str, Any]:
        index, seen = self._index(run)
        now, done = time.monotonic(), len(index)
        reading = index.read < index.size
        if not reading:  # what was written before is no pace
            seen.append((now, done))
        while len(seen) > 2 and now - seen[1][0] > WINDOW:
            seen.popleft()
        quiet = max(time.time() - changed(run), 0.0)
        pace = (done - seen[0][1]) / (now - seen[0][0]) if len(seen) > 1 and now > seen[0][0] else 0.0
        rate = "" if pace <= 0 else f"{pace:.1f}/s" if pace >= 1 else f"{1 / pace:.1f} s each"
        left = _duration((run.total - done) / pace) if pace > 0 and done < run.total else ""
        score = percent(float(np.mean(index.column("score")))) if done else "–"
        faults = [
            [f"{shorten(clean(fault), 60)} ({status.replace('_', ' ')})", count]
            for (status, fault), count in index.faults.most_common(FAULTS)
        ]
        return _row(run, "running" if quiet < QUIET else "not finished", index.statuses) | {
            "score": f"{score} so far" if done else "–",
            "rate": rate,
            "left": left,
            "quiet": _duration(quiet),
            "faults": faults,
            "damaged": index.damaged,
            "reading": reading,
        }


def _row(run: OpenRun, state: str, statuses: Counter[str]) -> dict[str, Any]:
    done = statuses.total()
    failed = done - sum(statuses[status] for status in ANSWERED)
    return {
        "key": run.key,
        "state": state,
        "done": done,
        "total": max(run.total, done),
        "statuses": {status: statuses[status] for status in STATUSES if statuses[status]},
        "failed": percent(failed / done) if done else "–",
        "rate": "",
        "left": "",
        "quiet": "",
        "faults": [],
        "damaged": 0,
        "reading": False,
    }


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
