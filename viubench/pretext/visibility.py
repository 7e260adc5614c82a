"""Whether a viewer can see that two pictures differ: the threshold that keeps unanswerable questions out.

Example:
    >>> black = np.zeros((192, 320, 3), np.uint8)
    >>> differ(halved(black, 1), halved(black, 1))
    False

Everything is integer arithmetic or a bit-exact OpenCV route, so that every machine keeps the same items.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.video.frames import Pixels

LEVEL = 10
"""Grey levels (of 255) below which a changed value counts as unchanged: decoders of one file differ by up to 3,
compression of a still scene by up to about 5, and 10 (4 % of the range) is about the least step seen side by side."""

SHARE_PERCENT = 2
"""Percent of the picture's values that must pass LEVEL: a spot of about a seventh of the height and of the width."""

MEAN = 1
"""Mean absolute difference (grey levels) that must be reached: scattered single pixels alone do not carry a change."""

CUT, CUT_PERCENT = 24, 130
"""Mean absolute difference (grey levels) between neighbours where shot follows shot, and the percent of it by which
other pairs must differ for an order to be seen."""

APPEARANCE = 1
"""Halvings before appearance is compared: pixel noise goes, sharpness and grain stay."""

MOTION = 2
"""Halvings before motion is checked: film grain must not pass for motion."""


def halved(frame: Pixels, times: int) -> Pixels:
    """`frame` [H, W, 3] at half the size, `times` times; each value the rounded mean of four."""
    for _ in range(times):
        size = (max(1, frame.shape[1] // 2), max(1, frame.shape[0] // 2))
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)
    return frame


def differ(one: Pixels, other: Pixels) -> bool:
    """Whether the difference of two equally shaped uint8 pictures is one a viewer can see."""
    gap = cv2.absdiff(one, other)
    if np.count_nonzero(gap > LEVEL) * 100 < SHARE_PERCENT * gap.size:
        return False
    return bool(cv2.norm(gap, cv2.NORM_L1) >= MEAN * gap.size)  # a sum of whole numbers, exact below 2^53


class ChangeDetector:
    """Which `frames` (uint8 [T, H, W, 3]) of one source differ visibly; remembers what it computed, as a build asks
    hundreds of questions of one video."""

    def __init__(self, frames: Pixels) -> None:
        small = cache(lambda frame, times: halved(frames[frame], times))
        self._small = small
        self._moved = cache(lambda one, other: differ(small(one, MOTION), small(other, MOTION)))
        self._gap = cache(lambda one, other: int(cv2.norm(small(one, MOTION), small(other, MOTION), cv2.NORM_L1)))

    def changed(self, start: int, shown: Pixels) -> NDArray[np.bool_]:
        """Which of the frames `shown` look different from those at `start`, `start` + 1, ...; bool [len(shown)]."""
        pairs = ((self._small(start + k, APPEARANCE), halved(frame, APPEARANCE)) for k, frame in enumerate(shown))
        return np.fromiter((differ(*pair) for pair in pairs), np.bool_, len(shown))

    def moved(self, one: int, other: int) -> bool:
        """Whether things moved between two frames; the order of the two does not matter."""
        return self._moved(min(one, other), max(one, other))

    def in_sequence(self, start: int, stop: int) -> bool:
        """Whether frames `start` to `stop` - 1 follow from one another, so that another order can be told from theirs.

        A film with a shot for every frame jumps by CUT on average, and neighbours differ as much as other pairs do.
        """
        near = [self._gap(one, one + 1) for one in range(start, stop - 1)]
        far = [self._gap(*pair) for pair in combinations(range(start, stop), 2) if pair[1] > pair[0] + 1]
        if not far or sum(near) < CUT * len(near) * self._small(start, MOTION).size:
            return True
        return sum(far) * len(near) * 100 >= sum(near) * len(far) * CUT_PERCENT


def stands_out(color: tuple[int, int, int], behind: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the pixels `behind` (uint8 [N, 3]) a plain `color` clearly stands out from. bool [N].

    Clearly: the luma differs by 32 levels (an eighth of the range) or one channel by 80 (blue alone is seen weakly).
    """
    red, green, blue = (behind[:, channel].astype(np.int32) - color[channel] for channel in range(3))
    luma = np.abs(77 * red + 150 * green + 29 * blue) >> 8
    return np.asarray((luma >= 32) | (np.abs(red) >= 80) | (np.abs(green) >= 80) | (np.abs(blue) >= 80))
