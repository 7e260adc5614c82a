"""The panels of the page beside the main table: the three questions on top, and one panel per task.

Example:
    >>> best, real, trust = verdict(runs, rows(runs, []), columns(runs))
    >>> best.answer
    'Qwen3-VL-8B, 19.5 %'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.data.runs import Run
from reports.data.samples import each
from reports.html.escape import shorten, show
from reports.html.format import p_value, percent, points
from reports.html.page import FEW, MOST_VALUES, Finding
from reports.sections.count_errors import CountErrors, count_errors
from reports.tables.leaderboard import Column, LeaderboardRow, contests, labels, mean_of, mixed
from reports.tables.ranking import Cell, Contest, Pairing
from viubench.schema import TaskResult

NOT_OK = 0.05
"""A share of samples without a usable answer above this is flagged."""

CONSTANT = 0.5
"""A most frequent answer above this share, and at least twice as frequent as any true answer, is flagged."""


@dataclass(frozen=True)
class Frequent:
    """An answer and the share of the parsed answers that it makes."""

    text: str
    share: float


@dataclass(frozen=True)
class PanelRow:
    """One run in a task's panel."""

    label: str
    kind: str
    cell: Cell
    result: TaskResult
    frequent: tuple[Frequent, ...]
    constant: bool
    errors: CountErrors | None


@dataclass(frozen=True)
class PanelBreakdown:
    """Scores by the values of one group key: per value its name, its number of samples, and a score per run.

    `left_out` counts the smallest values beyond `MOST_VALUES`, which results.json has.
    """

    key: str
    values: tuple[tuple[str, int, tuple[float | None, ...]], ...]
    left_out: int


@dataclass(frozen=True)
class Panel:
    """One task: what it is worth without skill, and a line per run. `truth` is the most frequent true answer."""

    name: str
    label: str
    metric: str
    result: TaskResult
    truth: Frequent | None
    lines: tuple[PanelRow, ...]
    metrics: tuple[str, ...]
    rules: tuple[str, ...]
    breakdowns: tuple[PanelBreakdown, ...]


def verdict(
    runs: Sequence[Run], table: Sequence[LeaderboardRow], heads: Sequence[Column], pairing: Pairing | None = None
) -> list[Finding]:
    """Which is best, is the difference real, can it be trusted: from the first column."""
    models = [row for row in table if row.kind == "model" and heads and heads[0].key in row.cells]
    found = contests(runs, heads[0], pairing or Pairing(runs)) if models else []
    return [_best(models, heads), _real(runs, models, heads, found), _trust(runs)]


def _best(models: Sequence[LeaderboardRow], heads: Sequence[Column]) -> Finding:
    question = "Which model is best?"
    if not models:
        return Finding(question, "No model yet", "The runs given hold baselines only.", warn=True)
    top = _top(models, heads[0])
    cell = top.cells[heads[0].key]
    interval = f", 95 % interval {percent(cell.low)}–{percent(cell.high)}" if cell.low is not None and cell.high else ""
    where = f"the {heads[0].label}" if heads[0].kind == "mean" else heads[0].label
    of = f"the best of {len(models)} models" if len(models) > 1 else "the only model here"
    return Finding(question, f"{top.label}, {percent(cell.value)} %", f"On {where}{interval}; {of}.")


def _real(
    runs: Sequence[Run], models: Sequence[LeaderboardRow], heads: Sequence[Column], found: Sequence[Contest]
) -> Finding:
    question = "Is the difference real?"
    if not models:
        return Finding(question, "Nothing to compare", "Run a model on the same tasks.", warn=True)
    above_blind, skill = _skill(runs, _top(models, heads[0]).cells[heads[0].key], heads[0])
    if not found:
        answer = "Better than blind" if above_blind else "No better than blind"
        return Finding(question, answer, skill, warn=not above_blind)
    names, nearest = labels(runs), found[0]
    tied = [names[contest.other] for contest in found if contest.tied]
    detail = f"{evidence(nearest, names)} {skill}".strip()
    if not tied:
        return Finding(question, f"Yes, by {points(nearest.gap).lstrip('+')} points", detail)
    others = [name for name in tied if name != names[nearest.other]]
    also = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    detail = f"{detail} Tied as well: {also}." if others else detail
    return Finding(question, f"Not shown: {len(tied) + 1} models are tied", detail, warn=True)


def _skill(runs: Sequence[Run], cell: Cell, head: Column) -> tuple[bool, str]:
    """Whether a score lies above the blind answerer's, and a sentence that says so; empty where that is not known."""
    blind = next((b for run in runs if (b := mean_of(run.results, head, "blind")) is not None), None)
    if blind is None or cell.low is None or cell.high is None:
        return False, ""
    side = "is above" if cell.low > blind else "is below" if cell.high < blind else "is not separable from"
    return cell.low > blind, f"It {side} the blind answerer ({percent(blind)}), which never sees the video."


