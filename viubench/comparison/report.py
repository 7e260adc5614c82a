"""A comparison of two runs as data: every task's difference, corrected for many tasks, and every flip.

Example:
    a, b = Side.read(Path("runs/before")), Side.read(Path("runs/after"))
    comparison = compare_runs(a, b)
    report(a, b, comparison, flips(comparison.tasks.values())).tasks["tiny_count"].word
    # 'better'

p-values are two-sided here: either run may be the better one. Holm's correction decides on "better" or "worse",
since it keeps the chance of any false one below alpha; Benjamini and Hochberg's beside it gives leads.

A flip is a sample that turned from right to wrong or back: its score changed by half or more. What moves a graded score
(an overlap, a share of three counts) by less is in the difference of the means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from evaluators import Evaluator
from viubench.comparison.pair import Comparison, Side, TaskPair, identity, numbers, rounded_detectable
from viubench.schema import Record, utf8
from viubench.schema.compare import CompareReport, Flipped, GroupChange, MeanChange, SampleOutcome, TaskChange, Word
from viubench.scoring.aggregate import headline_parts, labelled, rounded, scored, units_of, value_of
from viubench.scoring.frame import keyed
from viubench.stats.paired_differences import Difference, benjamini_hochberg, holm, paired, short_p
from viubench.version import __version__
from viubench.video.filmstrip import strip_path

ALPHA = 0.05
"""Chance of a word other than "no difference shown" about two runs that do not differ, over all tasks together."""

LEVEL = 1 - ALPHA

TURN = 0.5
"""The least change of a sample's score, in [0, 1], that is called a flip."""


@dataclass(frozen=True)
class Flip:
    """A sample that turned: its two records, and their scores in the task's metric, in [0, 1]; 0 without an answer. Of
    several answers the scores are the means, and the records those of each run that are nearest to them."""

    a: Record
    b: Record
    score_a: float
    score_b: float

    @property
    def direction(self) -> Literal["wrong", "right"]:
        return "right" if self.score_b > self.score_a else "wrong"

    @property
    def size(self) -> float:
        """By how much the score changed, in [`TURN`, 1]; rounded, so that the last bit decides nothing."""
        return round(abs(self.score_b - self.score_a), 9)


def report(a: Side, b: Side, comparison: Comparison, turned: Sequence[Flip]) -> CompareReport:
    """The result of `compare_runs(a, b, level=LEVEL)` and its `flips` as data; equal runs give an equal report."""
    p_values = [pair.diff.p_two_sided for pair in comparison.tasks.values()]
    directions = Counter((flip.a.task, flip.direction) for flip in turned)
    tasks = {
        task: TaskChange(
            metric=pair.metric,
            n=pair.n,
            a=rounded(pair.value_a),
            b=rounded(pair.value_b),
            **change(pair.diff, by_holm, len(p_values)),
            holm=short_p(by_holm),
            bh=short_p(by_bh),
            exact_a=rounded(pair.exact_a),
            exact_b=rounded(pair.exact_b),
            to_wrong=directions[task, "wrong"],
            to_right=directions[task, "right"],
            same_answers=pair.same_answers,
            groups=_groups(pair),
        )
        for (task, pair), by_holm, by_bh in zip(
            comparison.tasks.items(), holm(p_values), benjamini_hochberg(p_values), strict=True
        )
    }
    mean = comparison.mean
    return CompareReport(
        viubench=__version__,
        a=identity(a.path),
        b=identity(b.path),
        alpha=ALPHA,
        level=LEVEL,
        tasks=tasks,
        mean=MeanChange(
            tasks=len(tasks),
            a=rounded(comparison.value_a),
            b=rounded(comparison.value_b),
            **change(mean, mean.p_two_sided, 1),
        ),
        left_out={task: utf8(path) for task, path in comparison.left_out.items()},
        flips=[_flip(flip) for flip in turned],
    )


def change(diff: Difference, adjusted: float, tests: int) -> dict[str, Any]:
    """What every `Change` has of its difference; `detectable` is of the first step of Holm's correction."""
    word: Word = "no difference shown"
    if adjusted < ALPHA:
        word = "better" if diff.mean > 0 else "worse"
    return numbers(diff) | {
        "se": rounded(diff.se),
        "test": diff.test,
        "p": short_p(diff.p_two_sided),
        "word": word,
        "detectable": rounded_detectable(diff, ALPHA / 2 / tests),
    }


def _groups(pair: TaskPair) -> dict[str, dict[str, GroupChange]]:
    """The difference within each value of every group key that has several."""
    groups: dict[str, dict[str, GroupChange]] = {}
    first, second = pair.units
    for key, column in keyed(first, "group.").items():
        labels = labelled(first, column)
        members = labels.groupby(labels).groups
        if len(members) > 1:
            groups[key] = {
                str(label): _group(first.loc[places], second.loc[places], pair.evaluator)
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
    return GroupChange(a=rounded(value_of(a)), b=rounded(value_of(b)), **numbers(paired(a, b, LEVEL)))


def _flip(flip: Flip) -> Flipped:
    def outcome(record: Any, score: float) -> SampleOutcome:
        return SampleOutcome(score=rounded(score), status=record.status, answer=record.answer, rule=record.rule)

    return Flipped(
        task=flip.a.task,
        id=flip.a.id,
        cluster=flip.a.cluster,
        groups=flip.a.groups,
        way=flip.direction,
        target=flip.a.target,
        a=outcome(flip.a, flip.score_a),
        b=outcome(flip.b, flip.score_b),
    )


def flips(pairs: Iterable[TaskPair]) -> list[Flip]:
    """The samples that turned: the largest change first, then by task, group and id."""
    changes = (
        _change_of(list(records), pair.evaluator.metric)
        for pair in pairs
        for _, records in groupby(pair.records, key=lambda both: both[0].id)
    )

    def place(flip: Flip) -> tuple[float, str, list[str], str]:
        return -flip.size, flip.a.task, [f"{key}: {value}" for key, value in sorted(flip.a.groups.items())], flip.a.id

    return sorted((flip for flip in changes if flip.size >= TURN), key=place)


def _change_of(records: Sequence[tuple[Record, Record]], metric: str) -> Flip:
    """What became of one sample: the two records of each answer to it."""
    sides = []
    for own in zip(*records, strict=True):
        scores = [scored(record).scores.get(metric, 0.0) for record in own]
        mean = sum(scores) / len(scores)
        sides.append((min(zip(scores, own, strict=True), key=lambda one: abs(one[0] - mean))[1], mean))
    (a, score_a), (b, score_b) = sides
    return Flip(a, b, score_a, score_b)


def largest(turned: Sequence[Flip], most: int, runs: Iterable[Path] = ()) -> list[Flip]:
    """At most `most` of each task and direction, in the order of `turned`.

    Where not all of one size can be among them, those are whose filmstrip is in one of the run folders `runs`: a run
    keeps the frames of a few samples only.
    """
    kept = {path.name for run in runs for path in (run / "strips").glob("*.jpg")}
    unseen = {place: strip_path(Path(), flip.a.id).name not in kept for place, flip in enumerate(turned)}
    order = sorted(unseen, key=lambda place: (-turned[place].size, unseen[place]))
    taken: Counter[tuple[str, str]] = Counter()
    chosen = set()
    for place in order:
        key = turned[place].a.task, turned[place].direction
        taken[key] += 1
        if taken[key] <= most:
            chosen.add(place)
    return [turned[place] for place in sorted(chosen)]
