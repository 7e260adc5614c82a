"""Scores on one axis, row by row, as inline SVG that is as wide as its place: dots in their intervals, lines at levels.

Example:
    >>> axis = scale([0.31, 0.62])
    >>> axis.ticks
    (0.0, 0.2, 0.4, 0.6, 0.8)
    >>> print(track(axis, 0.5, 0.4, 0.6, {"chance": 0.25}))  # doctest: +ELLIPSIS
    <svg class="track" width="100%" height="100%" aria-hidden="true"><line class="grid" x1="0%" ...

Places are percentages of the width, so that nothing is stretched. Drawings are hidden from screen readers: the same
numbers stand beside them as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from reports.html.format import percent
from reports.html.svg import ticks


@dataclass(frozen=True)
class Scale:
    """An axis of scores from 0 to the last of its ticks, at most 1."""

    ticks: tuple[float, ...]

    def x(self, score: float) -> str:
        """Where a score stands, in percent of the width; what lies outside stands at the edge."""
        return f"{round(100 * min(max(score / self.ticks[-1], 0.0), 1.0), 2):g}%"


def scale(scores: Iterable[float], most: int = 5) -> Scale:
    """The axis from 0 that holds all scores, with at most `most` gaps between its ticks."""
    marks = ticks(0.0, min(max([0.02, *scores]), 1.0), most)
    return Scale(tuple(round(mark, 6) for mark in marks if mark < 1 + 1e-9))


def track(axis: Scale, value: float, low: float | None, high: float | None, levels: Mapping[str, float]) -> Markup:
    """A score (dot) in its interval (line), with a line at each of the named `levels`."""
    parts = [_line("grid", axis.x(tick)) for tick in axis.ticks]
    parts += [_line(f"at {name}", axis.x(level)) for name, level in levels.items()]
    if low is not None and high is not None:
        parts.append(f'<line class="ci" x1="{axis.x(low)}" x2="{axis.x(high)}" y1="50%" y2="50%"/>')
    parts.append(f'<circle class="dot" cx="{axis.x(value)}" cy="50%" r="4.5"/>')
    return _svg("track", "100%", parts)


def heads(axis: Scale, levels: Mapping[str, float]) -> Markup:
    """The names of the levels over the rows, each on a line of its own, so that near ones do not cover one another."""
    parts, height = [], 15 * len(levels)
    for place, (name, level) in enumerate(levels.items()):
        x, y = axis.x(level), 15 * place
        side = "end" if float(x[:-1]) > 60 else "start"
        parts.append(f'<line class="at {name}" x1="{x}" x2="{x}" y1="{y + 2}" y2="{height}"/>')
        shift = -5 if side == "end" else 5
        text = escape(f"{name} {percent(level)}")
        parts.append(f'<text class="{name} {side}" x="{x}" dx="{shift}" y="{y + 11}">{text}</text>')
    return _svg("track heads", height, parts)


def ruler(axis: Scale) -> Markup:
    """The numbers under the rows, in percent."""
    parts = []
    for tick in axis.ticks:
        place = "start" if tick == 0 else "end" if tick == axis.ticks[-1] else "middle"
        parts.append(f'<text class="{place}" x="{axis.x(tick)}" y="12">{percent(tick, 0)}</text>')
    return _svg("track ruler", 16, parts)


def _line(style: str, x: str) -> str:
    return f'<line class="{style}" x1="{x}" x2="{x}" y1="0" y2="100%"/>'


def _svg(name: str, height: int | str, parts: Iterable[str]) -> Markup:
    """Numbers and escaped labels alone."""
    return Markup(f'<svg class="{name}" width="100%" height="{height}" aria-hidden="true">{"".join(parts)}</svg>')
