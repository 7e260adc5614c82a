"""What checkpoints of a watch answered to the same samples: the first one, the best one and the last ones.

Example:
    data = browser(Path("runs/train/watch"), history.latest())
    data["models"]
    # ['step 200', 'step 1,400', 'step 2,000']
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reports.data.runs import RunData, load_runs
from reports.sections import samples
from viubench.errors import ViubenchError
from viubench.schema import WatchEntry

PER_TASK = 6
"""Samples of each task that are shown."""

LAST = 2
"""Of the latest checkpoints so many are shown, beside the first and the best."""


def name_of(entry: WatchEntry) -> str:
    """What the page calls a checkpoint."""
    return f"step {entry.step:,}"


def browser(out: Path, entries: Sequence[WatchEntry]) -> dict[str, Any] | None:
    """The data of a sample browser (`reports.sections.samples.browser`) over the runs in the watch's folder `out`; None
    where none of them can be read.

    Args:
        entries: one for each checkpoint, by step.
    """
    known: dict[str, RunData] = {}
    for entry in _chosen([entry for entry in entries if entry.status == "evaluated" and entry.run]):
        try:
            known |= {name_of(entry): run for run in load_runs([out / entry.run])}
        except ViubenchError:  # it was moved, say: the scores are in the history
            continue
    runs = list(known.values())
    return samples.browser(runs, list(known), PER_TASK, range(len(runs))) if runs else None


def _chosen(entries: Sequence[WatchEntry]) -> list[WatchEntry]:
    def value(entry: WatchEntry) -> float:
        scores = [entry.mean] if entry.mean else list(entry.tasks.values())
        return sum(score.value for score in scores) / max(len(scores), 1)

    if not entries:
        return []
    kept = {id(entry) for entry in (entries[0], max(entries, key=value), *entries[-LAST:])}
    return [entry for entry in entries if id(entry) in kept]
