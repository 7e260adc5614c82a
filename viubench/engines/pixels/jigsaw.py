"""Puts the clips of a video back in order: the order in which each clip goes on where the one before it ended.

Example:
    order(clips)
    # [2, 0, 1]: the clip shown third comes first

The cheapest way through all clips is found exactly, by dynamic programming over the sets of clips already played.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from viubench.engines.pixels.looks import Numbers, reduced, small
from viubench.video.frames import Pixels

MOST = 14
"""Clips up to which every order is weighed: 2^14 sets."""


def order(clips: Sequence[Pixels]) -> list[int]:
    """The places (from 0) of the `clips` in the order in which they follow from one another."""
    return cheapest(joins(clips))


def joins(clips: Sequence[Pixels]) -> Numbers:
    """[n, n] how badly clip j goes on where clip i ends."""
    costs = np.zeros((len(clips), len(clips)))
    pictures = [reduced(small(clip), 2) for clip in clips]
    for i, before in enumerate(pictures):
        for j, after in enumerate(pictures):
            if i != j:
                costs[i, j] = np.abs(before[-1] - after[0]).mean()
    return costs


def cheapest(costs: Numbers) -> list[int]:
    """The order of all n with the least sum of costs[i, j] over neighbours i before j; of more than MOST, a short one
    from the clip that fits behind no other."""
    n = len(costs)
    if n > MOST:
        way = [int(np.argmax((costs + np.diag(np.full(n, np.inf))).min(axis=0)))]
        while len(way) < n:
            left = [k for k in range(n) if k not in way]
            way.append(min(left, key=lambda k: float(costs[way[-1], k])))
        return way
    best: dict[tuple[int, int], tuple[float, int]] = {(1 << k, k): (0.0, -1) for k in range(n)}
    for played in range(1, 1 << n):
        for last in range(n):
            if (played, last) not in best:
                continue
            cost = best[played, last][0]
            for following in range(n):
                if played >> following & 1:
                    continue
                key = (played | 1 << following, following)
                reached = cost + costs[last, following]
                if key not in best or reached < best[key][0]:
                    best[key] = (reached, last)
    everything = (1 << n) - 1
    last = min(range(n), key=lambda k: best[everything, k][0])
    found: list[int] = []
    played = everything
    while last >= 0:
        found.append(last)
        played, last = played ^ 1 << last, best[played, last][1]
    return found[::-1]
