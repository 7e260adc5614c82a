"""A comparison of two runs as data: every task's difference with what corrects it for many tasks, and every flip.

Example:
    >>> a, b = Side.read(Path("runs/before")), Side.read(Path("runs/after"))  # doctest: +SKIP
    >>> found = compare_sides(a, b)  # doctest: +SKIP
    >>> report(a, b, found, flips(found.tasks.values())).tasks["tiny_count"].word  # doctest: +SKIP
    'better'

p-values are two-sided here: either run may be the better one. Holm's correction decides on the word, since it keeps the
chance of any wrong word below alpha; Benjamini and Hochberg's stands beside it, for finding what to look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from evaluators import Evaluator
from viubench.comparison.flips import Flip
from viubench.comparison.pair import Comparison, Side, TaskPair, identity
from viubench.schema import utf8
from viubench.schema.compare import (
    CompareReport,
    Flipped,
    Given,
    GroupChange,
    MeanChange,
    TaskChange,
    Word,
)
from viubench.scoring.aggregate import DIGITS, headline_parts, labelled, units_of, value_of
from viubench.scoring.frame import keyed
from viubench.stats.paired_differences import Difference, benjamini_hochberg, detectable, holm, paired
from viubench.version import __version__

ALPHA = 0.05
"""Chance of a word other than "no difference shown" about two runs that do not differ, over all tasks together."""

LEVEL = 1 - ALPHA


def report(a: Side, b: Side, found: Comparison, turned: Sequence[Flip]) -> CompareReport:
    """What `compare_sides(a, b, level=LEVEL)` found, and which of its samples turned (`flips`), as data; equal runs
    give an equal report."""
    p_values = [pair.diff.p_two_sided for pair in found.tasks.values()]
    corrected = zip(found.tasks.items(), p_values, holm(p_values), benjamini_hochberg(p_values), strict=True)
    ways = Counter((flip.a.task, flip.way) for flip in turned)
    tasks = {
        task: _task(pair, p, by_holm, by_bh, len(p_values), ways[task, "wrong"], ways[task, "right"])
        for (task, pair), p, by_holm, by_bh in corrected
    }
    mean = found.mean.p_two_sided
    return CompareReport(
        viubench=__version__,
        a=identity(a.path),
        b=identity(b.path),
        alpha=ALPHA,
        level=LEVEL,
        tasks=tasks,
        mean=MeanChange(
            tasks=len(tasks), a=_round(found.value_a), b=_round(found.value_b), **_change(found.mean, mean, mean, 1)
        ),
        left_out={task: utf8(path) for task, path in found.left_out.items()},
        flips=[_flip(flip) for flip in turned],
    )


def _task(
    pair: TaskPair, p: float, by_holm: float, by_bh: float, tasks: int, to_wrong: int, to_right: int
) -> TaskChange:
    return TaskChange(
        metric=pair.metric,
        n=pair.n,
        a=_round(pair.value_a),
        b=_round(pair.value_b),
        **_change(pair.diff, p, by_holm, tasks),
        holm=_short(by_holm),
        bh=_short(by_bh),
        exact_a=_round(pair.exact_a),
        exact_b=_round(pair.exact_b),
        to_wrong=to_wrong,
        to_right=to_right,
        same_answers=pair.same_answers,
        groups=_groups(pair),
    )


def _change(diff: Difference, p: float, adjusted: float, tests: int) -> dict[str, Any]:
    """What a task and the mean have in common; `detectable` is of the first step of Holm's correction."""
    word: Word = "no difference shown"
    if adjusted < ALPHA:
        word = "better" if diff.mean > 0 else "worse"
    least = detectable(diff, ALPHA / 2 / tests)
    return _numbers(diff) | {
        "se": _round(diff.se),
        "test": diff.test,
        "p": _short(p),
        "word": word,
        "detectable": None if least is None else _round(least),
    }


def _numbers(diff: Difference) -> dict[str, Any]:
    return {
        "difference": _round(diff.mean),
        "ci": (_round(diff.low), _round(diff.high)),
        "units": diff.n,
        "clusters": diff.clusters,
        "better": diff.better,
        "worse": diff.worse,
    }


def _groups(pair: TaskPair) -> dict[str, dict[str, GroupChange]]:
    """The difference within each value of every group key that has several."""
    groups: dict[str, dict[str, GroupChange]] = {}
    for key, column in keyed(pair.units_a, "group.").items():
        labels = labelled(pair.units_a, column)
        members = labels.groupby(labels).groups
        if len(members) > 1:
            groups[key] = {
                str(label): _group(pair.units_a.loc[places], pair.units_b.loc[places], pair.evaluator)
                for label, places in sorted(members.items())
            }
    return groups


def within(pair: TaskPair, ids: Collection[str]) -> GroupChange:
    """The difference over those of a task's samples; ValueError when there is none."""
    first, second = (
        units_of((record for record in records if record.id in ids), pair.evaluator)
        for records in zip(*pair.records, strict=True)
    )
    return _group(first, second, pair.evaluator)


def _group(first: pd.DataFrame, second: pd.DataFrame, evaluator: Evaluator) -> GroupChange:
    if first.empty:
        raise ValueError("no samples to compare")
    a, b = headline_parts(first, evaluator), headline_parts(second, evaluator)
    return GroupChange(a=_round(value_of(a)), b=_round(value_of(b)), **_numbers(paired(a, b, LEVEL)))


def _flip(flip: Flip) -> Flipped:
    def given(record: Any, score: float) -> Given:
        return Given(score=_round(score), status=record.status, answer=record.answer, rule=record.rule)

    return Flipped(
        task=flip.a.task,
        id=flip.a.id,
        cluster=flip.a.cluster,
        groups=flip.a.groups,
        way=flip.way,
        target=flip.a.target,
        a=given(flip.a, flip.score_a),
        b=given(flip.b, flip.score_b),
    )


def _round(value: float) -> float:
    return round(value, DIGITS)


def _short(p_value: float) -> float:
    return float(f"{p_value:.4g}")
