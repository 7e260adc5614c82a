"""The gate of floors on drawn runs: alarms where the true score is at the floor, and whether the planned power comes
about.

Example:
    >>> from tests.bench.simulation.experiment import simulate
    >>> simulate(experiments()[:1], runs=50, seed=0)[0].share < 0.2
    True

Each question has a probability of its own to be answered right, each run may be moved as a whole, and the true score is
the mean over reruns of the same questions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tests.bench.simulation.experiment import ANY, Bound, Experiment
from tests.bench.simulation.worlds import Generator
from viubench.stats.floor_plans import Noise, rows
from viubench.stats.floors import Measured, below
from viubench.stats.paired_differences import holm

ALARM, ANY_ALARM = "the gate raises an alarm", "one of the gates raises an alarm"
PLAIN = "a plain score >= floor fails"
AT_MOST: Bound = (0.0, 0.05)
AS_PLANNED: Bound = (0.78, 0.85)
DROP = 0.02
FLOORS = 6


@dataclass(frozen=True)
class Service:
    """How a model is measured: `main` runs of main and `runs` of the candidate, of `questions` each, of which all of a
    run are moved by `whole` (a standard deviation)."""

    main: int
    runs: int
    questions: int = 900
    whole: float = 0.0
    score: float = 0.63

    @property
    def name(self) -> str:
        moved = f", runs moved by {100 * self.whole:g} points" if self.whole else ""
        return f"{self.runs} of the candidate, {self.main} of main, {self.questions:,} questions{moved}"

    def rates(self, rng: Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """How often each question is answered right."""
        return np.clip(rng.beta(2 * self.score, 2 * (1 - self.score), self.questions), 0.05, 0.95)

    def measure(self, rng: Generator, rates: np.ndarray[tuple[int], np.dtype[np.float64]], runs: int) -> list[Measured]:
        """So many runs."""
        found = []
        for _ in range(runs):
            right = rng.random(self.questions) < rates + rng.normal(0.0, self.whole)
            found.append(Measured(float(right.mean()), ((1.0, right.astype(float), range(self.questions)),)))
        return found


def experiments() -> list[Experiment]:
    return [*_at_the_floor(), *_several(), *_planned()]


def _at_the_floor() -> list[Experiment]:
    tried = (
        Service(5, 1), Service(10, 1), Service(3, 3), Service(0, 5), Service(2, 1), Service(10, 1, 50),
        Service(5, 1, whole=0.01), Service(3, 3, 3000, whole=0.02), Service(0, 1), Service(0, 1, 50),
        Service(5, 1, 300, score=0.95),
    )  # fmt: skip
    bounds = {ALARM: AT_MOST, PLAIN: ANY}
    return [Experiment(f"{one.name}, {100 * one.score:g} % right", partial(_once, one), bounds) for one in tried]


def _once(service: Service, rng: Generator) -> dict[str, bool]:
    rates = service.rates(rng)
    floor = float(rates.mean())
    candidate, main = service.measure(rng, rates, service.runs), service.measure(rng, rates, service.main)
    test = below(floor, candidate, main)
    return {ALARM: test.p_below < 0.05, PLAIN: test.score < floor}


def _several() -> list[Experiment]:
    service = Service(5, 1)
    return [Experiment(f"{FLOORS} floors, {service.name}", partial(_all, service), {ANY_ALARM: AT_MOST})]


def _all(service: Service, rng: Generator) -> dict[str, bool]:
    p_values = []
    for _ in range(FLOORS):
        rates = service.rates(rng)
        candidate, main = service.measure(rng, rates, service.runs), service.measure(rng, rates, service.main)
        p_values.append(below(float(rates.mean()), candidate, main).p_below)
    return {ANY_ALARM: min(holm(p_values)) < 0.05}


def _planned() -> list[Experiment]:
    tried = (Service(5, 1), Service(10, 1), Service(5, 3), Service(10, 3, whole=0.005), Service(10, 5, whole=0.01))
    planned = [replace(one, questions=_questions(one)) for one in tried]
    return [
        Experiment(f"{one.name}, {100 * DROP:g} points below", partial(_below, one), {ALARM: AS_PLANNED})
        for one in planned
    ]


def _questions(service: Service) -> int:
    """What the plan asks for, were the variances known; with a draw of many questions for that of the answers."""
    rates = replace(service, questions=100_000).rates(np.random.default_rng(0))
    answers = float((rates * (1 - rates)).mean()) / service.questions
    floor = service.score + DROP
    noise = Noise(floor, service.main, service.questions, answers, service.whole**2, service.main - 1, True)
    return rows(noise, floor, service.score, runs=(service.runs,))[0].questions or 0


def _below(service: Service, rng: Generator) -> dict[str, bool]:
    rates = service.rates(rng)
    candidate, main = service.measure(rng, rates, service.runs), service.measure(rng, rates, service.main)
    return {ALARM: below(float(rates.mean()) + DROP, candidate, main).p_below < 0.05}
