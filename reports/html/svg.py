"""Charts as small inline SVG: fixed numbers in, equal markup out; colours come from the page's style sheet.

Example:
    >>> print(whisker(0.5, 0.4, 0.6))  # doctest: +ELLIPSIS
    <svg class="whisker" ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from reports.html.escape import clean
from viubench.schema import STATUSES

Point = tuple[float, float]

_HEIGHT = 10

PLOT_WIDTH, PLOT_HEIGHT = 320, 164
_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 10, 10, 20

MOST_POINTS = 240
"""A curve of more points is drawn by the lowest and the highest of each of half as many pieces."""

MOST_MARKS = 60
"""A curve of more points has no marks, which would cover one another."""


def whisker(value: float, low: float, high: float, chance: float | None = None, width: int = 64) -> Markup:
    """A score (line) in its interval (band) on an axis from 0 to 1, and a tick at chance.

    Hidden from screen readers: the same numbers stand beside it as text.
    """

    def x(fraction: float) -> str:
        return f"{3 + min(max(fraction, 0.0), 1.0) * (width - 6):.1f}"

    middle = _HEIGHT / 2
    parts = [
        f'<line class="axis" x1="3" x2="{width - 3}" y1="{middle}" y2="{middle}"/>',
        f'<line class="ci" x1="{x(low)}" x2="{x(high)}" y1="{middle}" y2="{middle}"/>',
        f'<line class="value" x1="{x(value)}" x2="{x(value)}" y1="1" y2="{_HEIGHT - 1}"/>',
    ]
    if chance is not None:
        parts.insert(1, f'<line class="chance" x1="{x(chance)}" x2="{x(chance)}" y1="0" y2="{_HEIGHT}"/>')
    return svg("whisker", width, _HEIGHT, parts)


def bar(share: float, width: int = 64) -> Markup:
    """A filled share of a track."""
    track = f'<rect class="track" width="{width}" height="{_HEIGHT}" rx="2"/>'
    full = f"{min(max(share, 0.0), 1.0) * width:.1f}"
    return svg("bar", width, _HEIGHT, [track, f'<rect class="fill" width="{full}" height="{_HEIGHT}" rx="2"/>'])


def stack(counts: Mapping[str, int], width: int = 96) -> Markup:
    """The shares of the statuses as one stacked bar, `ok` first."""
    total = sum(counts.values()) or 1
    parts, start = [], 0.0
    for status in STATUSES:
        part = counts.get(status, 0) / total * width
        if part:
            parts.append(f'<rect class="s-{status}" x="{start:.1f}" width="{part:.1f}" height="{_HEIGHT}"/>')
        start += part
    return svg("stack", width, _HEIGHT, parts)


def histogram(counts: Mapping[int, int], reach: int, width: int = 132, height: int = 44) -> Markup:
    """Bars for -reach..reach, those beyond at the ends; the one at 0 stands out.

    Hidden from screen readers: the page says the same in words.
    """
    bins = [sum(n for k, n in counts.items() if min(max(k, -reach), reach) == at) for at in range(-reach, reach + 1)]
    most, step = max(bins) or 1, width / len(bins)
    parts = [f'<line class="axis" x1="0" x2="{width}" y1="{height - 0.5}" y2="{height - 0.5}"/>']
    for k, count in enumerate(bins):
        tall = count / most * (height - 2)
        style = "exact" if k == reach else "off"
        place = f'x="{k * step + 1:.1f}" y="{height - 1 - tall:.1f}" width="{step - 2:.1f}" height="{tall:.1f}"'
        parts.append(f'<rect class="{style}" {place}/>')
    return svg("histogram", width, height, parts)


def heat(value: float, chance: float | None) -> int:
    """Colour step 0..9 of a score: 0 at or below chance (0 where unknown), 9 at the ceiling of 1."""
    least = min(chance or 0.0, 0.999)
    return round(9 * min(max((value - least) / (1 - least), 0.0), 1.0))


# --- curves over steps ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """A line of a plot.

    Attributes:
        style: its class in the style sheet: `first` or `second`, which differ in more than colour, or `faint`.
        points: (step, value), steps rising.
        marked: with a mark at every point, where these are few.
        intervals: (low, high) around each point, drawn as an area under all curves; or none.
    """

    style: str
    points: Sequence[Point]
    marked: bool = False
    intervals: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Level:
    """A labelled line across a plot; `style` is `baseline` or `before`."""

    style: str
    value: float
    text: str


@dataclass(frozen=True)
class Band:
    """A score at a step with its interval."""

    step: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Axes:
    """The part of the plane a plot shows, the values its lines stand at, and how they are written; `marks` are the
    places along the steps and their names, instead of round numbers."""

    steps: Point
    values: Point
    ticks: Sequence[float]
    show: Callable[[float], str]
    across: str = "step"
    marks: Sequence[tuple[float, str]] = ()

    def x(self, step: float) -> float:
        first, last = self.steps
        return _LEFT + (step - first) / (last - first) * (PLOT_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.values
        return PLOT_HEIGHT - _BOTTOM - (value - low) / (high - low) * (PLOT_HEIGHT - _TOP - _BOTTOM)

    def at(self, step: float, value: float) -> str:
        return f"{self.x(step):.1f},{self.y(value):.1f}"


def axes(
    steps: Point, values: Sequence[float], show: Callable[[float], str], *, share: bool = False, across: str = "step"
) -> Axes:
    """Axes that hold all `values`, from 0 on where none is below; a share's axis ends at 1. `across` is what the steps
    are called; any other than whole training steps may be fractions."""
    first, last = steps
    low, high = min(0.0, *values), max(1.0 if share else 0.0, *values)
    high = high if high - low > 1e-30 else low + 1
    marks = (0.0, 0.25, 0.5, 0.75, 1.0) if share and (low, high) == (0, 1) else ticks(low, high)
    ends = min(low, marks[0]), max(high, marks[-1])
    return Axes((first, last if last > first else first + 1), ends, marks, show, across)


def ticks(low: float, high: float, most: int = 5) -> tuple[float, ...]:
    """Round numbers (1, 2 or 5 times a power of ten apart) around [low, high], with at most `most` gaps inside."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    gap = next(unit * power for unit in (1, 2, 5, 10) if (high - low) / (unit * power) <= most or unit == 10)
    return tuple(gap * k for k in range(math.floor(low / gap + 1e-9), math.ceil(high / gap - 1e-9) + 1))


