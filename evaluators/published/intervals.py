"""Intersection over union as scripts with one window compute it.

Example:
    >>> hull_iou((3.0, 8.0), (3.0, 7.0))
    0.8
"""

from __future__ import annotations

from evaluators.base import Gradable


def first_window(item: Gradable) -> tuple[float, float]:
    """The true window in seconds, the first of several."""
    start, end = item.target[0] if isinstance(item.target[0], list | tuple) else item.target
    return float(start), float(end)


def hull_iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over the hull of two intervals (start <= end), in [0, 1]; 0 where the hull is empty."""
    hull = max(a[1], b[1]) - min(a[0], b[0])
    return max(min(a[1], b[1]) - max(a[0], b[0]), 0.0) / hull if hull > 0 else 0.0
