"""The difference of two runs of the same items: paired, clustered by source video, corrected for many tasks.

Example:
    >>> before, after = [1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 1, 1]
    >>> videos = ["a", "b", "c", "d", "e", "f"]
    >>> difference = paired([(1.0, before, videos)], [(1.0, after, videos)])
    >>> round(difference.mean, 3), difference.better, difference.worse, difference.test
    (0.167, 2, 1, 'exact McNemar')

Sources: Miller, "Adding Error Bars to Evals" (arXiv 2411.00640), sections 4 and 5, for paired differences and what they
can detect; McNemar (1947); Zou and Donner (2008) for intervals where few units differ; Holm (1979); Benjamini and
Hochberg (1995).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from viubench.stats.estimates import TINY, Floats, Interval, Part, Spread, exact, spread, t_quantile

Test = Literal["clustered t", "exact McNemar", "none"]

FEWEST = 25.0
"""Discordant units of which normal theory needs so many, of the same size and independent."""

SKEWED = 0.06
"""The skewness of a difference up to which t's bound fails in about alpha of the runs: at the usual alpha of 0.05 each
0.1 adds one point (Hall, "The Bootstrap and Edgeworth Expansion" (1992), section 2.6)."""


@dataclass(frozen=True)
class Difference:
    """Mean of the second run's scores minus the first's, in [-1, 1], with its confidence interval.

    Attributes:
        se: standard error, clustered by source video; with one video, as if its items were independent.
        n, clusters: units compared, and source videos they come from.
        better, worse: units on which the second run scores higher, and lower (the discordant ones).
        p_worse, p_better: one-sided p-values against "the second is not worse" and "not better".
        test: where the p-values come from; "none" with a single video, which says nothing about others.
        degrees: degrees of freedom of the standard error (see `Spread`).
        interval: how it was made.
        size: how many independent units these are worth at most, if none differs (see `Spread.size`).
    """

    mean: float
    se: float
    low: float
    high: float
    n: int
    clusters: int
    better: int
    worse: int
    p_worse: float
    p_better: float
    test: Test
    degrees: float
    interval: Interval
    size: float

    @property
    def p_two_sided(self) -> float:
        """The p-value against "no difference", in either direction."""
        return min(1.0, 2 * min(self.p_worse, self.p_better))


def paired(first: Sequence[Part], second: Sequence[Part], level: float = 0.95) -> Difference:
    """The difference of two headlines over the same units, with the error of `viubench.stats.estimates.spread`.

    Where every unit is right or wrong and has a video of its own, the p-values are McNemar's exact ones. Where few
    units differ, or most of those that do differ in one direction, the interval is `by_gains_and_losses`.

    Args:
        first, second: the parts of each headline (`viubench.scoring.aggregate.headline_parts`), unit by unit in
            the same order.
        level: confidence level in (0, 1).

    Raises:
        ValueError: the parts are not over the same units, or there are none.
    """
    from scipy.special import stdtr

    parts: list[tuple[float, Floats, Sequence[Hashable]]] = []
    for (weight, before, clusters), (other, after, others) in zip(first, second, strict=True):
        if weight != other or list(clusters) != list(others) or not 0 < len(before) == len(after) == len(clusters):
            raise ValueError("the two runs were not scored over the same units in the same order")
        parts.append((weight, np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64), clusters))
    mean = float(sum(weight * values.mean() for weight, values, _ in parts))
    values = np.concatenate([values for _, values, _ in parts])
    n, better, worse = len(values), int((values > TINY).sum()), int((values < -TINY).sum())
    error = spread(parts)
    if error.clusters == 1:
        return Difference(mean, error.independent, -1.0, 1.0, n, 1, better, worse, 1.0, 1.0, "none", 0.0, "t", 1.0)
    half = t_quantile(level, error.degrees) * error.se
    low, high = max(mean - half, -1.0), min(mean + half, 1.0)
    interval: Interval = "t"
    if _few(parts, error):
        (low, high), interval = by_gains_and_losses(parts, error, level), "exact"
    statistic = math.copysign(math.sqrt(n * abs(mean)), mean) if error.se < TINY else mean / error.se
    p_worse, p_better = float(stdtr(error.degrees, statistic)), float(stdtr(error.degrees, -statistic))
    test: Test = "clustered t"
    if len(first) == 1 and n == error.clusters and {*first[0][1], *second[0][1]} <= {0.0, 1.0}:
        (p_worse, p_better), test = mcnemar(better, worse), "exact McNemar"
    return Difference(
        mean, error.se, low, high, n, error.clusters, better, worse, p_worse, p_better, test, error.degrees,
        interval, error.size(0.0),
    )  # fmt: skip


def _few(parts: Sequence[Part], error: Spread) -> bool:
    """Whether normal theory fails: fewer than `FEWEST` discordant units, a skewness beyond `SKEWED`, or no spread.

    Of b units that gain one point and c that lose one the number is b + c, and the skewness (b - c) / (b + c)^1.5; of
    graded differences d it is (sum of |d|)^2 / sum of d^2. A video's units count as one as far as they are correlated.
    """
    if error.se < TINY:
        return True
    change = np.concatenate([weight / len(values) * np.asarray(values) for weight, values, _ in parts])
    around = np.concatenate([weight / len(d) * (np.asarray(d) - np.mean(d)) for weight, d, _ in parts])
    squares = float((around**2).sum())
    skewness = float((around**3).sum()) / squares**1.5 * error.se / error.independent
    return float(np.abs(change).sum()) ** 2 < FEWEST * float((change**2).sum()) or abs(skewness) > SKEWED


def by_gains_and_losses(parts: Sequence[Part], error: Spread, level: float) -> tuple[float, float]:
    """The interval of a mean difference from the exact ones of its gains and of its losses, each a mean in [0, 1].

    With g and l their means, (g1, g2) and (l1, l2) their intervals and r the correlation of g and l, the lower end is
    g - l - sqrt((g - g1)^2 + (l2 - l)^2 - 2 r (g - g1) (l2 - l)), and the upper one likewise: the method of variance
    estimates recovery. Zou and Donner, "Construction of confidence limits about effect measures: a general approach"
    (2008); of paired proportions Tang, Ling, Ling and Tian (2010). Where nothing is gained it is the exact one of the
    losses, and where normal theory holds that of t. Graded differences are taken in units of their typical size, the
    sum of squares over the sum, to which one of size 1 is added: a larger one may not have been seen yet.

    Args:
        parts: of differences in [-1, 1], with their `error`.
    """
    sizes = np.abs(np.concatenate([values for _, values, _ in parts]))
    unit = float(((sizes**2).sum() + 1) / (sizes.sum() + 1))
    found = []
    for sign in (1.0, -1.0):
        side: list[Part] = [(w, np.maximum(sign * np.asarray(d) / unit, 0.0), ids) for w, d, ids in parts]
        found.append((min(float(sum(w * np.mean(d) for w, d, _ in side)), 1.0), spread(side)))
    (gained, up), (lost, down) = found
    correlation = 0.0
    if min(up.se, down.se) >= TINY:
        correlation = (up.se**2 + down.se**2 - (error.se / unit) ** 2) / (2 * up.se * down.se)
    (g1, g2), (l1, l2) = (exact(value, own, level) for value, own in found)

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(one**2 + other**2 - 2 * min(max(correlation, -1.0), 1.0) * one * other, 0.0))

    low, high = gained - lost - reach(gained - g1, l2 - lost), gained - lost + reach(g2 - gained, lost - l1)
    return max(unit * low, -1.0), min(unit * high, 1.0)


def mcnemar(better: int, worse: int) -> tuple[float, float]:
    """Exact one-sided p-values from the discordant counts: of so many worse or more, and of so many better or more,
    when each discordant unit goes either way with probability 1/2."""
    from scipy.special import bdtr

    total = better + worse
    return float(bdtr(better, total, 0.5)), float(bdtr(worse, total, 0.5))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given: below alpha means rejected with the chance of any false
    rejection at most alpha, whatever the dependence between the tests."""
    p, order = np.asarray(p_values, dtype=np.float64), np.argsort(p_values, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, np.arange(len(p), 0, -1) * p[order]))
    return [float(value) for value in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up adjusted p-values, in the order given: of those below q, a share q at most is
    false on average (for independent tests, and for those that tend to err together). For lists of what changed; where
    one false alarm costs, `holm`."""
    from scipy.stats import false_discovery_control

    return [float(p) for p in false_discovery_control(p_values)] if len(p_values) else []


def short_p(p_value: float) -> float:
    """To four significant digits, as it is written."""
    return float(f"{p_value:.4g}")


def detectable(difference: Difference, alpha: float, power: float = 0.8) -> float | None:
    """The smallest true loss that a one-sided t test at `alpha` would find with probability `power`, in (0, 1].

    From the standard error at hand, which holds the discordance and the clustering: the noncentral t that exceeds its
    critical value that often, times the error. None where there is no spread to go by.
    """
    from scipy.special import nctdtrinc

    if difference.clusters < 2 or difference.se < TINY:
        return None
    effect = float(nctdtrinc(difference.degrees, 1 - power, t_quantile(1 - 2 * alpha, difference.degrees)))
    return min(effect * difference.se, 1.0)


def needed(difference: Difference, margin: float, alpha: float, power: float = 0.8) -> int | None:
    """How many units, from proportionally more videos, would rule out a loss of `margin` with probability `power` if
    there is none; None where this cannot be said (one video, no margin)."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if difference.clusters < 2 or margin <= 0:
        return None

    def too_wide(times: float) -> float:
        """By how much the lower bound's distance exceeds the margin with so many times the units and videos."""
        if difference.se < TINY:
            return -math.expm1(math.log(alpha) / (times * difference.size)) - margin
        quantile = t_quantile(1 - 2 * alpha, times * (difference.degrees + 1) - 1)
        return float((quantile + ndtri(power)) * difference.se / math.sqrt(times)) - margin

    fewest, most = 2 / (difference.degrees + 1), 1.0
    if too_wide(fewest) <= 0:
        return math.ceil(fewest * difference.n)
    while too_wide(most) > 0:
        most *= 4
    return math.ceil(float(brentq(too_wide, fewest, most)) * difference.n)
