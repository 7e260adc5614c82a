"""Videos that are nearly the same, within a set and across sets, by the hashes of their frames.

Example:
    pairs({"a.mp4": hashes_a, "b.mp4": hashes_b})   # [('a.mp4', 'b.mp4', 1.0)]

Two videos are near-duplicates where most frames of the shorter one (of those that are not one colour) look like a frame
of the other: another size, bit rate or container, a few other frames or a small cut does not hide that. A mirrored,
cropped or re-cut copy is not found.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Name = TypeVar("Name", bound=Hashable)

ALIKE = 6
"""Bits of 64 in which the hashes of two pictures of one scene may differ."""

SHARE = 0.75
"""Share of the frames that must have a counterpart."""

FEWEST = 3
"""Frames that are not one colour, of which a video needs so many to be told from others."""


def pairs(videos: Mapping[Name, NDArray[np.float32]]) -> list[tuple[Name, Name, float]]:
    """Pairs of videos that are nearly the same, and the share of frames that are alike, in [0, 1]."""
    told = {name: np.unique(hashes, axis=0) for name, hashes in videos.items()}
    told = {name: hashes for name, hashes in told.items() if len(hashes) >= FEWEST}
    found = []
    for one, other in combinations(told, 2):
        share = alike(told[one], told[other])
        if share >= SHARE:
            found.append((one, other, share))
    return found


def alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The share of frames with a counterpart, of the video with fewer different frames."""
    few, many = (one, other) if len(one) <= len(other) else (other, one)
    bits = (few.shape[1] - few @ many.T) / 2
    return float((bits.min(1) <= ALIKE).mean())
