"""The runs that a page can show: finished ones, whose records make the scores that their results say.

Example:
    found = read([Path("runs/a"), Path("runs/half-done")])
    found.left_out
    # {PosixPath('runs/half-done'): 'is not finished'}
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.data.runs import RunData, compared, load
from viubench.comparison.pair import ROUNDING
from viubench.errors import ViubenchError
from viubench.schema import TaskEntry
from viubench.scoring.aggregate import value_of


@dataclass(frozen=True)
class FoundRuns:
    """The runs, and the folders that are left out, each with the reason."""

    runs: list[RunData]
    left_out: dict[Path, str]


def read(paths: Sequence[Path]) -> FoundRuns:
    """The runs in these folders, without those that cannot be shown; raises ViubenchError where none can."""
    shared: dict[Hashable, Any] = {}
    runs: list[RunData] = []
    errors: dict[Path, ViubenchError] = {}
    for path in {path.resolve(): path for path in paths}.values():  # a run counts once
        try:
            run = load(path, shared)
            require_scores_of_records(run)
        except ViubenchError as error:
            errors[path] = error
        else:
            runs.append(run)
    if len(paths) == len(errors) == 1:
        raise errors[paths[0]]
    if not runs:
        hint = "viubench report RUN... --out leaderboard.html"
        raise ViubenchError("; ".join(["no run to report", *(error.message for error in errors.values())]), hint=hint)
    reasons = {path: error.message.removeprefix(str(path)).lstrip(": ") for path, error in errors.items()}
    return FoundRuns(compared(runs), reasons)


def require_scores_of_records(run: RunData) -> None:
    """Raise ViubenchError where `results.json` is not what the records make of it: answers that are missing or recorded
    twice, other statuses, other scores."""
    for task in sorted({*run.results.tasks, *run.manifest.tasks, *run.by_task}):
        if said := _contradiction(run, task):
            hint = "its files are not of one run: rerun the same command, which completes the answers and scores them"
            raise ViubenchError(f"{run.path}: {task!r:.80} {said}", where=str(run.path), hint=hint)
    for name, suite in run.results.suites.items():
        shares = run.manifest.suites[name].shares() if name in run.manifest.suites else {}
        value = sum(share * run.results.tasks[task].value for task, share in shares.items())
        if shares and not abs(value - suite.value) < ROUNDING:
            raise ViubenchError(f"{run.path}: {_unlike(suite.value, value)}", where=str(run.path))


def _contradiction(run: RunData, task: str) -> str | None:
    result, rows = run.results.tasks.get(task), run.by_task.get(task, run.samples[:0])
    protocol = run.manifest.protocols.get(task)
    due = run.manifest.tasks.get(task, TaskEntry()).n * (protocol.decoding.samples if protocol else 1)
    due = due or (result.answers if result else 0)  # an older manifest does not say it
    if len(rows) != due:
        return f"has {len(rows)} of {due} answers in records.jsonl"
    if rows.duplicated([key for key in ("id", "number") if key in rows]).any():
        return "has an answer twice in records.jsonl"
    counts = {str(status): int(n) for status, n in rows["status"].value_counts().items() if n}
    if counts != (result.statuses if result else {}):
        return f"has other answers in results.json than in records.jsonl: {result and result.statuses}, {counts}"
    parts = run.parts.get(task)
    if result and parts and not abs((value := value_of(parts)) - result.value) < ROUNDING:
        return _unlike(result.value, value)
    return None


def _unlike(recorded: float, value: float) -> str:
    return f"results.json says {recorded}, the records make it {value:.6f}"
