"""Counts plainly coloured circles, squares and triangles: regions of one colour that the frames beside do not have.

Example:
    count(frames)
    # {'circle': 4, 'square': 2, 'triangle': 5}
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.schema import KINDS, Kind
from viubench.video.frames import Pixels

LEAST_SIDE = 0.12
"""Diameter of the smallest shape, in short sides of the frame: below it lie the plain blocks of strong compression."""

LEAST_PIXELS = 24
"""Fewer have no shape that could be told."""

FIT = 0.85
"""Share of its tightest outline that a region must fill to be that shape."""

CONTRAST, OUTLINED = 24, 0.75
"""Levels of a channel by which a shape's colour must differ from this share of the pixels around it: the plain regions
of a scene pass into one another."""

UNEVEN = 1.25
"""Longest to shortest side of a triangle, at the most."""

Mask = NDArray[np.uint8]


def count(frames: Pixels) -> dict[Kind, int]:
    """How many of each kind of shape `frames` (uint8 [T, H, W, 3]) show, all frames together."""
    counts = dict.fromkeys(KINDS, 0)
    for place, frame in enumerate(frames):
        beside = [codes(frames[other]) for other in (place - 1, place + 1) if 0 <= other < len(frames)]
        for region in regions(codes(frame), beside):
            if outlined(frame, region) and (kind := shape(region)):
                counts[kind] += 1
    return counts


def codes(frame: Pixels) -> NDArray[np.uint32]:
    """Each pixel's colour as one number: [H, W]."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0])


def regions(frame: NDArray[np.uint32], beside: list[NDArray[np.uint32]]) -> Iterator[Mask]:
    """The connected regions of exactly one colour, large enough for a shape, that no frame `beside` has: [H, W]."""
    least = max(LEAST_PIXELS, int((LEAST_SIDE * min(frame.shape)) ** 2 * 0.4))  # a triangle: 0.43 of its side squared
    here = frame[:-1, :-1]
    inner = (here == frame[1:, :-1]) & (here == frame[:-1, 1:])
    for other in beside:
        inner &= here != other[:-1, :-1]
    values, numbers = np.unique(here[inner], return_counts=True)
    for value in values[numbers >= least * 0.8]:
        _, labels, stats, _ = cv2.connectedComponentsWithStats((frame == value).astype(np.uint8), connectivity=4)
        for label in np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= least) + 1:
            yield (labels == label).astype(np.uint8)


def outlined(frame: Pixels, region: Mask) -> bool:
    """Whether the plain colour of a region stands out from what is around it."""
    left, top, wide, high = cv2.boundingRect(region)
    part = np.s_[max(top - 2, 0) : top + high + 2, max(left - 2, 0) : left + wide + 2]
    inside, picture = region[part], frame[part].astype(np.int16)
    ring = cv2.dilate(inside, np.ones((3, 3), np.uint8)) > inside
    gaps = np.abs(picture[ring] - picture[inside > 0][0]).max(axis=1)
    return bool((gaps >= CONTRAST).mean() >= OUTLINED)


def shape(region: Mask) -> Kind | None:
    """What a region is: the shape whose tightest outline it fills best; None where it fills none."""
    contours, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=len)
    area = float(region.sum())
    radius = cv2.minEnclosingCircle(outline)[1] + 0.5
    sides = [side + 1 for side in cv2.minAreaRect(outline)[1]]
    corners = cv2.minEnclosingTriangle(outline)[1]
    # Outlines run through the middles of pixels: half a pixel is missing on each side.
    triangle = cv2.contourArea(corners) + cv2.arcLength(corners, True) / 2 if _even(corners) else 0.0
    fills: dict[Kind, float] = {
        "circle": area / (np.pi * radius * radius),
        "square": area / max(sides) ** 2,
        "triangle": area / triangle if triangle else 0.0,
    }
    best = max(fills, key=lambda kind: fills[kind])
    return best if fills[best] >= FIT else None


def _even(corners: NDArray[np.float32] | None) -> bool:
    """Whether three corners are those of a triangle whose sides are about as long."""
    if corners is None or len(corners) != 3:
        return False
    lengths = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=-1)
    return bool(lengths.max() <= UNEVEN * max(float(lengths.min()), 1e-6))
