"""Charts as small inline SVG: fixed numbers in, equal markup out; colours come from the page's style sheet.

Example:
    >>> print(whisker(0.5, 0.4, 0.6))  # doctest: +ELLIPSIS
    <svg class="whisker" ...
"""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from viubench.schema import STATUSES

_HEIGHT = 10


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
    return _svg("whisker", width, _HEIGHT, parts)


def bar(share: float, width: int = 64) -> Markup:
    """A filled share of a track."""
    full = min(max(share, 0.0), 1.0) * width
    return _svg(
        "bar",
        width,
        _HEIGHT,
        [
            f'<rect class="track" width="{width}" height="{_HEIGHT}" rx="2"/>',
            f'<rect class="fill" width="{full:.1f}" height="{_HEIGHT}" rx="2"/>',
        ],
    )


def statuses(counts: Mapping[str, int], width: int = 96) -> Markup:
    """The shares of the statuses as one stacked bar, `ok` first."""
    total = sum(counts.values()) or 1
    parts, start = [], 0.0
    for status in STATUSES:
        part = counts.get(status, 0) / total * width
        if part:
            parts.append(f'<rect class="s-{status}" x="{start:.1f}" width="{part:.1f}" height="{_HEIGHT}"/>')
        start += part
    return _svg("stack", width, _HEIGHT, parts)


def heat(value: float, chance: float | None) -> int:
    """Colour step 0..9 of a score: 0 at or below chance (0 where unknown), 9 at the ceiling of 1."""
    floor = min(chance or 0.0, 0.999)
    return round(9 * min(max((value - floor) / (1 - floor), 0.0), 1.0))


def _svg(name: str, width: int, height: int, parts: list[str]) -> Markup:
    box = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return Markup(f'<svg class="{name}" {box} aria-hidden="true">{"".join(parts)}</svg>')  # only numbers above
