"""Pretext items made the straightforward way, as published scripts do: every item opens its video and alters frames.

Example:
    >>> seconds = make_all(items, Path("videos"), {"pour.mp4": (384, 672)})  # doctest: +SKIP

For every item: the video is opened with OpenCV and read on to its last wanted frame, the wanted ones are resized, and
each shown frame is made by itself with OpenCV and numpy, from the parameters that the item already holds. Nothing is
drawn at random, checked or written. Where OpenCV gives too few frames, PyAV reads them in order.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.bench.decode import in_order
from viubench.errors import ViubenchError
from viubench.schema import CountItem, Item, JigsawItem, Shape
from viubench.video.frames import Pixels

Frames = list[Pixels]


def make_all(items: Sequence[Item], videos: Path, size_of: Mapping[str, tuple[int, int]]) -> float:
    """Seconds to make the shown frames of `items`, one after the other; `size_of` gives each video's frame size."""
    began = time.perf_counter()
    for item in items:
        make(item, videos, size_of[item.video])
    return time.perf_counter() - began


def make(item: Item, videos: Path, size: tuple[int, int]) -> list[Frames]:
    """The clips shown for one item, each a list of frames uint8 [H, W, 3].

    Raises:
        ViubenchError: a perturbation that is not written here.
    """
    params = item.params
    frames = read(str(videos / item.video), params.indices, size)
    if isinstance(params, JigsawItem):
        length = len(frames) // params.n
        return [frames[k * length : (k + 1) * length] for k in params.order]
    if isinstance(params, CountItem):
        for shape in params.shapes:
            _draw(frames[shape.frame], shape)
        return [frames]
    start, stop = params.segment
    name, strength = params.perturb, params.strength
    if name == "shuffle":
        part = frames[start:stop]
        frames[start:stop] = [part[k] for k in strength["order"]]
        return [frames]
    for k in range(start, stop):
        frames[k] = _altered(frames[k], name, strength)
    return [frames]


def read(file: str, indices: Sequence[int], size: tuple[int, int]) -> Frames:
    """The frames `indices` (rising) of a video at (height, width)."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what it cannot read is read by PyAV, without its words
    wanted, kept = set(indices), []
    capture = cv2.VideoCapture(file)
    for number in range(indices[-1] + 1):
        if not capture.grab():
            break
        if number in wanted:
            good, frame = capture.retrieve()
            if not good:
                break
            small = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
            kept.append(np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8))
    capture.release()
    return kept if len(kept) == len(indices) else list(in_order(file, list(indices), size))


def _altered(frame: Pixels, name: str, strength: Mapping[str, Any]) -> Pixels:
    height, width = frame.shape[:2]
    if name == "channel_swap":
        return np.ascontiguousarray(frame[..., ::-1])
    if name == "mirror":
        return np.ascontiguousarray(frame[:, ::-1])
    if name == "rotate_180":
        return np.ascontiguousarray(frame[::-1, ::-1])
    if name in ("rotate_90", "rotate_270"):
        turned = np.ascontiguousarray(np.rot90(frame, -1 if name == "rotate_90" else 1))
        share = min(height, width) / max(height, width)
        return _on_black(cv2.resize(turned, None, fx=share, fy=share), height, width)
    if name == "zoom_out":
        share = 1 / strength["scale"]
        return _on_black(cv2.resize(frame, None, fx=share, fy=share), height, width)
    raise ViubenchError(f"the straightforward way knows no {name}", hint="bench the recipe viubench")


def _on_black(small: Any, height: int, width: int) -> Pixels:
    shown = np.zeros((height, width, 3), np.uint8)
    small = small[:height, :width]
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    shown[top : top + small.shape[0], left : left + small.shape[1]] = small
    return shown


def _draw(frame: Pixels, shape: Shape) -> None:
    height, width = frame.shape[:2]
    short = min(height, width)
    x, y = width / 2 + shape.x * short, height / 2 + shape.y * short
    color = [int(value) for value in shape.color]
    if shape.shape == "circle":
        cv2.circle(frame, (round(x), round(y)), round(shape.size * short / 2), color, -1)
        return
    corners = 4 if shape.shape == "square" else 3
    radius = shape.size * short / (2 * math.sin(math.pi / corners))
    turn = math.radians(shape.angle + (45 if corners == 4 else -90))
    angles = [turn + k * math.tau / corners for k in range(corners)]
    points = [(round(x + radius * math.cos(angle)), round(y + radius * math.sin(angle))) for angle in angles]
    cv2.fillPoly(frame, [np.array(points, np.int32)], color)
