"""Whether a clock is burnt into a video: a small place where two grey levels change as digits do.

Example:
    has_clock(pixels)   # False

A pixel of a digit has one of two levels far apart, the digit's and the background's, and goes from one to the other as
digits change. So the frames are searched for a small region of such pixels whose pattern differs in nearly every frame,
while few pixels elsewhere behave so. That finds digits on a plain or steady ground. It does not find a clock on moving
ground without a box, one that changes less than once in ten seconds, an analogue one, or one spoken aloud; and it takes
another thing for a clock that changes in the same way, such as a score board or a counter.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.video.frames import Pixels

APART = 80
"""Grey levels between a digit and its ground, at the least."""

NEAR = 0.2
"""Share of that range within which a pixel counts as having one of the two levels."""

FEWEST_FRAMES = 8
SMALLEST, LARGEST = 12, 0.02
"""Pixels of the region that toggle: so many at the least, and at most this share of the frame."""

DISTINCT = 0.7
"""Share of the frames, up to ten of them, that must have a pattern of their own."""


def has_clock(pixels: Pixels) -> bool:
    """Whether the frames [T, H, W, 3], about a second apart, hold a region that changes like a clock's digits."""
    if len(pixels) < FEWEST_FRAMES:
        return False
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pixels]).astype(np.int16)
    low, high = grey.min(0), grey.max(0)
    reach = high - low
    bright = grey - low > (1 - NEAR) * reach
    two_levels = (bright | (grey - low < NEAR * reach)).mean(0) >= 0.9
    toggles = (reach >= APART) & two_levels & (bright[1:] != bright[:-1]).any(0)
    if toggles.sum() > 3 * LARGEST * toggles.size:  # the whole picture changes so: nothing can be told
        return False
    joined = cv2.dilate(toggles.astype(np.uint8), np.ones((5, 9), np.uint8))
    count, regions, boxes, _ = cv2.connectedComponentsWithStats(joined)
    return any(_counts(bright, toggles & (regions == region), boxes[region]) for region in range(1, count))


def _counts(bright: NDArray[np.bool_], region: NDArray[np.bool_], box: NDArray[np.int32]) -> bool:
    """Whether the pattern of a region is another one in nearly every frame, and the region is as large as digits."""
    size, frames = int(region.sum()), len(bright)
    if not SMALLEST <= size <= LARGEST * region.size or box[cv2.CC_STAT_HEIGHT] > region.shape[0] // 5:
        return False
    patterns = np.packbits(bright[:, region], axis=1)
    changed = (patterns[1:] != patterns[:-1]).any(1).mean()
    distinct = len(np.unique(patterns, axis=0))
    return bool(changed >= DISTINCT and distinct >= DISTINCT * min(frames, 10))
