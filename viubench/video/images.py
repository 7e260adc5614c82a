"""Videos that arrive as already extracted frames: a list of image files with a frame rate.

Example:
    >>> picture(Path("0001.jpg"), "0001.jpg").shape  # doctest: +SKIP
    (360, 640, 3)
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.errors import MediaError
from viubench.video.frames import Pixels
from viubench.video.pixels import resized

PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tiff", ".webp"))
"""Endings of single pictures, in lower case."""


def picture(path: Path, name: str) -> Pixels:
    """One image file as uint8 [H, W, 3] RGB, turned as its EXIF data says; raises MediaError `corrupt`."""
    decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise MediaError("corrupt", name, "not an image that can be decoded")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def read(paths: list[Path], names: list[str], indices: NDArray[np.int64], size: tuple[int, int]) -> Pixels:
    """Images `indices` of the list (any order, repeats allowed), uint8 [T, height, width, 3]."""
    return np.stack([resized(picture(paths[index], names[index]), size) for index in indices])
