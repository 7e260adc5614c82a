"""Scores against what they take, as inline SVG: a named dot a model, and the line of those that none beats on both.

Example:
    >>> dots = [Dot("small", 900.0, 0.4), Dot("large", 4000.0, 0.6)]
    >>> print(plot(dots, "tokens"))  # doctest: +ELLIPSIS
    <svg class="scatter" ...
    >>> [dot.name for dot in frontier([*dots, Dot("slow", 5000.0, 0.5)])]
    ['small', 'large']
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from reports.html.escape import clean
from reports.html.format import middle_cut, number, percent
from reports.html.svg import svg, ticks

WIDTH, HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 14, 12, 34
_LETTER, _LINE = 6.2, 13.0
_LONGEST = 22
"""Characters of a name beside its dot."""

WIDE = 8
"""Costs that differ by more than this factor stand on a logarithmic axis."""


@dataclass(frozen=True)
class Dot:
    """A model: what it takes (above 0) and its score in [0, 1]."""

    name: str
    cost: float
    score: float


def frontier(dots: Sequence[Dot]) -> list[Dot]:
    """The dots that no other beats in score at the same cost or less, the cheapest first."""
    kept: list[Dot] = []
    for dot in sorted(dots, key=lambda dot: (dot.cost, -dot.score)):
        if not kept or dot.score > kept[-1].score:
            kept.append(dot)
    return kept


def plot(dots: Sequence[Dot], across: str) -> Markup:
    """The drawing, `across` under its lower edge; a name without room is left to the table beside it."""
    plane = _Plane(dots)
    parts = plane.grid(across)
    best = " ".join(plane.at(dot) for dot in frontier(dots))
    parts.append(f'<polyline class="frontier" points="{best}"/>')
    parts += [
        f'<circle class="dot" cx="{plane.x(dot.cost):.1f}" cy="{plane.y(dot.score):.1f}" r="4.5"/>' for dot in dots
    ]
    return svg("scatter", WIDTH, HEIGHT, [*parts, *_names(dots, plane)])


class _Plane:
    """Where costs and scores stand in the drawing."""

    def __init__(self, dots: Sequence[Dot]) -> None:
        costs, scores = [dot.cost for dot in dots], [dot.score for dot in dots]
        self.logarithmic = max(costs) > WIDE * min(costs)
        self.across = _decades(min(costs), max(costs)) if self.logarithmic else ticks(0.0, max(costs), most=4)
        self.up = ticks(0.0, min(max([0.02, *scores]), 1.0), most=4)

    def x(self, cost: float) -> float:
        low, high, at = self.across[0], self.across[-1], cost
        if self.logarithmic:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        return _LEFT + (at - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, score: float) -> float:
        return HEIGHT - _BOTTOM - score / self.up[-1] * (HEIGHT - _TOP - _BOTTOM)

    def at(self, dot: Dot) -> str:
        return f"{self.x(dot.cost):.1f},{self.y(dot.score):.1f}"

    def grid(self, across: str) -> list[str]:
        parts, bottom = [], HEIGHT - _BOTTOM
        for score in self.up:
            y = self.y(score)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{percent(score, 0)}</text>')
        for cost in self.across:
            x = self.x(cost)
            place = "end" if x > WIDTH - _RIGHT - 12 else "middle"
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
            parts.append(f'<text class="{place}" x="{x:.1f}" y="{bottom + 15}">{number(cost)}</text>')
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        return [*parts, f'<text class="middle" x="{middle}" y="{HEIGHT - 3}">{escape(across)}</text>']


def _decades(low: float, high: float) -> tuple[float, ...]:
    """1, 2 and 5 times powers of ten, from the last below `low` to the first above `high`."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = [unit * 10.0**power for power in powers for unit in (1, 2, 5)]
    first = max(mark for mark in marks if mark <= low * (1 + 1e-9))
    last = min(mark for mark in marks if mark >= high * (1 - 1e-9))
    kept = [mark for mark in marks if first <= mark <= last]
    whole = [mark for mark in kept if mark in (first, last) or f"{mark:e}".startswith("1.000")]
    return tuple(kept if len(kept) <= 6 else whole)


def _names(dots: Sequence[Dot], plane: _Plane) -> list[str]:
    """The names at that side of their dots where they cover neither a dot nor another name; the best models' first."""
    taken = [
        (plane.x(dot.cost) - 6, plane.y(dot.score) - 6, plane.x(dot.cost) + 6, plane.y(dot.score) + 6) for dot in dots
    ]
    parts = []
    for dot in sorted(dots, key=lambda dot: -dot.score):
        x, y, name = plane.x(dot.cost), plane.y(dot.score), middle_cut(clean(dot.name), _LONGEST)
        width = _LETTER * sum(2 if char in "MWmw@%" or char > "\u2e80" else 1 for char in name)
        places = {
            "start": (x + 8, y - 6),
            "end": (x - 8 - width, y - 6),
            "above": (x - width / 2, y - 20),
            "below": (x - width / 2, y + 8),
        }
        for side, (left, top) in places.items():
            box = (left, top, left + width, top + _LINE)
            inside = box[0] >= _LEFT and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT - _BOTTOM
            own = (x - 6, y - 6, x + 6, y + 6)
            if inside and not any(_meet(box, other) for other in taken if other != own):
                taken.append(box)
                anchor = {"start": left, "end": left + width}.get(side, x)
                style = side if side in ("start", "end") else "middle"
                parts.append(f'<text class="name {style}" x="{anchor:.1f}" y="{top + 10:.1f}">{escape(name)}</text>')
                break
    return parts


def _meet(one: tuple[float, ...], two: tuple[float, ...]) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]
