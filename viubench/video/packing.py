"""A frame as fewer bytes, and the same frame again: each row less the row above it, then zstd.

Example:
    >>> frame = np.zeros((4, 6, 3), np.uint8)
    >>> bool((unpacked(packed(frame), (4, 6)) == frame).all())
    True

Red and blue are taken less green, and each plane by itself: on real clips at 262,144 pixels a frame so takes about a
third of its bytes, and unpacking one takes a small part of what decoding it again takes (`python -m tests.bench pack`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np

from viubench.video.frames import Pixels

LEVEL = 1
"""Of zstd; a higher one takes twice as long for hardly fewer bytes."""


@cache
def _codec() -> Any:
    import pyarrow  # workers that compress nothing need not wait for it

    return pyarrow.Codec("zstd", compression_level=LEVEL)


def packed(frame: Pixels) -> bytes:
    """A frame, uint8 [H, W, 3], compressed without loss."""
    red, green, blue = cv2.split(frame)
    planes = np.empty((3, *green.shape), np.uint8)
    for plane, values in zip(planes, (green, red - green, blue - green), strict=True):
        plane[0] = values[0]
        np.subtract(values[1:], values[:-1], out=plane[1:])
    return bytes(_codec().compress(planes.data.cast("B"), asbytes=True))


def unpacked(data: bytes, size: tuple[int, int]) -> Pixels:
    """The frame of (height, width) that `packed` made `data` of; ValueError where it is none."""
    shape = (3, *size)
    try:
        raw = _codec().decompress(data, 3 * size[0] * size[1], asbytes=True)
        planes = np.frombuffer(bytearray(raw), np.uint8).reshape(shape)
    except OSError as error:
        raise ValueError(f"damaged frame: {error}") from None
    for row in range(1, size[0]):  # faster than numpy's accumulate along an axis
        planes[:, row] += planes[:, row - 1]
    green = planes[0]
    merged: Pixels = cv2.merge((planes[1] + green, green, planes[2] + green)).astype(np.uint8, copy=False)
    return merged
