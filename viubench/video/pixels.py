"""A decoded frame, or a picture, as RGB pixels of the requested size.

Example:
    convert = ToRGB()
    resized(turned(convert(frame), probe.rotation), (384, 672)).shape
    # (384, 672, 3)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.filter import Graph

from viubench.errors import MediaError
from viubench.video.frames import Pixels

_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class ToRGB:
    """Decoded frame -> uint8 [H, W, 3] RGB by the matrix and the range the stream declares.

    FFmpeg's own scale filter is used: PyAV's `to_ndarray` takes BT.601 for BT.709 streams in some versions.
    """

    def __init__(self) -> None:
        self._built_for: tuple[Any, ...] = ()
        self._graph: Any = None

    def __call__(self, frame: Any) -> Pixels:
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._built_for:
            graph = Graph()
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
            rgb, sink = graph.add("format", "pix_fmts=rgb24"), graph.add("buffersink")
            source.link_to(rgb)
            rgb.link_to(sink)
            graph.configure()
            self._graph, self._built_for = graph, shape
        self._graph.push(frame)
        pixels: Pixels = self._graph.pull().to_ndarray()
        return pixels


def picture(path: Path, name: str) -> Pixels:
    """One image file as uint8 [H, W, 3] RGB, turned as its EXIF data says; raises MediaError `corrupt`."""
    decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise MediaError("corrupt", name, "not an image that can be decoded")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def turned(pixels: Pixels, rotation: int) -> Pixels:
    """One frame turned counter-clockwise by 0, 90, 180 or 270 degrees."""
    return np.asarray(cv2.rotate(pixels, _TURNS[rotation]), np.uint8) if rotation else pixels


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """One RGB frame at (height, width): area-averaged when it gets smaller, bicubic when larger."""
    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    method = cv2.INTER_AREA if size[0] * size[1] <= height * width else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(pixels), size[::-1], interpolation=method), np.uint8)
