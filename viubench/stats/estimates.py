"""Statistics of evals: means with errors clustered by source video, and intervals that hold near 0 and 1.

Example:
    >>> mean([1, 0, 1, 1], clusters=["a", "a", "b", "c"]).value
    0.75

Items of one source video are not independent, so the video is the unit (Miller, "Adding Error Bars to Evals", arXiv
2411.00640). The usual clustered error with t of C-1 degrees of freedom is too bold where videos are few, or a few of
them hold many of the items; so the error is the jackknife's, which leaves out each video in turn, and its degrees of
freedom are Satterthwaite's. docs/statistics.md has the formulas with their sources, and what simulation says of them.
Near 0 and 1, where a symmetric interval fails, `exact` takes over.
What two runs of the same items differ by is in `viubench.stats.paired_differences`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Part = tuple[float, Sequence[float] | Floats, Sequence[Hashable]]
"""(weight, scores, clusters): items whose mean counts with this weight."""

Interval = Literal["t", "exact"]
"""How an interval was made: by t around the mean, or by `exact`, near the ends. Of one video it is the whole range."""

TINY = 1e-12
"""Errors and differences below this are rounding."""

NEAR = 3.0
"""The mean is near 0 or 1 where a t interval of so many times its width would leave [0, 1]: with fewer than about 34
items wrong (or right) of independent ones. Up to there t covers less than it says."""

CORRELATION = 0.1
"""Of two items of a video being wrong: what is expected where few items are wrong, which cannot show it."""

PAIRS = 200.0
"""How many pairs of items outweigh that expectation."""


@dataclass(frozen=True)
class Estimate:
    """A mean in [0, 1] with its clustered standard error and confidence interval, made as `interval` says.

    Attributes:
        design_effect: clustered variance over the variance of independent items; 1 where it cannot be estimated.
    """

    value: float
    se: float
    low: float
    high: float
    n: int
    clusters: int
    design_effect: float = 1.0
    interval: Interval = "t"


@dataclass(frozen=True)
class Spread:
    """How far a weighted mean may be off.

    Attributes:
        se: standard error clustered by video, 0 with a single one.
        degrees: its degrees of freedom for t; C-1 where C videos weigh the same, else fewer.
        independent: the error, were all items independent.
        apart, together: variance of the mean of items of variance 1, were they independent (1/n of n items that weigh
            the same), and what is added to it were those of a video all equal.
        correlation: of two items of a video, in [0, 1].
    """

    se: float
    degrees: float
    independent: float
    clusters: int
    apart: float = 0.0
    together: float = 0.0
    correlation: float = 0.0

    def size(self, share: float) -> float:
        """How many independent items these are worth at most, where a `share` of them in [0, 1] is wrong (or right).

        The more pairs of items of a video could both be wrong, the more the correlation seen counts.
        """
        seen = min(share, 1 - share) * self.together / (2 * self.apart**2)
        return 1 / (self.apart + (self.correlation * seen + CORRELATION * PAIRS) / (seen + PAIRS) * self.together)


def mean(scores: Sequence[float] | Floats, clusters: Sequence[Hashable], level: float = 0.95) -> Estimate:
    """Mean of item scores with a clustered interval: t around the mean, exact near 0 and 1 (`NEAR`), and where all
    scores are equal, so that t would make it a point.

    With a single cluster nothing is known about other videos: the interval is [0, 1].

    Args:
        scores: one number in [0, 1] per item, and its source video in `clusters`.
        level: confidence level in (0, 1).

    Raises:
        ValueError: no items, or lists of different length.
    """
    if not 0 < len(scores) == len(clusters):
        raise ValueError(f"{len(scores)} scores and {len(clusters)} clusters: need equally many, at least one")
    parts: list[Part] = [(1.0, scores, clusters)]
    estimate = weighted_mean(parts, level)
    return estimate if estimate.clusters > 1 else replace(estimate, se=spread(parts).independent)


def weighted_mean(parts: Sequence[Part], level: float = 0.95) -> Estimate:
    """Weighted sum of the parts' means, clustered across parts: a video that is in several of them is one cluster.

    Args:
        parts: the weights sum to 1.
    """
    value = float(sum(weight * np.mean(scores) for weight, scores, _ in parts))
    n, error = sum(len(scores) for _, scores, _ in parts), spread(parts)
    if error.clusters == 1:
        return Estimate(value, 0.0, 0.0, 1.0, n, 1)
    low, high, interval = ends(value, error, level)
    effect = (error.se / error.independent) ** 2 if error.independent > 0 else 1.0
    return Estimate(value, error.se, low, high, n, error.clusters, effect, interval)


def ends(value: float, error: Spread, level: float) -> tuple[float, float, Interval]:
    """The interval of a mean in [0, 1] with this error, of two videos or more, and how it was made."""
    half = t_quantile(level, error.degrees) * error.se
    if error.se >= TINY and NEAR * half <= value <= 1 - NEAR * half:
        return value - half, value + half, "t"
    return *exact(value, error, level), "exact"


def exact(value: float, error: Spread, level: float) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of the mean of scores in [0, 1], of their effective number.

    That number is value (1 - value) / se^2, which is n of independent right-or-wrong items, times (z / t)^2 since the
    error is an estimate; at most `error.size`. The method is Korn and Graubard's, "Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data" (1998); the bound stands in for their
    rule that clustering makes no sample larger. Scores between 0 and 1 vary less, so it holds for them too.

    Args:
        error: of two videos or more.
    """
    from scipy.special import betaincinv, ndtri

    n = error.size(value)
    if error.se >= TINY:
        few = (float(ndtri(0.5 + level / 2)) / t_quantile(level, error.degrees)) ** 2
        n = min(n, value * (1 - value) / error.se**2 * few)
    right, wrong, tail = n * value, n * (1 - value), (1 - level) / 2
    low = float(betaincinv(right, wrong + 1, tail)) if right > TINY else 0.0
    high = float(betaincinv(right + 1, wrong, 1 - tail)) if wrong > TINY else 1.0
    return low, high


