"""Plain shapes drawn onto frames for object counting: where they are placed, and how their pixels are filled.

Example:
    >>> shape = Shape(shape="circle", frame=3, x=0.1, y=-0.2, size=0.3, angle=0, color=(200, 60, 60))
    >>> int(patch(shape, (192, 320), (192, 320)).inside.sum()) > 2000
    True

Geometry belongs to the picture, not to its size: it lives on a canvas with the shape of the frame it was drawn for, and
is squeezed with the picture where another frame size rounds the aspect ratio differently; so shapes that were apart and
inside stay so. `x`, `y` (the centre's distance from the middle) and `size` (diameter or side) are in short sides of the
canvas. Filling is integer arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from viubench.pretext.rng import Rng
from viubench.pretext.visibility import stands_out
from viubench.schema import CountParams, Kind, Shape
from viubench.video.frames import Pixels

Size = tuple[int, int]
"""Height and width."""

Color = tuple[int, int, int]

UNIT = 10_000  # geometry is stored and computed in steps of 1/UNIT short side
SINE = [round(65536 * math.sin(math.radians(degrees))) for degrees in range(360)]

MARGIN = 0.03
"""Least gap between two shapes of a frame, and of a shape to the frame's edge, in short sides."""

OUTLINED_PERCENT = 85
"""Percent of the pixels around a shape, and of those behind it, that its colour must stand out from."""

TRIES_COLOR, TRIES_PLACE, TRIES_FRAME, TRIES_LAYOUT = 8, 30, 8, 3
"""Colours for one place, places on one frame, fresh starts of one frame, and choices of frames, before giving up."""


