"""Overlap of intervals, and the constant interval with the best expected overlap.

Example:
    >>> a, b, expected = best_frames(48, 8, 16)
    >>> (a, b, round(expected, 3))
    (10, 38, 0.306)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
GRID = 50  # steps of the video's length on which a constant share is fitted


def overlap(start: Any, end: Any, windows: Sequence[Sequence[float]], mode: str) -> Floats:
    """Intersection over union of [start, end] with the true windows, in [0, 1].

    Args:
        start, end: seconds, scalars or arrays of one shape.
        windows: true [start, end] pairs in seconds.
        mode: `best` overlapping window, the `first` window, or the `union` of all windows.

    Two empty intervals overlap fully when they are equal, not at all otherwise.
    """
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    if mode == "union":
        return _against_all(start, end, _merged(windows))
    chosen = windows if mode == "best" else windows[:1]
    return np.asarray(np.max([_against_all(start, end, [window]) for window in chosen], axis=0))


def _against_all(start: Floats, end: Floats, windows: Sequence[Sequence[float]]) -> Floats:
    shared = np.zeros_like(start)
    for low, high in windows:
        shared = shared + np.maximum(0.0, np.minimum(end, high) - np.maximum(start, low))
    total = (end - start) + sum(high - low for low, high in windows) - shared
    equal = (start == windows[0][0]) & (end == windows[-1][1])
    return np.where(total > 0, np.clip(shared / np.where(total > 0, total, 1.0), 0.0, 1.0), equal.astype(float))


def _merged(windows: Sequence[Sequence[float]]) -> list[list[float]]:
    merged: list[list[float]] = []
    for low, high in sorted((window[0], window[1]) for window in windows):
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    return merged


@cache
def best_frames(frames: int, shortest: int, longest: int) -> tuple[int, int, float]:
    """The constant [a, b) on the frame grid with the highest expected IoU, and that expectation.

    The true segment has a length uniform in shortest..longest frames and a start uniform in 0..frames - length
    (the paper's released settings). Exact: every (a, b) and every segment are counted. For one length, IoU depends
    only on a - start and on the width b - a, so the sum over starts is a difference of cumulative sums.

    Raises:
        ValueError: unless 1 <= shortest <= longest <= frames.
    """
    if not 1 <= shortest <= longest <= frames:
        raise ValueError(f"segments of {shortest} to {longest} frames do not fit in {frames} frames")
    width = np.arange(1, frames + 1)[:, None]
    expected = np.zeros((frames, frames))  # [width - 1, a]
    for length in range(shortest, longest + 1):
        starts = frames - length + 1
        offset = np.arange(1 - starts, frames)[None, :]
        shared = np.maximum(0, np.minimum(offset + width, length) - np.maximum(offset, 0))
        sums = np.cumsum(np.pad(shared / (width + length - shared), ((0, 0), (1, 0))), axis=1)
        expected += (sums[:, starts : starts + frames] - sums[:, :frames]) / starts
    expected /= longest - shortest + 1
    inside = width + np.arange(frames)[None, :] <= frames
    best = int(np.argmax(np.where(inside, expected.round(12), -1.0)))  # rounded: ties fall alike on every machine
    row, a = divmod(best, frames)
    return a, a + row + 1, float(expected[row, a])


def best_share(spans: Sequence[tuple[float, float]], windows: Sequence[Any], mode: str) -> tuple[float, float, float]:
    """The constant share [a, b] of the shown video with the highest mean IoU over items, and that mean; `spans` are
    the first and last second shown per item, `windows` and `mode` as in `overlap`."""
    low, high = np.triu_indices(GRID + 1, k=1)
    a, b = low / GRID, high / GRID
    total = np.zeros(len(a))
    for (first, last), true in zip(spans, windows, strict=True):
        total += overlap(first + a * (last - first), first + b * (last - first), true, mode)
    best = int(np.argmax(total.round(9)))
    return float(a[best]), float(b[best]), float(total[best] / len(spans))
