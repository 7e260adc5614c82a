"""What groups of answers can teach a model, as one self-contained page: by task, and by each parameter of difficulty.

Example:
    html = render(probe.groups)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from reports.ci.reward_groups import HEADS, asked, cells, left_out, legend, shown
from reports.html import page
from reports.html.format import percent, short_names
from reports.html.page import Figure, Finding
from reports.html.svg import Axes, Curve, plot
from viubench.schema.reward_groups import GroupSet, LevelGroups, Measure, RewardGroups

SCRIPTS = ("drawn.js",)

LABEL = 9
"""Characters of a level that fit below its place on an axis; longer ones are numbered."""


def render(found: RewardGroups) -> str:
    """The page as text; equal groups give equal text."""
    names = short_names(list(found.tasks))
    rows = [(names[task], cells(one)) for task, one in found.tasks.items()]
    parameters = groupby(found.levels, key=lambda one: (one.task, one.parameter))
    context = {
        "asked": asked(found),
        "legend": legend(found.samples),
        "left_out": left_out(found),
        "findings": findings(found),
        "heads": HEADS,
        "rows": [*rows, ("all tasks", cells(found.total))] if len(rows) > 1 else rows,
        "figures": [_figure(f"{names[task]}: {name}", name, list(own)) for (task, name), own in parameters],
    }
    return page.render("reward_groups.html.j2", SCRIPTS, {}, context)


def findings(found: RewardGroups) -> list[Finding]:
    """How much of the data teaches, what smooth rewards bring, and where groups vary most and least."""
    smooth, strict = found.total.smooth, found.total.strict
    first = Finding(
        "How much of the data can teach?",
        f"{percent(smooth.mixed.value)} % of the questions",
        f"The answers to {shown(smooth.zero_std)} % of them all have one reward: no advantage, no gradient.",
        warn=smooth.mixed.value < 0.5,
    )
    second = Finding(
        "And with strict rewards?",
        f"{percent(strict.mixed.value)} % of the questions",
        f"{percent(strict.all_right.value)} % are right every time, {percent(strict.all_wrong.value)} % never.",
    )
    names = short_names(list(found.tasks))
    sets = [(f"{names[one.task]}, {one.parameter} {one.level}", one.found) for one in found.levels]
    sets = sets or [(names[task], one) for task, one in found.tasks.items()]
    most, least = (pick(sets, key=lambda one: one[1].smooth.std.value) for pick in (max, min))
    third = Finding(
        "Where do groups vary most?",
        most[0],
        f"Standard deviation within a group {shown(most[1].smooth.std)}; least at {least[0]}: "
        f"{shown(least[1].smooth.std)}.",
    )
    return [first, second, third]


def _figure(title: str, parameter: str, levels: Sequence[LevelGroups]) -> Figure:
    """The share of groups that vary, by smooth and by strict rewards, over the levels of a parameter."""
    numbered = any(len(one.level) > LABEL for one in levels)
    labels = [f"{place}: {one.level}" if numbered else one.level for place, one in enumerate(levels, 1)]
    marks = [(float(at), str(at + 1) if numbered else one.level) for at, one in enumerate(levels)]
    room = 0.1 * max(len(levels) - 1, 1)
    ends = (-room, max(len(levels) - 1, 1) + room)
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    plane = Axes(ends, (0.0, 1.0), ticks, lambda value: percent(value, 0), "", marks)
    curves = [
        _curve("second", [one.found.strict.mixed for one in levels]),
        _curve("first", [one.found.smooth.mixed for one in levels]),
    ]
    legend = (("first", "mixed groups, smooth rewards, percent"), ("second", "mixed groups, strict rewards"))
    rows = tuple((label, *_row(one.found)) for label, one in zip(labels, levels, strict=True))
    heads = (parameter, "groups", "mixed, smooth", "mixed, strict", "std, smooth", "reward")
    return Figure(title, plot(plane, curves), legend, heads, rows, len(rows))


def _curve(style: str, measures: Sequence[Measure]) -> Curve:
    points = [(float(at), one.value) for at, one in enumerate(measures)]
    return Curve(style, points, True, [one.ci for one in measures])


def _row(one: GroupSet) -> tuple[str, ...]:
    smooth = one.smooth
    measures = (smooth.mixed, one.strict.mixed, smooth.std)
    return (f"{one.groups:,}", *map(shown, measures), percent(smooth.reward.value))
