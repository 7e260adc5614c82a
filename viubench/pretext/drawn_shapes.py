"""Where the shapes of a counting item lie, kept beside its filmstrip, so that a page can show them on demand.

Example:
    >>> chosen([30, 31], 48, most=4)
    [0, 30, 31, 47]
    >>> circle = Shape(shape="circle", frame=3, x=0.0, y=-0.25, size=0.5, angle=0, color=(200, 60, 60))
    >>> outline(circle, (100, 200)).box
    (0.375, 0.0, 0.25, 0.5)

The strip of such an item has the frames with shapes, as far as it has room; the file beside it says which frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from viubench.schema import CountItem, ItemParams, Kind, Shape
from viubench.schema.base import Strict
from viubench.storage import atomic
from viubench.video import filmstrip
from viubench.video.frames import VideoInput

MOST_BYTES = 100_000
"""A file above this is none of ours: a shape takes some 80 bytes."""


class Outline(Strict):
    """A shape of the shown frame `frame`; its `box` is left, top, width and height as shares of the frame's size."""

    shape: Kind
    frame: int
    box: tuple[float, float, float, float]


class DrawnShapes(Strict):
    """`frames`: which of the shown frames stand in the strip, rising."""

    frames: tuple[int, ...]
    shapes: tuple[Outline, ...]


def chosen(first: Sequence[int], frames: int, most: int = 12) -> list[int]:
    """Which of `frames` shown frames stand in the strip, rising: as many of `first` as there is room for, then others,
    evenly chosen."""
    kept = sorted(set(first))
    if len(kept) >= most:
        return [kept[k] for k in filmstrip.positions(len(kept), most)]
    others = [k for k in range(frames) if k not in set(kept)]
    return sorted(kept + [others[k] for k in filmstrip.positions(len(others), most - len(kept))] if others else kept)


def outline(shape: Shape, canvas: tuple[int, int]) -> Outline:
    """The square around a shape that was placed on a frame of the size `canvas` (height, width)."""
    short = min(canvas)
    reach = shape.size / 2 if shape.shape == "circle" else shape.size * (0.7072 if shape.shape == "square" else 0.5774)
    high, wide = (reach * short / pixels for pixels in canvas)
    left, top = 0.5 + shape.x * short / canvas[1] - wide, 0.5 + shape.y * short / canvas[0] - high
    box = (round(left, 4), round(top, 4), round(2 * wide, 4), round(2 * high, 4))
    return Outline(shape=shape.shape, frame=shape.frame, box=box)


def write_strip(path: Path, pretext: ItemParams | None, videos: Sequence[VideoInput]) -> None:
    """Write the strip of a sample's videos, of a counting item with its shapes beside it."""
    if isinstance(pretext, CountItem) and not pretext.shown:
        (video,) = videos
        frames = chosen([shape.frame for shape in pretext.shapes], len(video.pixels))
        shapes = tuple(outline(shape, pretext.canvas) for shape in pretext.shapes)
        drawn = DrawnShapes(frames=tuple(frames), shapes=shapes)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path.with_suffix(".json"), drawn.model_dump_json().encode())
        indices = tuple(video.indices[k] for k in frames)
        times = tuple(video.times[k] for k in frames)
        videos = [replace(video, pixels=video.pixels[frames], indices=indices, times=times)]
    filmstrip.write(path, videos)


def read(run: Path, record_id: str, frames: int) -> DrawnShapes | None:
    """What is known of the shapes of a record that showed `frames` frames; None where nothing fitting is."""
    path = filmstrip.strip_path(run, record_id).with_suffix(".json")
    try:
        if not path.resolve().is_relative_to(run.resolve()) or path.stat().st_size > MOST_BYTES:
            return None
        drawn = DrawnShapes.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    within = all(0 <= k < frames for k in drawn.frames)
    return drawn if within and list(drawn.frames) == sorted(set(drawn.frames)) and drawn.frames else None
