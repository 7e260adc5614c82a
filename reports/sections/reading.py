"""How much of a free score is reading: how its answers were found in the text, and the score without any reading.

Example:
    line = reading(runs, names, heads, pairing)[0]
    line.label, line.shares["exact"], line.free, line.others["constrained"].found.mean
    # ('Qwen3-VL-8B', 0.62, 0.47, 0.015)

Where the page also has a run of the same model, items and protocol with constrained answers (or the likeliest option),
the difference is what freedom of form costs or brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from evaluators import Evaluator
from reports.data.runs import BASELINES, RunData
from reports.data.samples import each
from reports.tables.agreement import same_model
from reports.tables.leaderboard import Column
from reports.tables.ranking import Pairing
from viubench.schema import Answers
from viubench.stats.paired_differences import Difference

DECLARED = ("tag", "phrase", "line")
"""Beginnings of extraction rules that read what a response declares to be its answer."""


@dataclass(frozen=True)
class Held:
    """The same model and items with answers of a given form: its score, and that minus the free one."""

    value: float
    found: Difference


@dataclass(frozen=True)
class Reading:
    """One model on one task.

    Attributes:
        n: responses that were read, with or without an answer.
        shares: of these, how many were `exact`ly the form of an answer, `declared` theirs in other words, had one that
            was `found` in the text, or were `unparsed`.
        free: the score.
        others: the same by the other ways to answer, where the page has such a run.
    """

    task: str
    label: str
    n: int
    shares: dict[str, float]
    free: float
    others: dict[Answers, Held]


def reading(runs: Sequence[RunData], names: Sequence[str], heads: Sequence[Column], pairing: Pairing) -> list[Reading]:
    """A line for each task and each model that answered it freely, in the order of the main table's columns."""
    lines = []
    for head in (head for head in heads if head.kind == "task"):
        for place, run in enumerate(runs):
            evaluator = run.evaluator(head.key)
            if run.kind in BASELINES or evaluator is None or _way(run, head.key) != "free":
                continue
            n, shares = _shares(run.by_task.get(head.key, run.samples[:0]), evaluator)
            if n:
                others = _held(place, runs, head.key, pairing)
                value = run.results.tasks[head.key].value
                lines.append(Reading(head.label, names[place], n, shares, value, others))
    return lines


def _way(run: RunData, task: str) -> Answers | None:
    """How a run answered a task; None where it did not."""
    protocol = run.manifest.protocols.get(task)
    return protocol.answers if protocol and task in run.results.tasks else None


def _shares(samples: pd.DataFrame, evaluator: Evaluator) -> tuple[int, dict[str, float]]:
    """How many responses were read, and the share of each way that was."""
    ok = samples[samples["status"] == "ok"]
    unparsed = int((samples["status"] == "unparsed").sum())
    exact = pd.Series(each(ok["answer"], lambda answer: _canonical(answer, evaluator)), ok.index) == ok["response"]
    declared = ok["rule"].str.split("/").str[0].isin(DECLARED) & ~exact
    n = len(ok) + unparsed
    counts = {"exact": exact.sum(), "declared": declared.sum(), "found": (~exact & ~declared).sum()}
    return n, {name: int(count) / n for name, count in (counts | {"unparsed": unparsed}).items()} if n else {}


def _canonical(answer: object, evaluator: Evaluator) -> int | None:
    """The hash that a response which is nothing but this answer has."""
    try:
        return hash(evaluator.canonical(answer))
    except (NotImplementedError, TypeError, ValueError):  # an answer of no form, as those that lmms-eval scores
        return None


def _held(place: int, runs: Sequence[RunData], task: str, pairing: Pairing) -> dict[Answers, Held]:
    found: dict[Answers, Held] = {}
    for other, run in enumerate(runs):
        way = _way(run, task)
        if way is None or way == "free" or run.kind in BASELINES or not same_model(runs[place], run):
            continue
        if difference := pairing.difference(place, other, {task: 1.0}, answers=False):
            found.setdefault(way, Held(run.results.tasks[task].value, difference))
    return found
