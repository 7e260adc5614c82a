"""How many questions and runs a floor needs, and how often a plain `score >= floor` fails where nothing changed.

Example:
    >>> noise = Noise.of([Measured.counted(score, 900) for score in (0.62, 0.63, 0.66, 0.63, 0.64)])
    >>> [(row.runs, round(row.power, 2), row.questions) for row in rows(noise, 0.63, 0.60, runs=(1, 3))]
    [(1, 0.5, 2126), (3, 0.91, 611)]

The variance between runs has two components: that of their answers, which falls with the questions, and that of whole
runs, which does not. The second is what exceeds the first, the moment estimator of DerSimonian and Laird,
"Meta-analysis in clinical trials" (1986); the first is at most that of questions which are right with one probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from viubench.errors import ViubenchError
from viubench.stats.estimates import TINY, t_quantile
from viubench.stats.floors import Measured, alarms, between, mean_score, runs_of

MOST = 1e6
"""Times the questions beyond which no number of them is enough."""


@dataclass(frozen=True)
class Noise:
    """How far runs of unchanged code are apart.

    Attributes:
        score: of main, the mean of `runs` runs.
        questions: of each run; 0 where that is not known.
        answers, whole: variance between runs by their answers, and by what moves a whole run.
        degrees: of freedom of their sum.
        measured: whether it was measured between runs, or is that of the questions of a single one.
    """

    score: float
    runs: int
    questions: int
    answers: float
    whole: float
    degrees: float
    measured: bool

    @classmethod
    def of(cls, main: Sequence[Measured]) -> Noise:
        """Raises ViubenchError where nothing says how far runs are apart."""
        variance, degrees = between(main)
        error = main[0].error
        questions = sum(len(scores) for _, scores, _ in main[0].parts)
        if variance > TINY**2:
            answers = variance if error is None else min(variance, error.independent**2)
            return cls(mean_score(main), runs_of(main), questions, answers, variance - answers, degrees, True)
        if error is None or error.se < TINY:
            hint = "give several runs of main, or one with its questions"
            raise ViubenchError("one run does not say how far runs of main are apart", where="--baseline", hint=hint)
        return cls(mean_score(main), runs_of(main), questions, error.se**2, 0.0, error.degrees, False)

    @property
    def deviation(self) -> float:
        """Standard deviation between runs."""
        return math.sqrt(self.answers + self.whole)

    def with_questions(self, times: float) -> Noise:
        """The same with so many times the questions."""
        return replace(self, answers=self.answers / times)

    def of_mean(self, runs: int) -> tuple[float, float]:
        """Standard error of the mean of so many runs, and its degrees of freedom in the test of them."""
        degrees = self.degrees + runs - 1 if self.measured else self.degrees if runs == 1 else runs - 1
        return self.deviation / math.sqrt(runs), degrees

    def _of_prediction(self, runs: int) -> float:
        """How far the mean of so many further runs may be from that of these, in standard errors of t."""
        return self.deviation * math.sqrt(1 / runs + 1 / self.runs)

    def plain_failures(self, floor: float, runs: int = 1) -> float:
        """How often the mean of so many further runs of main is below the floor, by nothing but chance."""
        from scipy.special import stdtr

        return float(stdtr(self.degrees, (floor - self.score) / self._of_prediction(runs)))

    def plain_floor(self, alpha: float = 0.05, runs: int = 1) -> float:
        """The highest floor below which that is in alpha of all cases: the one-sided prediction bound (Hahn and Meeker,
        "Statistical Intervals" (1991), section 4.8)."""
        return self.score - t_quantile(1 - 2 * alpha, self.degrees) * self._of_prediction(runs)


@dataclass(frozen=True)
class PlanRow:
    """What a gate of so many `runs` of the candidate does.

    Attributes:
        alarm: the measured mean below which it raises an alarm.
        false_alarms: how often it does where the true score is still that of main.
        power: how often it finds the true score that it is to find, with as many questions as now.
        questions: how many would find it with the wanted power; None where no number does.
    """

    runs: int
    alarm: float
    false_alarms: float
    power: float
    questions: int | None


def rows(
    noise: Noise, floor: float, detect: float, alpha: float = 0.05, power: float = 0.8,
    runs: Sequence[int] = (1, 2, 3, 5, 10),
) -> list[PlanRow]:  # fmt: skip
    """A row for each number of runs of the candidate.

    Args:
        detect: the true score, below the floor, that the gate is to find with the probability `power`.
    """
    planned = []
    for count in runs:
        se, degrees = noise.of_mean(count)
        planned.append(
            PlanRow(
                runs=count,
                alarm=max(floor - t_quantile(1 - 2 * alpha, degrees) * se, 0.0),
                false_alarms=alarms(noise.score, floor, se, degrees, alpha),
                power=alarms(detect, floor, se, degrees, alpha),
                questions=_questions(noise, floor, detect, alpha, power, count) if noise.questions else None,
            )
        )
    return planned


def _questions(noise: Noise, floor: float, detect: float, alpha: float, power: float, runs: int) -> int | None:
    def found(times: float) -> bool:
        return alarms(detect, floor, *noise.with_questions(times).of_mean(runs), alpha) >= power

    low, high = 2 / noise.questions, MOST
    if not found(high):
        return None
    while high - low > 0.2 / noise.questions:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return math.ceil(high * noise.questions)
