"""The panels of the page beside the main table: the three questions on top, and one panel per task.

Example:
    best, real, trust = verdict(runs, rows(runs, []), columns(runs))
    best.answer
    # 'Qwen3-VL-8B, 19.5 %'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.data.runs import RunData
from reports.data.samples import each
from reports.html.escape import shorten, show
from reports.html.format import middle_cut, p_value, percent, points
from reports.html.page import FEW, MOST_VALUES, Finding
from reports.sections.count_errors import count_errors
from reports.tables.leaderboard import Column, LeaderboardRow, contests, first_known, labels, mixed
from reports.tables.ranking import Cell, Contest, Pairing
from viubench.schema import ANSWERED, TaskResult

NOT_OK = 0.05
"""A share of samples without a usable answer above this is flagged."""

CONSTANT = 0.5
"""A most frequent answer above this share, and at least twice as frequent as any true answer, is flagged."""


Frequent = tuple[str, float]
"""An answer and the share of the parsed answers that it makes."""


@dataclass(frozen=True)
class PanelRow:
    """One run in a task's panel."""

    label: str
    kind: str
    cell: Cell
    result: TaskResult
    frequent: list[Frequent]
    constant: bool
    errors: tuple[dict[int, int], str] | None


def verdict(
    runs: Sequence[RunData], table: Sequence[LeaderboardRow], heads: Sequence[Column], pairing: Pairing | None = None
) -> list[Finding]:
    """Which is best, is the difference real, can it be trusted: from the first column."""
    models = [row for row in table if row.kind == "model" and heads and heads[0].key in row.cells]
    found = contests(runs, heads[0], pairing or Pairing(runs)) if models else []
    return [_best(models, heads), _real(runs, models, heads, found), _trust(runs)]


def _best(models: Sequence[LeaderboardRow], heads: Sequence[Column]) -> Finding:
    question = "Which model is best?"
    if not models:
        return Finding(question, "No model yet", "The runs given hold baselines only.", warn=True)
    top = max(models, key=lambda row: row.cells[heads[0].key].value)
    cell = top.cells[heads[0].key]
    interval = f", 95 % interval {percent(cell.low)}–{percent(cell.high)}" if cell.low is not None and cell.high else ""
    where = f"the {heads[0].label}" if heads[0].kind == "mean" else heads[0].label
    of = f"the best of {len(models)} models" if len(models) > 1 else "the only model here"
    return Finding(question, f"{top.label}, {percent(cell.value)} %", f"On {where}{interval}; {of}.")


def _real(
    runs: Sequence[RunData], models: Sequence[LeaderboardRow], heads: Sequence[Column], found: Sequence[Contest]
) -> Finding:
    question = "Is the difference real?"
    if not models:
        return Finding(question, "Nothing to compare", "Run a model on the same tasks.", warn=True)
    best = max((row.cells[heads[0].key] for row in models), key=lambda cell: cell.value)
    above_blind, skill = _skill(runs, best, heads[0])
    if not found:
        answer = "Better than blind" if above_blind else "No better than blind"
        return Finding(question, answer, skill, warn=not above_blind)
    names, nearest = labels(runs), found[0]
    tied = [names[contest.other] for contest in found if contest.tied]
    detail, reasons = evidence(nearest, names), (skill,) if skill else ()
    if not tied:
        return Finding(question, f"Yes, by {points(nearest.gap).lstrip('+')} points", detail, reasons=reasons)
    others = [name for name in tied if name != names[nearest.other]]
    also = (f"Tied as well: {', '.join(others)}.",) if others else ()
    return Finding(question, f"Not shown: {len(tied) + 1} models are tied", detail, True, reasons + also)


def _skill(runs: Sequence[RunData], cell: Cell, head: Column) -> tuple[bool, str]:
    """Whether a score lies above the blind answerer's, and a sentence that says so; empty where that is not known."""
    blind = first_known(runs, head, "blind")
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


