"""Where models break as one self-contained page: thresholds by axis and model, and the fitted curves.

Example:
    html = render(load_frontiers(["frontiers/a", "frontiers/b"]))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from reports.html import page
from reports.html.escape import one_line
from reports.html.format import middle_cut, percent
from reports.html.page import Figure
from reports.html.svg import Axes, Curve, Level, plot
from reports.tables.terminal import table
from viubench.schema.frontier import AxisResult, FrontierReport

SCRIPTS, STYLES = ("drawn.js",), ("frontier.css",)

LOOKS = 6
"""Models whose curves look different; of more, some look alike."""

MOST = 0.5
"""Share of answers that cannot be used, above which a threshold is told with a warning."""

MOST_AREAS = 3
"""Models whose intervals are drawn; those of more would cover each other."""

HALVES = (0.0, 0.25, 0.5, 0.75, 1.0)


def text(reports: Sequence[FrontierReport]) -> str:
    """A line an axis and model, for the terminal."""
    rows = [
        (name, model, axis.statement, axis.questions, unusable(axis), axis.stopped)
        for name in _axes(reports)
        for model, report in zip(_names(reports), reports, strict=True)
        if (axis := report.axes.get(name))
    ]
    heads = ["axis", "model", "half way at", "questions", "cannot be used", "ended because"]
    shown = table(rows, heads, ["left"] * 3 + ["right", "left", "left"])
    return "\n".join([shown, *_silent(reports), *_invalid(reports)])


def render(reports: Sequence[FrontierReport]) -> str:
    """The page as text; equal reports give equal text."""
    axes, models = _axes(reports), _names(reports)
    context = {
        "reports": reports,
        "models": models,
        "axes": [{"name": name, "cells": [report.axes.get(name) for report in reports]} for name in axes],
        "unusable": unusable,
        "silent": _silent(reports),
        "invalid": _invalid(reports),
        "areas": len(models) <= MOST_AREAS,
        "figures": [figure for name in axes for figure in _figures(name, reports, models)],
        "rows": [
            (name, model, f"{at.value:g}", percent(at.guess), at.asked, percent(at.score), at.unusable or "",
             at.failed or "")
            for name in axes
            for model, report in zip(models, reports, strict=True)
            if (axis := report.axes.get(name))
            for at in axis.levels
        ],
    }  # fmt: skip
    return page.render("frontier.html.j2", SCRIPTS, {}, context, styles=STYLES)


def unusable(axis: AxisResult) -> str:
    """The answers of an axis that scored 0 because they could not be used: "12 of 40 (unparsed 12)"; "" for none."""
    if not axis.unusable:
        return ""
    counts = ", ".join(f"{status.replace('_', ' ')} {count}" for status, count in axis.unusable.items())
    return f"{sum(axis.unusable.values())} of {axis.answers} ({counts})"


def _silent(reports: Sequence[FrontierReport]) -> list[str]:
    """A line for each axis of which most answers could not be used: its threshold is that of their form."""
    return [
        f"{name}, {model}: {unusable(axis)} answers cannot be used and score 0; the threshold tells how the model "
        "answers, and little of what it sees. Look at the responses in records.jsonl"
        for name in _axes(reports)
        for model, report in zip(_names(reports), reports, strict=True)
        if (axis := report.axes.get(name)) and sum(axis.unusable.values()) > MOST * axis.answers
    ]


def _axes(reports: Sequence[FrontierReport]) -> list[str]:
    return list(dict.fromkeys(name for report in reports for name in report.axes))


def _names(reports: Sequence[FrontierReport]) -> list[str]:
    """The models' names; those that occur twice with their place."""
    names = [middle_cut(one_line(report.model), 40) for report in reports]
    often = Counter(names)
    return [f"{name} ({k})" if often[name] > 1 else name for k, name in enumerate(names, 1)]


def _invalid(reports: Sequence[FrontierReport]) -> list[str]:
    return [
        f"{name}: {report.invalid}" for name, report in zip(_names(reports), reports, strict=True) if report.invalid
    ]


def _figures(name: str, reports: Sequence[FrontierReport], models: Sequence[str]) -> list[Figure]:
    """A figure of an axis, or one for each choice of levels where the models had different ones."""
    by_levels: dict[tuple[float, ...], list[tuple[int, AxisResult]]] = {}
    for k, report in enumerate(reports):
        if axis := report.axes.get(name):
            by_levels.setdefault(tuple(level.value for level in axis.levels), []).append((k, axis))
    return [_figure(name, values, found, models) for values, found in by_levels.items()]


def _figure(
    name: str, values: Sequence[float], found: Sequence[tuple[int, AxisResult]], models: Sequence[str]
) -> Figure:
    marks = [(float(place), f"{value:g}") for place, value in enumerate(values)]
    plane = Axes((0.0, len(values) - 1.0), (0.0, 1.0), HALVES, lambda share: percent(share, 0), "", marks)
    looks = [f"m{k % LOOKS}" for k, _ in found]
    curves = [
        Curve(
            look,
            [(x, y) for x, y, _, _ in axis.curve],
            intervals=[(low, high) for _, _, low, high in axis.curve] if len(found) <= MOST_AREAS else (),
        )
        for look, (_, axis) in zip(looks, found, strict=True)
    ]
    flags = [axis.places[1] for _, axis in found if not axis.beyond]
    legend: list[tuple[str, str]] = [
        (look, f"{models[k]}: {axis.statement}{_told(axis)}") for look, (k, axis) in zip(looks, found, strict=True)
    ]
    unit = found[0][1].unit
    drawing = plot(plane, curves, [Level("before", 0.5, "half way")], (), flags)
    rows = tuple(_row(place, value, found) for place, value in enumerate(values))
    heads = (unit, *(models[k] for k, _ in found))
    return Figure(f"{middle_cut(name, 50)}, {unit}", drawing, tuple(legend), heads, rows, len(rows))


def _told(axis: AxisResult) -> str:
    return f"; cannot be used: {words}" if (words := unusable(axis)) else ""


def _row(place: int, value: float, found: Sequence[tuple[int, AxisResult]]) -> tuple[str, ...]:
    """A level with the fitted share of each model there."""

    def share(axis: AxisResult) -> Any:
        return min(axis.curve, key=lambda row: abs(row[0] - place))

    cells = []
    for _, axis in found:
        _, middle, low, high = share(axis)
        cells.append(f"{percent(middle)} ({percent(low)} to {percent(high)})")
    return (f"{value:g}", *cells)
