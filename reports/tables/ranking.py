"""Which models differ: tested on the samples they share, or by their intervals where they share none.

Example:
    first, *_ = against_best(Pairing(runs), {"viubench_ground_mirror": 1.0}, {0: cell, 1: other})
    first.gap, first.p, first.tied, first.detectable
    # (0.021, 0.003, False, 0.018)

Models that answered the same samples are compared sample by sample (`viubench.stats.paired_differences.paired`): what
is hard for all of them then cancels out, and far smaller differences show than by whether two intervals overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from reports.data.runs import RunData
from viubench.comparison.pair import ROUNDING
from viubench.schema import FAILED, TaskEntry
from viubench.schema.gate import MAX_ERRORS
from viubench.scoring.aggregate import value_of
from viubench.stats.estimates import Estimate, Part, weighted_mean
from viubench.stats.paired_differences import Difference, detectable, holm, paired

ALPHA = 0.05
"""Two models are called different below this adjusted two-sided p-value."""


@dataclass(frozen=True)
class Cell:
    """A score in [0, 1] with its 95 % interval, None where only a mean is known.

    `best` is the highest of the models; `tied` stands on every model not separable from it, and on the best itself when
    there is one.
    """

    value: float
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    best: bool = False
    tied: bool = False


@dataclass(frozen=True)
class Contest:
    """The best model of a column against another one.

    Attributes:
        best, other: their places among the runs.
        gap: the best's score minus the other's.
        found: the same over the samples they share, with its interval; None where they share no whole task.
        p: two-sided, adjusted by Holm over all comparisons with this best; None where `found` is.
        tied: the difference may be chance: p is at least `ALPHA`, or without a test the intervals overlap.
    """

    best: int
    other: int
    gap: float
    found: Difference | None
    p: float | None
    tied: bool

    @property
    def verdict(self) -> str:
        """ "better", "not shown", or where there is no test what the intervals say."""
        if self.found is None:
            return "intervals overlap" if self.tied else "intervals apart"
        return "not shown" if self.tied else "better"

    @cached_property
    def detectable(self) -> float | None:
        """The minimum detectable difference of these samples at 80 % power."""
        return None if self.found is None else detectable(self.found, ALPHA / 2)


class Pairing:
    """The headline's units of every run and task, read out once for all comparisons."""

    def __init__(self, runs: Sequence[RunData]) -> None:
        self._runs = runs
        self._parts: dict[tuple[int, str], list[Part] | None] = {}
        self._found: dict[tuple[object, ...], Difference | None] = {}

    def difference(
        self, first: int, second: int, shares: Mapping[str, float], *, answers: bool = True
    ) -> Difference | None:
        """The second run's score minus the first's over whole tasks that both ran alike.

        Args:
            shares: each task's share in the score; they sum to 1.
            answers: whether the protocols must also be alike in how the model answers, free or constrained.

        Returns:
            None where a task is missing, or has other items, another protocol or another definition in one of the two,
            or lost more than `MAX_ERRORS` of its samples: what `viubench compare` refuses.
        """
        key = (first, second, answers, *shares.items())
        if key not in self._found:
            alike = all(self._alike(first, second, task, answers) for task in shares)
            sides = [self._weighted(run, shares) for run in (first, second)] if alike else []
            try:
                self._found[key] = paired(sides[0], sides[1]) if sides and all(sides) else None
            except ValueError:  # other source videos behind the same items
                self._found[key] = None
        return self._found[key]

    def estimate(self, place: int, shares: Mapping[str, float]) -> Estimate | None:
        """A run's score over tasks with its interval, clustered across them; None where its records do not give it."""
        parts = self._weighted(place, shares)
        return weighted_mean(parts) if parts else None

    def _weighted(self, place: int, shares: Mapping[str, float]) -> list[Part]:
        """The units of a run's tasks, by their shares; none where one task has none."""
        parts = [(share, self._units(place, task)) for task, share in shares.items()]
        if any(part is None for _, part in parts):
            return []
        return [(share * w, s, c) for share, part in parts if part is not None for w, s, c in part]

    def _alike(self, first: int, second: int, task: str, answers: bool) -> bool:
        """Whether both ran a task with the same items, under the same protocol and definition."""

        def setup(run: RunData) -> tuple[object, ...]:
            about, result = run.manifest.tasks.get(task) or TaskEntry(), run.results.tasks[task]
            protocol = result.protocol_hash
            if not answers and (known := run.manifest.protocols.get(task)):
                protocol = known.model_copy(update={"answers": "free"}).hash()
            return result.items_hash, protocol, result.n, about.hash, about.average

        one, two = self._runs[first], self._runs[second]
        return task in one.results.tasks and task in two.results.tasks and setup(one) == setup(two)

    def _units(self, place: int, task: str) -> list[Part] | None:
        key = (place, task)
        if key not in self._parts:
            self._parts[key] = _parts(self._runs[place], task)
        return self._parts[key]


def against_best(pairing: Pairing, shares: Mapping[str, float], scores: Mapping[int, Cell]) -> list[Contest]:
    """The best of `scores` (by place of the run) against every other, the nearest first; none with fewer than two."""
    if len(scores) < 2:
        return []
    best = max(scores, key=lambda place: scores[place].value)
    others = sorted((place for place in scores if place != best), key=lambda place: -scores[place].value)
    found = {place: pairing.difference(place, best, shares) for place in others}
    gaps = {place: scores[best].value - scores[place].value for place in others}
    tested = {place: difference for place, difference in found.items() if difference is not None}
    p_values = dict(zip(tested, holm([difference.p_two_sided for difference in tested.values()]), strict=True))
    tied = {
        place: p_values[place] >= ALPHA if place in p_values else _overlap(scores[best], scores[place])
        for place in others
    }
    return [Contest(best, k, gaps[k], found[k], p_values.get(k), tied[k]) for k in others]


def ranks(pairing: Pairing, shares: Mapping[str, float], scores: Mapping[int, Cell]) -> dict[int, int]:
    """The rank of each run: those not separable from the best share its rank, then the same among those left."""
    left, found = dict(scores), dict[int, int]()
    while left:
        rank = len(found) + 1
        contests = against_best(pairing, shares, left)
        group = [contest.other for contest in contests if contest.tied]
        for place in [contests[0].best if contests else next(iter(left)), *group]:
            found[place] = rank
            del left[place]
    return found


def _overlap(one: Cell, two: Cell) -> bool:
    if one.low is None or one.high is None or two.low is None or two.high is None:
        return False
    return one.low <= two.high and two.low <= one.high


def _parts(run: RunData, task: str) -> list[Part] | None:
    """The headline's units by id; None where the records do not make the score that results.json says."""
    rows, result, parts = run.by_task.get(task), run.results.tasks[task], run.parts.get(task)
    if rows is None or parts is None or len(rows) != result.answers:
        return None
    if rows["status"].isin(FAILED).sum() > MAX_ERRORS * len(rows):
        return None
    return parts if abs(value_of(parts) - result.value) < ROUNDING else None
