"""How far several raters agree beyond chance: Cohen's kappa for two of them, Krippendorff's alpha for any number.

Example:
    >>> kappa([(1, 1), (0, 0), (1, 0), (0, 0)])
    0.5
    >>> alpha([[1, 1], [0, 0], [1, None, 1]])
    1.0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import permutations, product
from typing import Any

Distance = Callable[[Any, Any], float]
"""How far apart two values are; 0 where they are equal."""


def nominal(a: Any, b: Any) -> float:
    """Values are equal or not."""
    return float(a != b)


def interval(a: float, b: float) -> float:
    """The squared difference of two numbers."""
    return float((a - b) ** 2)


def accuracy(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """The share of pairs whose two values are equal, in [0, 1]; None without pairs."""
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else None


def kappa(pairs: Sequence[tuple[Any, Any]], distance: Distance = nominal) -> float | None:
    """Cohen's kappa of two raters who both rated each thing, in [-1, 1]: 1 - observed / expected disagreement, where
    the expected one pairs the first rater's values with the second's at random. With `interval` it is the quadratically
    weighted kappa.

    Source: Cohen, "A coefficient of agreement for nominal scales" (1960), and "Weighted kappa" (1968). None without
    pairs, and where both raters have one and the same value throughout: nothing can be said of chance then.
    """
    if not pairs:
        return None
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    observed = sum(distance(a, b) for a, b in pairs) / len(pairs)
    expected = (
        sum(n * m * distance(a, b) for (a, n), (b, m) in product(first.items(), second.items())) / len(pairs) ** 2
    )
    return 1 - observed / expected if expected else None


def alpha(units: Iterable[Sequence[Any]], distance: Distance = nominal) -> float | None:
    """Krippendorff's alpha, at most 1; 0 is what chance gives. Each unit has the values of its raters, None where one
    gave none; units with fewer than two values say nothing.

    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), by coincidences: each ordered pair of
    values of a unit with m of them counts 1 / (m - 1). None where no unit has two values, or all values are equal.
    """
    coincidences: Counter[tuple[Any, Any]] = Counter()
    for unit in units:
        values = [value for value in unit if value is not None]
        for pair in permutations(values, 2):
            coincidences[pair] += 1 / (len(values) - 1)  # type: ignore[assignment]  # a Counter of weights
    totals: Counter[Any] = Counter()
    for (value, _), weight in coincidences.items():
        totals[value] += weight
    n = totals.total()
    expected = sum(a * b * distance(v, w) for (v, a), (w, b) in product(totals.items(), repeat=2))
    if not expected:
        return None
    observed = sum(weight * distance(v, w) for (v, w), weight in coincidences.items())
    return float(1 - (n - 1) * observed / expected)
