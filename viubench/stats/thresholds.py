"""At which difficulty a model stands half way between guessing and all right: a Bayesian, adaptive estimate.

Example:
    >>> posterior = Posterior(guess=[0.5, 0.17, 0.04, 0.01, 0.0, 0.0])
    >>> for level in (0, 1, 2, 2, 3, 3, 4, 5) * 3:
    ...     posterior.add(level, float(level < 3))
    >>> found = posterior.estimate()
    >>> round(found.value), found.beyond
    (2, '')

A level x is a place on the axis, 0 for the easiest of L levels. Of what guessing leaves, a model scores the share

    c(x) = (1 - lapse) / (1 + exp(2 ln 9 (x - t) / width - logit(1 / (2 (1 - lapse)))))

so that c(t) = 1/2 at the threshold t whatever the lapse; its score is guess(x) + (1 - guess(x)) c(x). The posterior of
(t, width, lapse) is held on a grid, and the next question is asked at the level whose answer is expected to tell most
about t (Kontsevich & Tyler, "Bayesian adaptive estimation of psychometric slope and threshold" (1999); with the width
and the lapse as nuisances: Prins, "The psi-marginal adaptive method" (2013)).

Scores between 0 and 1 (overlaps, means over parts) enter by the Bernoulli likelihood, score log p + (1 - score) log
(1 - p), which is right for their mean (Papke & Wooldridge, "Econometric methods for fractional response variables"
(1996)). A score in [0, 1] varies at most as much as one of 0 or 1 with its mean, so the interval is never too narrow
for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Beyond = Literal["", "below", "above"]

STEP = 0.1
"""Between two thresholds of the grid, in levels."""

LEAST_REACH = 2.0
"""Levels beyond each end of the axis that the grid has at least, so that an axis of few levels is not thought known."""

WIDTHS = 10
"""Widths of the grid, evenly in logarithm from a quarter of a level to three times the axis."""

LAPSES = np.array([0.0, 0.03, 0.08, 0.18, 0.35])
LAPSE_PRIOR = (1 - LAPSES) ** 8

LEVEL = 0.95
"""Of the credible interval."""

TINY = 1e-6


@dataclass(frozen=True)
class Threshold:
    """A threshold in levels from the easiest, 0, and its central credible interval.

    Attributes:
        value: the posterior's median; it and the interval may lie outside [0, L - 1], where nothing was asked: they say
            then on which side the threshold is, and no more.
        beyond: the side, where the median lies outside the axis.
        outside: the posterior probability of each side, below the easiest level and above the hardest.
    """

    value: float
    low: float
    high: float
    beyond: Beyond
    outside: tuple[float, float]


class Posterior:
    """What is known of one model on one axis.

    Args:
        guess: the score of guessing at each level, from the easiest to the hardest, in [0, 1).

    Raises:
        ValueError: fewer than two levels, or a guess outside [0, 1).
    """

    def __init__(self, guess: Sequence[float]) -> None:
        self.guess = np.asarray(guess, np.float64)
        if len(self.guess) < 2 or not ((self.guess >= 0) & (self.guess < 1)).all():
            raise ValueError(f"at least two levels, each with a guess in [0, 1), not {list(guess)}")
        last = len(self.guess) - 1
        self.levels = np.arange(last + 1, dtype=np.float64)
        reach = max(last / 2, LEAST_REACH)
        self.thresholds = np.arange(-reach, last + reach + STEP / 2, STEP)
        self._widths = np.geomspace(0.25, 3.0 * last, WIDTHS)
        self._log = np.broadcast_to(np.log(LAPSE_PRIOR), (len(self.thresholds), WIDTHS, len(LAPSES))).copy()
        share = self._corrected(self.levels)
        floor = self.guess[:, None, None, None]
        self._right = np.clip(floor + (1 - floor) * share, TINY, 1 - TINY)

    def add(self, level: int, score: float) -> None:
        """An answer at a level, its score in [0, 1]."""
        if not 0 <= score <= 1:
            raise ValueError(f"a score of {score}")
        right = self._right[level]
        self._log += score * np.log(right) + (1 - score) * np.log1p(-right)
        self._log -= self._log.max()

    def next(self, room: Sequence[int], count: int) -> list[int]:
        """The levels of the next `count` questions, where `room` says how many each level still has.

        Each is the one expected to tell most about the threshold, after those before it were answered as expected.
        Fewer where there is no room.
        """
        left, log = np.array(room), self._log.copy()
        chosen: list[int] = []
        while len(chosen) < count and left.any():
            told, expected = self._information(log)
            level = int(np.argmax(np.where(left > 0, told, -np.inf)))
            chosen.append(level)
            left[level] -= 1
            right = self._right[level]
            log += expected[level] * np.log(right) + (1 - expected[level]) * np.log1p(-right)
        return chosen

    def estimate(self) -> Threshold:
        """The threshold as far as it is known."""
        weights = self._weights(self._log).sum(axis=(1, 2))
        reached = np.cumsum(weights) - weights / 2
        tail = (1 - LEVEL) / 2
        low, value, high = (float(np.interp(share, reached, self.thresholds)) for share in (tail, 0.5, 1 - tail))
        last = self.levels[-1]
        outside = float(weights[self.thresholds < 0].sum()), float(weights[self.thresholds > last].sum())
        beyond: Beyond = "below" if value < 0 else "above" if value > last else ""
        return Threshold(value, low, high, beyond, outside)

    def curve(self, places: Sequence[float]) -> Floats:
        """The share c at each place, of what guessing leaves: its posterior median and interval [P, 3]."""
        weights = self._weights(self._log).ravel()
        rows = []
        for share in self._corrected(np.asarray(places, np.float64)).reshape(len(places), -1):
            order = np.argsort(share)
            reached = np.cumsum(weights[order])
            at = np.searchsorted(reached, [0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2])
            rows.append(share[order[np.minimum(at, len(order) - 1)]])
        return np.array(rows)

    def _corrected(self, places: Floats) -> Floats:
        """c at each place, for every threshold, width and lapse [P, T, W, L]."""
        away = places[:, None, None, None] - self.thresholds[:, None, None]
        at = 1 / (2 * (1 - LAPSES))
        slope = 2 * np.log(9) / self._widths[:, None]
        exponent = np.clip(slope * away - np.log(at / (1 - at)), -60, 60)
        return np.asarray((1 - LAPSES) / (1 + np.exp(exponent)), np.float64)

    def _information(self, log: Floats) -> tuple[Floats, Floats]:
        """By level: what an answer is expected to tell about the threshold, in nats, and the score that is expected."""
        weights = self._weights(log)
        marginal = weights.sum(axis=(1, 2))
        given = np.einsum("xtwl,twl->xt", self._right, weights) / np.maximum(marginal, 1e-300)
        expected = given @ marginal
        return _entropy(expected) - _entropy(np.clip(given, TINY, 1 - TINY)) @ marginal, expected

    @staticmethod
    def _weights(log: Floats) -> Floats:
        weights = np.exp(log - log.max())
        return np.asarray(weights / weights.sum(), np.float64)


def _entropy(share: Floats) -> Floats:
    return np.asarray(-share * np.log(share) - (1 - share) * np.log1p(-share), np.float64)