def spread(parts: Sequence[Part]) -> Spread:
    """Standard error of the parts' weighted mean by the cluster jackknife (CV3), and its degrees of freedom.

    Without video c the mean of a part moves by the sum of c's deviations from it over the items that are left. With
    m_c what the weighted mean moves by, the variance is (C-1)/C x the sum of m_c^2 (MacKinnon, Nielsen and Webb 2023).
    Where each video has one item it is that of the textbook. A part of one video does not move: nothing is known.

    Args:
        parts: each of at least one item; scores of any range.
    """
    index = {video: code for code, video in enumerate(dict.fromkeys(chain.from_iterable(ids for _, _, ids in parts)))}
    coded = [np.fromiter(map(index.__getitem__, ids), np.int64, len(ids)) for _, _, ids in parts]
    count = len(index)
    moves, sums, reach, alone = (np.zeros(count) for _ in range(4))  # alone: variance of independent items' shares
    squares = independent = 0.0
    for (weight, scores, _), codes in zip(parts, coded, strict=True):
        values, n = np.asarray(scores, dtype=np.float64), len(scores)
        shares = weight / n * (values - values.mean())
        held, of_video = np.bincount(codes, minlength=count), np.bincount(codes, shares, count)
        sums += of_video
        moves += np.where(held < n, n / np.maximum(n - held, 1) * of_video, 0.0)
        reach += weight / n * held
        alone += (weight / n) ** 2 * held
        squares += float((shares**2).sum())
        independent += float((shares**2).sum()) * n / max(n - 1, 1)
    if count == 1:
        return Spread(0.0, 0.0, math.sqrt(independent), 1)
    se = math.sqrt((count - 1) / count * float((moves**2).sum()))
    excess = reach**2 - alone
    apart, together, correlation = float(alone.sum()), float(excess.sum()), 0.0
    if squares >= TINY**2 and together >= TINY:
        correlation = (float((sums**2).sum()) - squares) / together * apart / squares
        correlation = min(max(correlation, 0.0), 1.0)
    degrees = _degrees(reach, alone + correlation * excess)
    return Spread(se, degrees, math.sqrt(independent), count, apart, max(together, 0.0), correlation)


def _degrees(reach: Floats, variances: Floats) -> float:
    """Satterthwaite's degrees of freedom of the jackknife's variance (Bell and McCaffrey 2002), where any two items of
    a video are equally correlated (Imbens and Kolesar 2016): 2 x mean^2 / variance of that variance, were all normal.

    Args:
        reach: [C], each video's weight in the mean, which sum to 1.
        variances: [C], of each video's share in the mean, up to a common factor.
    """
    v = variances / variances.sum()
    # The variance is a sum over videos of a (own error - reach x total error)^2: traces of its matrix and the square.
    a = 1 / (1 - reach) ** 2
    own, both, total = (float((a * x * y).sum()) for x, y in ((reach, reach), (reach, v), (v, v)))
    trace = float((a * (v - 2 * reach * v + reach**2)).sum())
    diagonal = float((a**2 * v * (v + 2 * reach**2 - 4 * reach * v)).sum())
    return trace**2 / (diagonal + 2 * own * total + 2 * both**2 - 4 * own * both + own**2)


def t_quantile(level: float, degrees: float) -> float:
    """How many standard errors reach from the mean to either end of an interval of this level."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + level / 2))
