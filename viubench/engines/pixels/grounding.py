"""Finds the altered part of a video, given what was altered.

Example:
    segment(frames, "mirror")
    # (12, 24): frames 12 to 23
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from viubench.engines.pixels import looks, segments, timing
from viubench.engines.pixels.looks import Change, Numbers
from viubench.engines.pixels.segments import Segment
from viubench.video.frames import Pixels

MARGIN = 0.04
"""Share of the picture that must be black at each end where it stands on black."""

CLEAR = 0.4
"""Step of a logarithm (half as much again) that is a clear change."""

TURNS: dict[str, Change] = {
    "mirror": lambda pictures: pictures[:, :, ::-1],
    "rotate_180": lambda pictures: pictures[:, ::-1, ::-1],
    "channel_swap": lambda pictures: pictures[..., ::-1],
    "invert": lambda pictures: 255 - pictures,
}
"""Changes that undo themselves."""


def segment(frames: Pixels, change: str) -> Segment:
    """The segment [start, stop) of `frames` (uint8 [T, H, W, 3], T >= 2) that went through `change`."""
    if change in timing.FACTORS:
        return timing.played_again(looks.small(frames), change)
    if change == "shuffle":
        return timing.out_of_order(looks.small(frames))
    reach = len(frames) if change == "swap" else segments.REACH
    return segments.best(evidence(frames, change), reach)


def evidence(frames: Pixels, change: str) -> Numbers:
    """What speaks for each frame being altered and each other one not: [T, T] in -1..1."""
    if change in TURNS:
        return looks.turned(looks.small(frames), TURNS[change])
    if change in ("zoom_out", "rotate_90", "rotate_270") and frames.shape[1] != frames.shape[2]:
        margins = looks.margins(frames)
        black = margins.min(axis=1) if change == "zoom_out" else margins[:, np.argmax(frames.shape[1:3])]
        return looks.more(black, MARGIN)
    return EVIDENCE[change](frames)


def _zoomed(pictures: Numbers, scale: float) -> Numbers:
    """The middle of the pictures, 1/scale of their side, at full size."""
    side = pictures.shape[1]
    centre = (side - 1) / 2
    matrix = np.array([[1 / scale, 0, centre - centre / scale], [0, 1 / scale, centre - centre / scale]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack([cv2.warpAffine(picture, matrix, (side, side), flags=flags) for picture in pictures])


def _chroma(frames: Pixels) -> Numbers:
    return np.log(looks.chroma(looks.small(frames)) + 1)


EVIDENCE: dict[str, Callable[[Pixels], Numbers]] = {
    "zoom_out": lambda frames: looks.more(looks.margins(frames).min(axis=1), MARGIN),
    "zoom_in": lambda frames: looks.changed(
        looks.small(frames), [partial(_zoomed, scale=scale) for scale in (1.2, 1.3, 1.4, 1.5, 1.7)]
    ),
    "rotate_90": lambda frames: looks.changed(looks.small(frames), [lambda pictures: np.rot90(pictures, -1, (1, 2))]),
    "rotate_270": lambda frames: looks.changed(looks.small(frames), [lambda pictures: np.rot90(pictures, 1, (1, 2))]),
    "grayscale": lambda frames: looks.more(-_chroma(frames), CLEAR),
    "saturation": lambda frames: looks.more(_chroma(frames), CLEAR),
    "noise": lambda frames: looks.more(looks.sharpness(frames), CLEAR),
    "blur": lambda frames: looks.more(-looks.sharpness(frames), CLEAR),
    "swap": lambda frames: looks.foreign(looks.small(frames)),
}
"""Changes that have a direction."""
