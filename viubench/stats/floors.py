"""Whether the true score of a model is below a floor, from one or several runs of the same questions.

Example:
    >>> main = [Measured(score) for score in (0.62, 0.63, 0.66, 0.63, 0.64)]
    >>> test = below(0.64, [Measured(0.60)], main)
    >>> round(test.se, 4), test.degrees, round(test.p_below, 3)
    (0.0152, 4, 0.029)

The true score is the mean over reruns. Runs of unchanged code differ from each other by what their answers do and by
what moves a whole run (the machine, the batches, the day); both are in the spread between runs. So the runs are the
units, of random effects: Student's t of their scores, which for runs of equally many questions is the interval of
Hartung and Knapp, "A refined method for the meta-analysis of controlled clinical trials with binary outcome" (2001).
Runs of main and of the candidate have one variance, pooled. With one run in all, its questions say how far it may be
off: the error over questions is at least that of reruns as long as nothing moves whole runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from viubench.stats.estimates import TINY, Part, Spread, ends, spread, t_quantile

Source = Literal["runs", "questions", "none"]
"""What the error is from: the spread between runs, the questions of a single run, or nothing that says it."""

SMALLEST = 1e-9
"""One-sided p-values below this are not told apart."""


@dataclass(frozen=True)
class Measured:
    """A score of a task in [0, 1], with what it is the mean of (see `viubench.scoring.aggregate.headline_parts`) where
    that is known. It may be the mean of several `runs`, with a standard deviation `spread` between them."""

    score: float
    parts: tuple[Part, ...] = ()
    runs: int = 1
    spread: float = 0.0

    @classmethod
    def counted(cls, score: float, questions: int, runs: int = 1, spread: float = 0.0) -> Measured:
        """Of so many independent questions, each right or wrong: what a file says that holds no answers."""
        right = score * questions
        scores = [min(max(right - place, 0.0), 1.0) for place in range(questions)]
        return cls(score, ((1.0, scores, range(questions)),) if questions else (), runs, spread)

    @property
    def error(self) -> Spread | None:
        """How far the score may be off for other questions; None where these say nothing of it."""
        error = spread(self.parts) if self.parts else None
        return error if error is not None and error.clusters > 1 else None


@dataclass(frozen=True)
class FloorTest:
    """A test of "the true score is at least the floor".

    Attributes:
        score: mean of `runs` runs.
        se, degrees: its standard error, and the degrees of freedom of that.
        high: upper end of the one-sided interval at alpha.
        p_below: one-sided p-value; small where the true score is below the floor.
        alarm: measured scores below this one are an alarm at alpha; None where there is no error to go by.
    """

    score: float
    runs: int
    se: float
    degrees: float
    high: float
    p_below: float
    alarm: float | None
    source: Source


def mean_score(measured: Sequence[Measured]) -> float:
    """The mean over all runs."""
    return sum(one.runs * one.score for one in measured) / runs_of(measured)


def runs_of(measured: Sequence[Measured]) -> int:
    return sum(one.runs for one in measured)


def between(*groups: Sequence[Measured]) -> tuple[float, int]:
    """Variance between the runs of a group, pooled over groups, and its degrees of freedom (0: unknown)."""
    squares, degrees = 0.0, 0
    for group in filter(None, groups):
        centre = mean_score(group)
        squares += sum((one.runs - 1) * one.spread**2 + one.runs * (one.score - centre) ** 2 for one in group)
        degrees += runs_of(group) - 1
    return (squares / degrees if degrees else 0.0), degrees


def below(floor: float, candidate: Sequence[Measured], main: Sequence[Measured] = (), alpha: float = 0.05) -> FloorTest:
    """Test whether the true score of the candidate's runs is below `floor`; the runs of main only say how far runs of
    one model are apart. A true score at or above the floor gives a `p_below` under alpha in alpha of all tests at most.

    Args:
        candidate: one run or more, all of the same questions, as those of main.
    """
    from scipy.special import stdtr

    score, runs = mean_score(candidate), runs_of(candidate)
    variance, degrees = between(candidate, main)
    if variance > TINY**2:
        se = math.sqrt(variance / runs)
        reach = t_quantile(1 - 2 * alpha, degrees) * se
        p_below = float(stdtr(degrees, (score - floor) / se))
        return FloorTest(score, runs, se, degrees, min(score + reach, 1.0), p_below, floor - reach, "runs")
    if (error := candidate[0].error) is None:
        return FloorTest(score, runs, 0.0, 0.0, 1.0, 1.0, None, "none")
    high = ends(score, error, 1 - 2 * alpha)[1]
    alarm = floor - t_quantile(1 - 2 * alpha, error.degrees) * error.se if error.se >= TINY else None
    return FloorTest(score, runs, error.se, error.degrees, high, _p_of(floor, score, error), alarm, "questions")


def _p_of(floor: float, score: float, error: Spread) -> float:
    """The smallest alpha whose interval ends below the floor."""
    low, most = math.log(SMALLEST), math.log(0.5)
    if score >= floor or ends(score, error, 0.0)[1] >= floor:
        return 1.0
    for _ in range(30):
        middle = (low + most) / 2
        if ends(score, error, 1 - 2 * math.exp(middle))[1] < floor:
            most = middle
        else:
            low = middle
    return math.exp(most)


def alarms(true: float, floor: float, se: float, degrees: float, alpha: float = 0.05) -> float:
    """How often the test raises an alarm where the true score is `true`: the power below the floor, the rate of false
    alarms from it on. Of the noncentral t."""
    from scipy.special import nctdtr

    if se < TINY:
        return float(true < floor)
    return float(nctdtr(degrees, (true - floor) / se, -t_quantile(1 - 2 * alpha, degrees)))


def found(floor: float, se: float, degrees: float, alpha: float, power: float = 0.8) -> float | None:
    """The highest true score that is found to be below the floor with this power; None where there is no error."""
    from scipy.special import nctdtrinc

    if se < TINY:
        return None
    effect = float(nctdtrinc(degrees, 1 - power, t_quantile(1 - 2 * alpha, degrees)))
    return max(floor - effect * se, 0.0)