def _trust(runs: Sequence[RunData]) -> Finding:
    question = "Can it be trusted?"
    models = [run for run in runs if run.kind == "model"] or list(runs)
    results = [task for run in models for task in run.results.tasks.values()]
    n = sum(task.answers for task in results)
    failed = sum(task.answers - sum(task.statuses.get(status, 0) for status in ANSWERED) for task in results)
    share = failed / n if n else 0.0
    doubtful = {
        "different items": mixed(runs, "items_hash"),
        "different protocols": mixed(runs, "protocol_hash"),
        f"under {FEW} samples": list(
            {k for run in models for k, task in run.results.tasks.items() if 0 < task.n < FEW}
        ),
    }
    worries = [] if n else ["no sample was scored"]
    worries += [
        f"{what} in {tasks[0] if len(tasks) == 1 else f'{len(tasks)} tasks'}"
        for what, tasks in doubtful.items()
        if tasks
    ]
    if share > NOT_OK:
        worries.append(f"{percent(share)} % unanswered")
    hashes = sorted({f"{task.protocol} {task.protocol_hash[:8]}" for task in results})
    about = f"{n:,} answers of models, {percent(share)} % of them without a usable answer, which score 0."
    if not worries:
        return Finding(question, "Yes", "Same items, same protocol.", reasons=(about, _named("Protocol", hashes)))
    more = f", and {len(worries) - 1} more reason{'s' if len(worries) > 2 else ''}" if len(worries) > 1 else ""
    reasons = (*(f"{worry[0].upper()}{worry[1:]}." for worry in worries), about, _named("Protocol", hashes))
    return Finding(question, "With care", f"{worries[0][0].upper()}{worries[0][1:]}{more}.", warn=True, reasons=reasons)


def _named(what: str, names: Sequence[str]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''}: {', '.join(names)}."


def panels(runs: Sequence[RunData], labels: Sequence[str], heads: Sequence[Column]) -> list[dict[str, Any]]:
    """One panel per task column: what the task is worth without skill (`result`), its most frequent true answer, and
    `lines`: models by score, then baselines by score."""
    made = []
    for head in (head for head in heads if head.kind == "task"):
        lines, truth = [], None
        for run, label in zip(runs, labels, strict=True):
            if (result := run.results.tasks.get(head.key)) is None or result.needs_judge:
                continue
            samples = run.by_task.get(head.key, run.samples[:0])
            truth = truth or next(iter(_frequent(samples["target"], 1)), None)
            lines.append(_panel_row(run, label, result, samples, truth))
        if not lines:  # a judge alone can score it
            continue
        lines.sort(key=lambda line: (line.kind != "model", -line.cell.value, line.label))
        panel = {"name": head.key, "label": head.label, "result": lines[0].result, "truth": truth, "lines": lines}
        for part in ("metrics", "rules"):
            panel[part] = list(dict.fromkeys(name for line in lines for name in getattr(line.result, part)))
        panel["ks"] = sorted({k for line in lines for k in line.result.pass_at_k})
        made.append(panel | {"breakdowns": _breakdowns(lines)})
    return made


def _breakdowns(lines: Sequence[PanelRow]) -> list[dict[str, Any]]:
    """Every group key that has more than one value: per value its name, its number of samples, and a score per run.

    `left_out` counts the smallest values beyond `MOST_VALUES`, which results.json has.
    """
    made = []
    for key in dict.fromkeys(key for line in lines for key in line.result.groups):
        sizes: dict[str, int] = {}
        for line in lines:
            for value, part in line.result.groups.get(key, {}).items():
                sizes[value] = max(sizes.get(value, 0), part["n"])
        largest = sorted(sizes, key=lambda value: (-sizes[value], value))[:MOST_VALUES]
        parts = [line.result.groups.get(key, {}) for line in lines]
        rows = [
            (middle_cut(value, 60), sizes[value], [part[value]["value"] if value in part else None for part in parts])
            for value in sorted(largest)
        ]
        if len(sizes) > 1:
            made.append({"key": key, "rows": rows, "left_out": len(sizes) - len(largest)})
    return made


def _panel_row(run: RunData, label: str, result: TaskResult, samples: pd.DataFrame, truth: Frequent | None) -> PanelRow:
    answers = samples.loc[samples["status"] == "ok", "answer"]
    frequent = _frequent(answers, 4)
    usual = truth[1] if truth else 0.0
    constant = run.kind == "model" and len(answers) >= 5 and frequent[0][1] >= max(CONSTANT, 2 * usual)
    counting = len(samples) and run.evaluator_name(samples["task"].iloc[0]) == "shape_counts"
    errors = count_errors(samples) if counting else None
    return PanelRow(label, run.kind, Cell(result.value, *result.ci, result.chance), result, frequent, constant, errors)


def _frequent(values: pd.Series[Any], most: int) -> list[Frequent]:
    texts = each(values, repr)  # far cheaper to count than to write as a reader does
    known, counts = dict(zip(texts, values, strict=True)), Counter(texts)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    return [(shorten(show(known[text]), 40), count / len(values)) for text, count in ordered]
