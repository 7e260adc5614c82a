"""Statistics of evals: means with errors clustered by source video, and intervals that hold near 0 and 1.

Example:
    >>> mean([1, 0, 1, 1], clusters=["a", "a", "b", "c"]).value
    0.75

Sources: Miller, "Adding Error Bars to Evals" (arXiv 2411.00640) for the clustered error, with the C/(C-1) factor;
Wilson (1927) for proportions. Items of one source video are not independent, so the video is the unit.
What two runs of the same items differ by is in `viubench.differences`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean in [0, 1] with its clustered standard error and confidence interval.

    Attributes:
        design_effect: clustered variance over the variance of independent items; 1 when there is nothing to tell.
    """

    value: float
    se: float
    low: float
    high: float
    n: int
    clusters: int
    design_effect: float = 1.0


def mean(scores: Sequence[float], clusters: Sequence[Hashable], level: float = 0.95) -> Estimate:
    """Mean of item scores with a clustered interval: t with C-1 degrees of freedom, Wilson's near 0 and 1.

    Near means that the symmetric interval would leave [0, 1], or that all scores are equal and it would be a point.
    Wilson's is made for shares; for other scores in [0, 1], whose variance is smaller, it is wider than it need be.

    Args:
        scores: one number in [0, 1] per item.
        clusters: the source video of each item.
        level: confidence level in (0, 1).

    With a single cluster nothing is known about other videos: the interval is [0, 1].

    Raises:
        ValueError: no items, or lists of different length.
    """
    values = np.asarray(scores, dtype=np.float64)
    if len(values) == 0 or len(values) != len(clusters):
        raise ValueError(f"{len(values)} scores and {len(clusters)} clusters: need equally many, at least one")
    n, value = len(values), float(values.mean())
    sums = cluster_sums(values - value, clusters)
    count = len(sums)
    independent = float(np.sqrt(((values - value) ** 2).sum() / (n * max(n - 1, 1))))
    if count == 1:
        return Estimate(value, independent, 0.0, 1.0, n, 1)
    se = float(np.sqrt(count / (count - 1) * (sums**2).sum())) / n
    effect = (se / independent) ** 2 if independent > 0 else 1.0
    quantile = t_quantile(level, count - 1)
    low, high = value - quantile * se, value + quantile * se
    if se < 1e-12 or low < 0 or high > 1:
        low, high = wilson(value, n / max(effect, 1.0), quantile)
    return Estimate(value, se, max(low, 0.0), min(high, 1.0), n, count, effect)


Part = tuple[float, Sequence[float], Sequence[Hashable]]
"""(weight, scores, clusters): items whose mean counts with this weight."""


def weighted_mean(parts: Sequence[Part], level: float = 0.95) -> Estimate:
    """Weighted sum of the parts' means, clustered across parts: a video that is in several of them is one cluster.

    Each item's share in the value is weight x (score - part mean) / items of the part; the shares are summed per video
    and treated as the clustered mean treats its deviations.

    Args:
        parts: the weights sum to 1.
    """
    shares: list[Floats] = []
    owners: list[Hashable] = []
    value = 0.0
    for weight, scores, clusters in parts:
        values = np.asarray(scores, dtype=np.float64)
        value += weight * float(values.mean())
        shares.append(weight * (values - values.mean()) / len(values))
        owners.extend(clusters)
    sums = cluster_sums(np.concatenate(shares), owners)
    count = len(sums)
    if count == 1:
        return Estimate(value, 0.0, 0.0, 1.0, len(owners), 1)
    se = float(np.sqrt(count / (count - 1) * (sums**2).sum()))
    if se == 0:  # every score of every part is the same: only the number of items speaks
        low, high = wilson(value, len(owners), t_quantile(level, count - 1))
    else:
        low, high = value - t_quantile(level, count - 1) * se, value + t_quantile(level, count - 1) * se
    return Estimate(value, se, max(low, 0.0), min(high, 1.0), len(owners), count)


def wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion; `n` may be an effective sample size, `quantile` is z or t."""
    z2 = quantile**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    return centre - half, centre + half


def cluster_sums(deviations: Floats, clusters: Sequence[Hashable]) -> Floats:
    """Sum of the deviations of each cluster, clusters in order of first appearance; float64 [C]."""
    index: dict[Hashable, int] = {}
    codes = np.fromiter((index.setdefault(c, len(index)) for c in clusters), dtype=np.int64, count=len(clusters))
    sums: Floats = np.bincount(codes, weights=deviations, minlength=len(index)).astype(np.float64)
    return sums


def t_quantile(level: float, degrees: float) -> float:
    """How many standard errors reach from the mean to either end of an interval of this level."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + level / 2))