def _normals(kind: Kind, angle: int) -> list[int]:
    """Directions (degrees) in which the sides of a polygon face."""
    sides = 4 if kind == "square" else 3
    return [(angle + 90 + k * 360 // sides) % 360 for k in range(sides)]


def _inner(kind: Kind, size: int) -> int:
    """Radius of the circle inside the shape; of an equilateral triangle 1/(2 sqrt 3) of the side."""
    return size * 28868 // 100_000 if kind == "triangle" else size // 2


def _extent(canvas: Size) -> Size:
    """Height and width of the canvas in units."""
    return canvas[0] * UNIT // min(canvas), canvas[1] * UNIT // min(canvas)


class Patch(NamedTuple):
    """The pixels of a shape: bool [h, w] and the part of the frame that they lie in."""

    rows: slice
    columns: slice
    inside: NDArray[np.bool_]


def patch(shape: Shape, size: Size, canvas: Size, grow: float = 0.0) -> Patch:
    """The pixels of a frame of `size` whose middle lies in the shape, its border moved outwards by `grow` short sides;
    the shape was placed on a frame of the size `canvas`."""
    extent = _extent(canvas)
    rows, columns = (
        _middles(pixels, units) - round(middle * UNIT)
        for pixels, units, middle in zip(size, extent, (shape.y, shape.x), strict=True)
    )
    inner = _inner(shape.shape, round(shape.size * UNIT)) + round(grow * UNIT)
    # Only the bounding square is filled; the corner of a triangle is twice as far out as its side.
    reach = inner if shape.shape == "circle" else 2 * inner
    top, bottom = map(int, np.searchsorted(rows, [-reach, reach + 1]))
    left, right = map(int, np.searchsorted(columns, [-reach, reach + 1]))
    y, x = rows[top:bottom, None], columns[None, left:right]
    if shape.shape == "circle":
        inside = x * x + y * y <= inner * inner
    else:
        inside = np.ones((bottom - top, right - left), np.bool_)
        for normal in _normals(shape.shape, shape.angle):
            inside &= x * SINE[(normal + 90) % 360] + y * SINE[normal] <= inner * 65536
    return Patch(slice(top, bottom), slice(left, right), inside)


@lru_cache(maxsize=64)
def _middles(pixels: int, units: int) -> NDArray[np.int64]:
    """Where the middles of a line of pixels lie, in units from the middle of the frame."""
    return np.asarray((np.arange(pixels, dtype=np.int64) * 2 + 1 - pixels) * units // (2 * pixels), np.int64)


def paint(frames: Pixels, shapes: Iterable[Shape], canvas: Size) -> Pixels:
    """A copy of `frames` (uint8 [T, H, W, 3]) with the shapes filled in, no smoothed edges."""
    shown = frames.copy()
    for shape in shapes:
        rows, columns, inside = patch(shape, (frames.shape[1], frames.shape[2]), canvas)
        shown[shape.frame, rows, columns][inside] = shape.color
    return shown


def spread(total: int, count: int, gap: int, rng: Rng) -> list[int]:
    """`count` of `total` places, any two more than `gap` apart, every such choice equally likely.

    Raises ValueError where there is none.
    """
    room = total - (count - 1) * gap
    if room < count:
        raise ValueError(f"{count} frames more than {gap} apart do not fit into {total}")
    return [place + k * gap for k, place in enumerate(sorted(rng.permutation(room)[:count]))]


def choose_frames(total: int, counts: Sequence[int], gap: int, rng: Rng) -> list[list[int]] | None:
    """Frames for each kind of shape, `spread` for each, none used by two kinds; None when it cannot be done."""
    for _ in range(500):
        chosen = [spread(total, count, gap, rng) for count in counts]
        if len({frame for frames in chosen for frame in frames}) == sum(counts):
            return chosen
    return None


def place(kind: Kind, frame: int, count: int, picture: NDArray[np.uint8], limits: CountParams, rng: Rng) -> list[Shape]:
    """`count` shapes on one frame (`picture`, uint8 [H, W, 3]): wholly inside it, apart from each other, each seen
    against what is around it; none when no try succeeded.

    Geometry and colour are redrawn until all of that holds; the count never is, so that counts keep their distribution.
    """
    canvas = (picture.shape[0], picture.shape[1])
    for _ in range(TRIES_FRAME):
        taken = np.zeros(canvas, np.bool_)
        shapes: list[Shape] = []
        for _ in range(TRIES_PLACE):
            proposed = _propose(kind, frame, canvas, limits, rng)
            if proposed is None:
                continue
            around = patch(proposed, canvas, canvas, grow=MARGIN)
            if taken[around.rows, around.columns][around.inside].any():
                continue
            behind = patch(proposed, canvas, canvas)
            color = _color(around, behind, limits.colors.get(kind), picture, limits, rng)
            if color is None:
                continue
            shapes.append(proposed.model_copy(update={"color": color}))
            if len(shapes) == count:
                return shapes
            taken[behind.rows, behind.columns] |= behind.inside
    return []


def _propose(kind: Kind, frame: int, canvas: Size, limits: CountParams, rng: Rng) -> Shape | None:
    """Any shape within the limits, black so far; None when it reaches over the frame's edge."""
    high, wide = _extent(canvas)
    area = round(limits.area * 100)
    x = rng.integer(-wide * area // 200, wide * area // 200)
    y = rng.integer(-high * area // 200, high * area // 200)
    size = rng.integer(round(limits.size[0] * UNIT), round(limits.size[1] * UNIT))
    angle = 0 if kind == "circle" else rng.integer(0, 359)
    margin = round(MARGIN * UNIT)
    for dx, dy in _corners(kind, size, angle):
        if abs(x + dx) + margin > wide // 2 or abs(y + dy) + margin > high // 2:
            return None
    return Shape(shape=kind, frame=frame, x=x / UNIT, y=y / UNIT, size=size / UNIT, angle=angle, color=(0, 0, 0))


def _corners(kind: Kind, size: int, angle: int) -> list[tuple[int, int]]:
    """Outermost points relative to the centre, in the unit of `size`."""
    inner = _inner(kind, size)
    if kind == "circle":
        return [(inner, 0), (-inner, 0), (0, inner), (0, -inner)]
    half_turn, outer = (45, inner * 141422 // 100_000) if kind == "square" else (60, 2 * inner)
    return [
        (outer * SINE[(corner + 90) % 360] // 65536, outer * SINE[corner % 360] // 65536)
        for corner in (normal + half_turn for normal in _normals(kind, angle))
    ]


def _color(
    around: Patch, behind: Patch, fixed: Color | None, picture: NDArray[np.uint8], limits: CountParams, rng: Rng
) -> Color | None:
    """A colour that stands out from the surroundings of a shape and from what it hides, or None."""
    ring = around.inside.copy()
    top, left = behind.rows.start - around.rows.start, behind.columns.start - around.columns.start
    high, wide = behind.inside.shape
    ring[top : top + high, left : left + wide] &= ~behind.inside
    regions = [picture[part.rows, part.columns][inside] for part, inside in ((around, ring), (behind, behind.inside))]
    for _ in range(TRIES_COLOR):
        color = fixed or (rng.integer(*limits.color), rng.integer(*limits.color), rng.integer(*limits.color))
        outlined = (stands_out(color, region) for region in regions)
        if all(int(seen.sum()) * 100 >= OUTLINED_PERCENT * seen.size for seen in outlined):
            return color
    return None


def count(shapes: Iterable[Shape]) -> tuple[int, int, int]:
    """How many circles, squares and triangles there are."""
    kinds = [shape.shape for shape in shapes]
    return kinds.count("circle"), kinds.count("square"), kinds.count("triangle")
