"""Which questions are asked next, from the answers so far: the same for the same answers, whoever gave them when.

Example:
    search = Search(plan, samples, {task: evaluator.unit_metric for task, evaluator in evaluators.items()})
    while batch := search.next():
        search.add(answers_to(batch))
    search.results()["jigsaw.clips"].statement
    # '4.3 clips (3.8 to 5.1)'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from viubench.schema import FAILED, Sample, ScoredRecord
from viubench.schema.frontier import AxisResult, FrontierAxis, FrontierPlan, LevelResult
from viubench.stats.thresholds import Posterior, Threshold

SURE = 0.95
"""A threshold outside the levels with a smaller probability is told with it."""

BETWEEN = 5
"""Places of a fitted curve from one level to the next."""


@dataclass
class _Axis:
    """One axis while it is searched: what each level still has, and what came of it."""

    name: str
    plan: FrontierAxis
    waiting: list[list[Sample]]
    posterior: Posterior
    scores: list[list[float]]
    failed: list[int]
    statuses: list[Counter[str]]  # of the answers that count
    places: dict[str, int] = field(default_factory=dict)  # the level of each sample that was asked
    stopped: str = ""


class Search:
    """Rounds of questions over all axes, so that the engine is kept busy.

    Args:
        samples: those of every level, in the order in which they are asked.
        metrics: the key of each task's score.
    """

    def __init__(self, plan: FrontierPlan, samples: Iterable[Sample], metrics: Mapping[str, str]) -> None:
        self.plan = plan
        self.metrics = metrics
        by_task: dict[str, list[Sample]] = {}
        for sample in samples:
            by_task.setdefault(sample.task, []).append(sample)
        self.axes = [
            _Axis(
                name,
                axis,
                [by_task[level.task][::-1] for level in axis.levels],
                Posterior([level.guess for level in axis.levels]),
                [[] for _ in axis.levels],
                [0] * len(axis.levels),
                [Counter() for _ in axis.levels],
            )
            for name, axis in plan.axes.items()
        ]

    def next(self) -> list[Sample]:
        """The questions of the next round; none once every axis is done. Answers to the last round come before."""
        batch: list[Sample] = []
        for axis in self.axes:
            if axis.stopped:
                continue
            count = min(self.plan.batch, self.plan.questions - len(axis.places))
            for level in axis.posterior.next([len(left) for left in axis.waiting], count):
                sample = axis.waiting[level].pop()
                axis.places[sample.id] = level
                batch.append(sample)
        return batch

    def add(self, batch: Sequence[Sample], records: Mapping[str, Sequence[ScoredRecord]]) -> None:
        """The answers to a round, by sample id. An answer that is not usable scores 0, as in a run; a question that the
        harness failed to ask (its media, the engine) tells nothing of the model and does not count."""
        for axis in self.axes:
            for sample in batch:
                if (level := axis.places.get(sample.id)) is None:
                    continue
                answers = [record for record in records[sample.id] if record.status not in FAILED]
                if not answers:
                    axis.failed[level] += 1
                    continue
                axis.statuses[level].update(answer.status for answer in answers)
                axis.scores[level].append(float(np.mean([self._score(answer) for answer in answers])))
                axis.posterior.add(level, axis.scores[level][-1])
            if not axis.stopped:
                axis.stopped = self._stopped(axis)

    def results(self) -> dict[str, AxisResult]:
        """What is known of each axis."""
        return {axis.name: _result(axis) for axis in self.axes}

    def _score(self, record: ScoredRecord) -> float:
        return min(max(record.scores.get(self.metrics[record.task], 0.0), 0.0), 1.0) if record.status == "ok" else 0.0

    def _stopped(self, axis: _Axis) -> str:
        """Why no more is asked of an axis, "" where more is."""
        found = axis.posterior.estimate()
        if found.high - found.low <= self.plan.width:
            return f"the interval is at most {self.plan.width:g} levels wide"
        if max(found.outside) >= self.plan.certain:
            return f"outside its levels with a probability of at least {self.plan.certain:g}"
        if len(axis.places) >= self.plan.questions:
            return f"{self.plan.questions} questions were asked"
        return "" if any(axis.waiting) else "no items are left"


def _result(axis: _Axis) -> AxisResult:
    found, levels = axis.posterior.estimate(), axis.plan.levels
    ends = (found.low, found.value, found.high)
    low, value, high = (value_at(axis.plan, place) for place in ends)
    places = [k / BETWEEN for k in range(BETWEEN * (len(levels) - 1) + 1)]
    statuses = sum(axis.statuses, Counter[str]())
    return AxisResult(
        unit=axis.plan.unit,
        value=value,
        ci=(low, high) if rising(axis.plan) else (high, low),
        beyond=found.beyond,
        outside=(round(found.outside[0], 6), round(found.outside[1], 6)),
        statement=statement(axis.plan, found),
        places=(round(found.low, 6), round(found.value, 6), round(found.high, 6)),
        questions=len(axis.places),
        answers=statuses.total(),
        unusable={status: count for status, count in sorted(statuses.items()) if status != "ok"},
        stopped=axis.stopped,
        levels=[
            LevelResult(
                value=level.value,
                guess=level.guess,
                asked=len(scores),
                score=round(float(np.mean(scores)), 6) if scores else None,
                unusable=of.total() - of["ok"],
                failed=failed,
            )
            for level, scores, of, failed in zip(levels, axis.scores, axis.statuses, axis.failed, strict=True)
        ],
        curve=[
            (round(place, 6), round(float(middle), 6), round(float(least), 6), round(float(most), 6))
            for place, (middle, least, most) in zip(places, axis.posterior.curve(places), strict=True)
        ],
    )


def value_at(axis: FrontierAxis, place: float) -> float | None:
    """The value at a place between the levels; None outside them, where nothing was asked."""
    values = [level.value for level in axis.levels]
    if not 0 <= place <= len(values) - 1:
        return None
    if axis.scale == "log":
        return round(float(np.exp(np.interp(place, range(len(values)), np.log(values)))), 4)
    return round(float(np.interp(place, range(len(values)), values)), 4)


def statement(axis: FrontierAxis, found: Threshold) -> str:
    """The threshold in words: a number with its interval, or the side on which it lies."""
    easiest, hardest = (f"{level.value:g} {axis.unit}" for level in (axis.levels[0], axis.levels[-1]))
    sure = max(found.outside)
    doubt = f" (probability {sure:.2f})" if sure < SURE else ""
    if found.beyond == "above":
        return f"not broken at {hardest}{doubt}"
    if found.beyond == "below":
        side = "below" if rising(axis) else "above"
        return f"{side} {easiest}: broken at the easiest{doubt}"
    low, value, high = (value_at(axis, place) for place in (found.low, found.value, found.high))
    ends = [
        "easier than the easiest" if low is None else f"{low:.3g}",
        "harder than the hardest" if high is None else f"{high:.3g}",
    ]
    if not rising(axis):
        ends.reverse()
    return f"{value:.3g} {axis.unit} ({' to '.join(ends)})"


def rising(axis: FrontierAxis) -> bool:
    """Whether larger values are harder."""
    return axis.levels[0].value < axis.levels[-1].value