def plot(
    plane: Axes,
    curves: Sequence[Curve],
    levels: Sequence[Level] = (),
    bands: Sequence[Band] = (),
    flags: Sequence[float] = (),
) -> Markup:
    """Curves over steps, on a grid; `flags` are steps marked at the upper edge.

    Hidden from screen readers: the page says the same in words and in a table beside it.
    """
    parts, ends = _grid(plane), f'x1="{_LEFT}" x2="{PLOT_WIDTH - _RIGHT}"'
    spots = {round(plane.x(step) / 6): plane.x(step) for step in flags}  # those that would cover one another are one
    parts += [f'<path class="flag" d="M{x:.1f} {_TOP}l-4 -7h8z"/>' for x in spots.values()]
    for level in levels:
        y = plane.y(level.value)
        parts.append(f'<line class="level {level.style}" {ends} y1="{y:.1f}" y2="{y:.1f}"/>')
    for curve in (curve for curve in curves if curve.intervals):
        lows, highs = ([(x, ci[k]) for (x, _), ci in zip(curve.points, curve.intervals, strict=True)] for k in (0, 1))
        edge = " ".join(plane.at(*point) for point in (*lows, *reversed(highs)))
        parts.append(f'<polygon class="area {curve.style}" points="{edge}"/>')
    for curve in curves:
        line = " ".join(plane.at(*point) for point in thinned(curve.points))
        parts.append(f'<polyline class="curve {curve.style}" points="{line}"/>')
        if (curve.marked and len(curve.points) <= MOST_MARKS) or len(curve.points) == 1:
            parts += [_mark(curve.style, plane.x(step), plane.y(value)) for step, value in curve.points]
    for band in bands:
        x, low, high = (f"{at:.1f}" for at in (plane.x(band.step), plane.y(band.low), plane.y(band.high)))
        parts.append(f'<line class="band" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
        parts.append(_mark("band", plane.x(band.step), plane.y(band.value)))
    taken = [(plane.x(step), plane.y(value)) for curve in curves for step, value in thinned(curve.points)]
    taken += [(plane.x(band.step), plane.y(end)) for band in bands for end in (band.low, band.value, band.high)]
    parts += [_named(level, plane, taken) for level in levels]  # last: a label is not drawn over
    return svg("plot", PLOT_WIDTH, PLOT_HEIGHT, parts)


def key(style: str) -> Markup:
    """The sample of a line or a mark that stands in a legend."""
    shape = {
        "band": '<line class="band" x1="11" x2="11" y1="0" y2="10"/>' + _mark("band", 11, 5),
        "flag": '<path class="flag" d="M11 9l-4 -7h8z"/>',
        "baseline": '<line class="level baseline" x1="0" x2="22" y1="5" y2="5"/>',
        "before": '<line class="level before" x1="0" x2="22" y1="5" y2="5"/>',
    }
    return svg("key", 22, _HEIGHT, [shape.get(style) or f'<polyline class="curve {style}" points="0,5 22,5"/>'])


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """`points`, or of each piece of many the lowest and the highest, so that no peak is lost."""
    if len(points) <= MOST_POINTS:
        return points
    size = math.ceil(2 * len(points) / MOST_POINTS)
    pieces = (points[start : start + size] for start in range(0, len(points), size))
    return [
        end
        for piece in pieces
        for end in sorted({min(piece, key=lambda point: point[1]), max(piece, key=lambda point: point[1])})
    ]


def _grid(plane: Axes) -> list[str]:
    right, bottom = PLOT_WIDTH - _RIGHT, PLOT_HEIGHT - _BOTTOM
    parts = []
    for value in plane.ticks:
        y = plane.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick end" x="{_LEFT - 5}" y="{y + 3.5:.1f}">{escape(plane.show(value))}</text>')
    first, last = plane.steps
    for step, name in plane.marks or _numbered(plane):
        if first <= step <= last:
            x = plane.x(step)
            place = "end" if x > right - 12 else "middle"
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
            parts.append(f'<text class="tick {place}" x="{x:.1f}" y="{PLOT_HEIGHT - 4}">{escape(clean(name))}</text>')
    return [*parts, f'<text class="tick" x="0" y="{PLOT_HEIGHT - 4}">{escape(plane.across)}</text>']


def _numbered(plane: Axes) -> list[tuple[float, str]]:
    """Round steps with their names; those of a training are whole."""
    whole = plane.across == "step"
    steps = [step for step in ticks(*plane.steps) if not whole or step == int(step)]
    return [(step, f"{step:,.0f}" if step == int(step) else f"{step:g}") for step in steps]


def _named(level: Level, plane: Axes, taken: list[Point]) -> str:
    """The label of a level, at that end and on that side of its line where it hides least of what is `taken`."""
    width, line = 6.2 * len(level.text), plane.y(level.value)
    ends = {"end": PLOT_WIDTH - _RIGHT - 2 - width, "start": _LEFT + 3.0}

    def hides(place: tuple[str, float]) -> tuple[bool, int]:
        left, base = ends[place[0]], place[1]
        outside = not _TOP + 10 < base < PLOT_HEIGHT - _BOTTOM - 2
        return outside, sum(left - 4 < x < left + width + 4 and base - 11 < y < base + 3 for x, y in taken)

    end, base = min(((end, line + shift) for end in ends for shift in (-4, 12)), key=hides)
    taken += [(ends[end] + width * k / 8, base - 4) for k in range(9)]
    x = ends[end] + (width if end == "end" else 0)
    return f'<text class="name {level.style} {end}" x="{x:.1f}" y="{base:.1f}">{escape(clean(level.text))}</text>'


def _mark(style: str, x: float, y: float) -> str:
    if style == "second":
        return f'<rect class="mark second" x="{x - 2.5:.1f}" y="{y - 2.5:.1f}" width="5" height="5"/>'
    if style == "band":
        return f'<path class="mark band" d="M{x:.1f} {y - 4:.1f}l4 4l-4 4l-4 -4z"/>'
    return f'<circle class="mark {style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'


def svg(name: str, width: int, height: int, parts: Sequence[str]) -> Markup:
    """A drawing of class `name` in the style sheet, hidden from screen readers; `parts` go in as they are."""
    box = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return Markup(f'<svg class="{name}" {box} aria-hidden="true">{"".join(parts)}</svg>')  # numbers, and escaped labels