def evidence(contest: Contest, names: Sequence[str]) -> str:
    """What is known of the best against another model, in a sentence."""
    other, found = names[contest.other], contest.found
    if found is None:
        meet = "overlap" if contest.tied else "do not meet"
        return f"{points(contest.gap)} over {other}; their intervals {meet}, and they share no samples to test on."
    interval = f"{points(found.low)} to {points(found.high)}"
    return f"{points(found.mean)} over {other} ({interval}, p {p_value(contest.p)}), sample by sample."


def _top(models: Sequence[LeaderboardRow], head: Column) -> LeaderboardRow:
    return max(models, key=lambda row: row.cells[head.key].value)


def _trust(runs: Sequence[Run]) -> Finding:
    question = "Can it be trusted?"
    models = [run for run in runs if run.kind == "model"] or list(runs)
    results = [task for run in models for task in run.results.tasks.values()]
    n = sum(task.n for task in results)
    failed = sum(task.n - task.statuses.get("ok", 0) for task in results)
    share = failed / n if n else 0.0
    worries = []
    if not n:
        worries.append("no sample was scored")
    if share > NOT_OK:
        worries.append(f"{percent(share)} % unanswered")
    if tasks := mixed(runs, "items_hash"):
        worries.append(f"different items in {_some(tasks)}")
    if tasks := mixed(runs, "protocol_hash"):
        worries.append(f"different protocols in {_some(tasks)}")
    if small := sorted({name for run in models for name, task in run.results.tasks.items() if 0 < task.n < FEW}):
        worries.append(f"under {FEW} samples in {_some(small)}")
    hashes = sorted({f"{task.protocol} {task.protocol_hash[:8]}" for task in results})
    about = f"{n:,} answers of models, {percent(share)} % unanswered (score 0). Protocol: {', '.join(hashes)}."
    answer = "With care: " + "; ".join(worries) if worries else "Yes: same items, same protocol"
    return Finding(question, answer, about, warn=bool(worries))


def _some(tasks: Sequence[str]) -> str:
    return tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks"


def panels(runs: Sequence[Run], labels: Sequence[str], heads: Sequence[Column]) -> list[Panel]:
    """One panel per task column: models by score, then baselines by score."""
    made = []
    for head in heads:
        if head.kind != "task":
            continue
        lines, truth = [], None
        for run, label in zip(runs, labels, strict=True):
            if (result := run.results.tasks.get(head.key)) is None:
                continue
            samples = run.by_task.get(head.key, run.samples[:0])
            truth = truth or next(iter(_frequent(samples["target"], 1)), None)
            lines.append(_panel_row(run, label, result, samples, truth))
        lines.sort(key=lambda line: (line.kind != "model", -line.cell.value, line.label))
        first = lines[0].result
        metrics = tuple(dict.fromkeys(name for line in lines for name in line.result.metrics))
        rules = tuple(dict.fromkeys(name for line in lines for name in line.result.rules))
        parts = (head.key, head.label, first.metric, first, truth, tuple(lines), metrics, rules, _breakdowns(lines))
        made.append(Panel(*parts))
    return made


def _breakdowns(lines: Sequence[PanelRow]) -> tuple[PanelBreakdown, ...]:
    """Every group key that has more than one value."""
    made = []
    for key in dict.fromkeys(key for line in lines for key in line.result.groups):
        sizes: dict[str, int] = {}
        for line in lines:
            for value, part in line.result.groups.get(key, {}).items():
                sizes[value] = max(sizes.get(value, 0), part["n"])
        largest = sorted(sizes, key=lambda value: (-sizes[value], value))[:MOST_VALUES]
        rows = tuple(
            (shorten(value, 60), sizes[value], tuple(_part(line.result, key, value) for line in lines))
            for value in sorted(largest)
        )
        if len(sizes) > 1:
            made.append(PanelBreakdown(key, rows, len(sizes) - len(largest)))
    return tuple(made)


def _part(result: TaskResult, key: str, value: str) -> float | None:
    part = result.groups.get(key, {}).get(value)
    return part["value"] if part else None


def _panel_row(run: Run, label: str, result: TaskResult, samples: pd.DataFrame, truth: Frequent | None) -> PanelRow:
    answers = samples.loc[samples["status"] == "ok", "answer"]
    frequent = _frequent(answers, 4)
    usual = truth.share if truth else 0.0
    constant = run.kind == "model" and len(answers) >= 5 and frequent[0].share >= max(CONSTANT, 2 * usual)
    counting = len(samples) and run.evaluator_name(samples["task"].iloc[0]) == "shape_counts"
    errors = count_errors(samples) if counting else None
    return PanelRow(label, run.kind, Cell(result.value, *result.ci, result.chance), result, frequent, constant, errors)


def _frequent(values: pd.Series[Any], most: int) -> tuple[Frequent, ...]:
    texts = each(values, repr)  # far cheaper to count than to write as a reader does
    known, counts = dict(zip(texts, values, strict=True)), Counter(texts)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    return tuple(Frequent(shorten(show(known[text]), 40), count / len(values)) for text, count in ordered)
