"""A forest plot row by row, as inline SVG: paired differences with their intervals on one axis, and what moved them.

Example:
    >>> axis = scale([(0.02, 0.11), (-0.06, 0.01)])
    >>> [round(value, 2) for value in axis.ticks]
    [-0.05, 0.0, 0.05, 0.1]
    >>> print(row(axis, 0.07, (0.02, 0.11), None, "better"))  # doctest: +ELLIPSIS
    <svg class="forest" ...

Drawings are hidden from screen readers: the same numbers stand beside them as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.html.svg import svg, ticks

WIDTH, HEIGHT = 380, 24
_EDGE = 14
_MIDDLE = HEIGHT / 2

BARS_WIDTH = 130
_BAR = 10


@dataclass(frozen=True)
class Scale:
    """An axis of differences in [-1, 1], 0 always on it, with the values its lines stand at."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def x(self, difference: float) -> float:
        """Where a difference stands, in the drawing's units; what lies outside stands at the edge."""
        share = (min(max(difference, self.low), self.high) - self.low) / (self.high - self.low)
        return _EDGE + share * (WIDTH - 2 * _EDGE)


def scale(intervals: Sequence[tuple[float, float]]) -> Scale:
    """The axis that holds all intervals and 0; at least two points wide."""
    low = min([-0.01, *(low for low, _ in intervals)])
    high = max([0.01, *(high for _, high in intervals)])
    room = 0.02 * (high - low)
    low, high = low - room, high + room
    return Scale(low, high, tuple(value for value in ticks(low, high, most=7) if low <= value <= high))


def row(axis: Scale, value: float, ci: tuple[float, float], unseen: float | None, word: str) -> Markup:
    """A difference (mark) in its interval (line); within `unseen` of 0 (band) a change is not detectable. A `word`
    other than "better" and "worse" is drawn as unsure."""
    low, high = axis.x(ci[0]), axis.x(ci[1])
    style = word if word in ("better", "worse") else "unsure"
    parts = _lines(axis, HEIGHT)
    if unseen is not None:
        left, right = axis.x(-unseen), axis.x(unseen)
        parts.insert(0, f'<rect class="unseen" x="{left:.1f}" width="{right - left:.1f}" y="0" height="{HEIGHT}"/>')
    parts.append(f'<line class="ci {style}" x1="{low:.1f}" x2="{high:.1f}" y1="{_MIDDLE}" y2="{_MIDDLE}"/>')
    for end, cut in ((low, ci[0] < axis.low), (high, ci[1] > axis.high)):
        if not cut:
            parts.append(f'<line class="ci {style}" x1="{end:.1f}" x2="{end:.1f}" y1="8" y2="{HEIGHT - 8}"/>')
    parts.append(_mark(axis.x(value), style))
    return svg("forest", WIDTH, HEIGHT, parts)


def ruler(axis: Scale) -> Markup:
    """The numbers under the rows, in points."""
    parts = _lines(axis, 5)
    for value in axis.ticks:
        shown = f"{100 * value:+.4g}".replace("-", "−") if abs(value) > 1e-9 else "0"
        parts.append(f'<text x="{axis.x(value):.1f}" y="18">{shown}</text>')
    return svg("forest ruler", WIDTH, HEIGHT, parts)


def bars(better: int, worse: int, units: int, most: float) -> Markup:
    """The units that scored lower (to the left) and higher (to the right), as shares of all on an axis to `most`."""
    half, top = BARS_WIDTH / 2, (HEIGHT - _BAR) / 2
    left, right = (half * min(count / units / most, 1.0) if most else 0.0 for count in (worse, better))
    parts = [
        f'<rect class="track" x="0" width="{BARS_WIDTH}" y="{top}" height="{_BAR}"/>',
        f'<rect class="fill worse" x="{half - left:.1f}" width="{left:.1f}" y="{top}" height="{_BAR}"/>',
        f'<rect class="fill better" x="{half}" width="{right:.1f}" y="{top}" height="{_BAR}"/>',
        f'<line class="zero" x1="{half}" x2="{half}" y1="3" y2="{HEIGHT - 3}"/>',
    ]
    return svg("wins", BARS_WIDTH, HEIGHT, parts)


def _lines(axis: Scale, bottom: float) -> list[str]:
    places = ((f"{axis.x(value):.1f}", "zero" if abs(value) < 1e-9 else "grid") for value in axis.ticks)
    return [f'<line class="{style}" x1="{x}" x2="{x}" y1="0" y2="{bottom}"/>' for x, style in places]


def _mark(x: float, style: str) -> str:
    """In more than colour: a triangle that points up or down in value, or an open circle."""
    if style == "unsure":
        return f'<circle class="mark unsure" cx="{x:.1f}" cy="{_MIDDLE}" r="4"/>'
    turn = 1 if style == "better" else -1
    return f'<path class="mark {style}" d="M{x - 4 * turn:.1f} {_MIDDLE - 5.5}l{9 * turn} 5.5l{-9 * turn} 5.5z"/>'
