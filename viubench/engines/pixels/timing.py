"""Segments whose frames are shown at other times: held, repeated, skipped, out of order.

Example:
    played_again(frames, "stutter")
    # (12, 24): from there on each frame is held for a few places

Slow and fast motion and stutter show some frames twice, pixel by pixel; which ones follows from where the segment is.
A shuffle shows none twice, but its neighbours are less alike than frames farther apart.
"""

from __future__ import annotations

import numpy as np

from viubench.engines.pixels.looks import Numbers, reduced
from viubench.engines.pixels.segments import Segment, candidates
from viubench.pretext.perturb import positions
from viubench.schema import Perturbation

FACTORS: dict[Perturbation, tuple[str, range]] = {
    "slow": ("factor", range(2, 5)), "fast": ("factor", range(2, 5)), "stutter": ("hold", range(2, 9)),
}  # fmt: skip
"""What the strength of a change of tempo is called, and which ones are tried."""


def gaps(pictures: Numbers) -> Numbers:
    """[T, T] mean absolute difference of each two pictures, in grey levels."""
    flat = reduced(pictures, 2).reshape(len(pictures), -1)
    return np.stack([np.abs(flat - picture).mean(axis=1) for picture in flat])


def played_again(pictures: Numbers, change: Perturbation) -> Segment:
    """The segment and strength under which the frames that should be shown twice are the same ones, and no others."""
    total = len(pictures)
    same = gaps(pictures) == 0
    np.fill_diagonal(same, False)
    name, strengths = FACTORS[change]
    best, most = (0, total), -np.inf
    for segment in candidates(total):
        for strength in strengths:
            if change == "fast" and strength * (segment[1] - segment[0] - 1) >= total:
                continue
            shown = np.arange(total)
            shown[slice(*segment)] = positions(change, total, segment, {name: strength})
            expected = shown[:, None] == shown[None, :]
            value = int(same[expected].sum()) * 2 - (int(expected.sum()) - total)
            if value > most:
                best, most = segment, value
    return best


def out_of_order(pictures: Numbers) -> Segment:
    """The segment in which frames have nearer relatives than their neighbours."""
    distance = gaps(pictures)
    total = len(pictures)
    near = np.array([distance[k, k + 1] for k in range(total - 1)])
    values = {}
    for start, stop in candidates(total):
        if not 4 <= stop - start <= total // 2:
            continue
        values[start, stop] = _disorder(distance, start, stop, near)
    return max(values, key=lambda segment: values[segment])


def _disorder(distance: Numbers, start: int, stop: int, near: Numbers) -> float:
    """How much shorter the way through the frames is in another order, in grey levels, less what that is elsewhere."""
    first, last = max(start - 1, 0), min(stop, len(distance) - 1)
    shown = near[first:last].sum()
    return float(shown - _way(distance, start, stop)) - 0.02 * (stop - start) * float(np.median(near))


def _way(distance: Numbers, start: int, stop: int) -> float:
    """Length of a short way from the frame before the segment through all of its frames to the frame behind it."""
    left = set(range(start, stop))
    at = start - 1 if start else min(left, key=lambda k: distance[k, stop] * -1)
    left.discard(at)
    length = 0.0
    while left:
        nearest = min(left, key=lambda k: (distance[at, k], k))
        length += distance[at, nearest]
        left.remove(nearest)
        at = nearest
    return length + (distance[at, stop] if stop < len(distance) else 0.0)
