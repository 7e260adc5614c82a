"""The segment of a video that differs from the rest of it, from evidence about pairs of frames.

Example:
    >>> states = np.array([1, 1, -1, -1, 1, 1])
    >>> best(-np.outer(states, states))
    (2, 4)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Segment = tuple[int, int]
"""First frame, and the one behind the last."""

REACH = 6
"""Frames (2/15 of 48) over which two frames are compared: farther apart, a scene has changed by itself."""

LONG = 0.02
"""What a frame more in the segment costs, in units of evidence: of two segments as good as one another, the shorter."""


def best(evidence: NDArray[np.float64], reach: int = REACH) -> Segment:
    """The segment [start, stop), shorter than the video, whose frames differ most from their neighbours outside.

    Args:
        evidence: [T, T] in -1..1: how much speaks for frame i (inside) and frame j (outside) being of two kinds, less
            how much speaks for their being of one.
        reach: frames over which two frames are compared.
    """
    total = len(evidence)
    away = np.abs(np.subtract.outer(np.arange(total), np.arange(total)))
    weights = np.where((away > 0) & (away <= reach), 1.0 / np.maximum(away, 1), 0.0)
    sums = np.zeros((total + 1, total + 1))
    sums[1:, 1:] = np.cumsum(np.cumsum(evidence * weights, axis=0), axis=1)

    def block(rows: Segment, columns: Segment) -> float:
        (a, b), (c, d) = rows, columns
        return float(sums[b, d] - sums[a, d] - sums[b, c] + sums[a, c])

    def value(segment: Segment) -> float:
        start, stop = segment
        return block(segment, (0, start)) + block(segment, (stop, total)) - LONG * (stop - start)

    return max(candidates(total), key=value)


def candidates(total: int) -> list[Segment]:
    """Every segment of one frame or more that leaves a frame out."""
    return [(start, stop) for start in range(total) for stop in range(start + 1, total + 1) if stop - start < total]
