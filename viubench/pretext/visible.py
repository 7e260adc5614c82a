"""Whether a viewer can see that two pictures differ: the floor that keeps unanswerable questions out.

Example:
    >>> still = np.zeros((3, 192, 320, 3), np.uint8)
    >>> bool(differs(halved(still, 1), halved(still, 1)).any())
    False

Everything is integer arithmetic or a bit-exact OpenCV route, so that every machine keeps the same items.
"""

from __future__ import annotations

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

APPEARANCE = 1
"""Halvings before a look at how a picture is drawn: takes off pixel noise, leaves sharpness and grain to be seen."""

MOTION = 2
"""Halvings before a look at whether things moved: film grain must not pass for motion."""


def halved(frames: Pixels, times: int) -> Pixels:
    """`frames` [T, H, W, 3] at half the size, `times` times; each value the rounded mean of four."""
    for _ in range(times):
        height, width = frames.shape[1:3]
        size = (max(1, width // 2), max(1, height // 2))
        frames = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR_EXACT) for frame in frames])
    return frames


def differs(a: Pixels, b: Pixels) -> NDArray[np.bool_]:
    """Per frame of two equally shaped uint8 [T, H, W, 3] batches: is the difference one a viewer can see? bool [T]."""
    seen = []
    for one, other in zip(a, b, strict=True):
        gap = cv2.absdiff(one, other)
        changed = np.count_nonzero(gap > LEVEL)
        seen.append(changed * 100 >= SHARE_PERCENT * gap.size and int(gap.sum()) >= MEAN * gap.size)
    return np.array(seen, dtype=np.bool_)


def stands_out(color: tuple[int, int, int], behind: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the pixels `behind` (uint8 [N, 3]) a plain `color` is clearly told from. bool [N].

    Clearly: the luma differs by 32 levels (an eighth of the range) or one channel by 80 (blue alone is seen weakly).
    """
    gap = behind.astype(np.int32) - np.array(color, np.int32)
    luma = np.abs(gap @ np.array([77, 150, 29], np.int32)) >> 8
    return np.asarray((luma >= 32) | (np.abs(gap).max(axis=1) >= 80))
