"""Something drawn and judged again and again, and how often each outcome came about against its bounds.

Example:
    >>> coin = Experiment("a fair coin", lambda rng: {"heads": rng.random() < 0.5}, {"heads": (0.4, 0.6)})
    >>> [(row.what, row.broken) for row in simulate([coin], runs=100, seed=0)]
    [('heads', False)]
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Bound = tuple[float, float]
ANY: Bound = (0.0, 1.0)

ERRORS = 3.0
"""Monte Carlo standard errors by which a share may miss its bound before it counts as broken."""


@dataclass(frozen=True)
class Experiment:
    """One thing to try.

    Attributes:
        scenario: what is drawn.
        once: draws one run and says of each outcome whether it came about.
        bounds: of each outcome, between which shares of the runs it has to come about.
    """

    scenario: str
    once: Callable[[np.random.Generator], Mapping[str, bool]]
    bounds: Mapping[str, Bound]


@dataclass(frozen=True)
class OutcomeRow:
    """How often an outcome came about: as a share of the runs, and the bounds that the true share has to meet."""

    what: str
    scenario: str
    runs: int
    share: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Monte Carlo standard error of the share."""
        return math.sqrt(self.share * (1 - self.share) / self.runs)

    @property
    def broken(self) -> bool:
        """Whether the share is farther beyond a bound than chance takes it when the true share is at the bound."""
        below, above = (ERRORS * math.sqrt(bound * (1 - bound) / self.runs) for bound in (self.low, self.high))
        return not self.low - below <= self.share <= self.high + above


def simulate(
    tried: Sequence[Experiment], runs: int, seed: int, progress: Callable[[int, int, str], None] | None = None
) -> list[OutcomeRow]:
    """Every experiment `runs` times, from a generator of its own: equal seeds give equal rows.

    Args:
        progress: called with how many runs are done, how many there are in all, and the scenario at hand.
    """
    rows: list[OutcomeRow] = []
    seeds = np.random.SeedSequence(seed).spawn(len(tried))
    for number, (experiment, own) in enumerate(zip(tried, seeds, strict=True)):
        rng, seen = np.random.default_rng(own), Counter[str]()
        for done in range(runs):
            if progress:
                progress(number * runs + done, len(tried) * runs, experiment.scenario)
            seen.update(what for what, happened in experiment.once(rng).items() if happened)
        for what, (low, high) in experiment.bounds.items():
            rows.append(OutcomeRow(what, experiment.scenario, runs, seen[what] / runs, low, high))
    if progress:
        progress(len(tried) * runs, len(tried) * runs, "")
    return rows
