"""One item set under several settings as one self-contained page: score against budget, and where more stops helping.

Example:
    html = render(across([Path("sweeps/a/frames=8"), Path("sweeps/a/frames=32")]))
"""

from __future__ import annotations

from collections.abc import Sequence

from reports.ci.across import alike, changed, rule, spent
from reports.html import page
from reports.html.escape import one_line
from reports.html.format import middle_cut, number, percent, points, points_interval, short_names
from reports.html.page import Figure, Finding
from reports.html.svg import Axes, Band, Curve, Level, plot, ticks
from viubench.schema.across import AcrossReport, Setting, SettingChange

SCRIPTS = ("drawn.js",)

LABEL = 8
"""Characters of a setting that fit below its place on an axis; longer ones are numbered."""

NARROW = 6
"""Characters that fit in front of the first place on an axis."""

MOST_TASKS = 40
"""Tasks that have a figure of their own; the table has all."""


def render(report: AcrossReport) -> str:
    """The page as text; equal reports give equal text."""
    tasks = short_names(list(report.tasks_enough))
    context = {
        "report": report,
        "changed": changed(report),
        "rule": rule(report),
        "findings": findings(report),
        "figures": [_overall(report), *_by_tokens(report)],
        "by_task": [_of_task(report, task, label) for task, label in list(tasks.items())[:MOST_TASKS]]
        if len(tasks) > 1
        else [],
        "tasks": tasks,
        "labels": _labels(report.settings),
        "spent": _known([spent(setting) for setting in report.settings]),
        "paths": [one_line(setting.run.path) for setting in report.settings],
        "models": list(dict.fromkeys(one_line(setting.run.model) for setting in report.settings)),
    }
    return page.render("across.html.j2", SCRIPTS, {}, context)


def _known(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Without the columns that are empty in all rows."""
    return [{name: value for name, value in row.items() if any(other[name] for other in rows)} for row in rows]


def findings(report: AcrossReport) -> list[Finding]:
    """Where more stops helping, what it brought until then, and what it costs."""
    return [_where(report), _brought(report), _costs(report)]


def _where(report: AcrossReport) -> Finding:
    margin = f"{100 * report.margin:g} points"
    if report.enough is not None:
        enough = report.settings[report.enough]
        answer = middle_cut(enough.label, 60)
        if report.enough == len(report.settings) - 1:
            answer = f"Not below {answer}"
        detail = f"At {answer.removeprefix('Not below ')} the lowest bound of the differences to all other settings is "
        return Finding(
            "Where does more stop helping?",
            answer,
            f"{report.conclusion}. {detail}{points(enough.bound)} points; the margin is {margin}.",
        )
    why = report.conclusion.removeprefix("not decided: ")
    return Finding("Where does more stop helping?", "Not decided", f"{why[0].upper()}{why[1:]}.", warn=True)


def _brought(report: AcrossReport) -> Finding:
    helped = [setting for setting in report.settings if setting.step and setting.step.word == "better"]
    hurt = [setting for setting in report.settings if setting.step and setting.step.word == "worse"]
    best = max(report.settings, key=lambda setting: setting.value)
    least = report.settings[0]
    answer = f"{percent(least.value)} to {percent(best.value)} %"
    lines = [f"From {middle_cut(least.label, 40)} to {middle_cut(best.label, 40)}, which scored highest."]
    if best is least:
        answer, lines = f"{percent(least.value)} %", ["The smallest setting scored highest."]
    lines += [_step(setting, setting.step) for setting in (*helped, *hurt) if setting.step]
    if not helped and not hurt:
        lines.append("No step from one setting to the next is shown to matter.")
    return Finding("What did it bring?", answer, " ".join(lines), warn=bool(hurt))


def _step(setting: Setting, step: SettingChange) -> str:
    what = middle_cut(step.differs.removesuffix(", all else equal"), 60)
    return f"{what}: {points(step.difference)} ({step.word}){alike(setting)}."


def _costs(report: AcrossReport) -> Finding:
    first, last = report.settings[0].spent, report.settings[-1].spent
    for name, noun in (("prompt_tokens", "prompt tokens"), ("pixels", "pixels"), ("frames", "frames")):
        one, two = getattr(first, name), getattr(last, name)
        if one and two:
            answer = f"{number(one)} to {number(two)} {noun} an answer"
            detail = f"{number(two / one)} times as many at the largest setting as at the smallest."
            if report.enough is not None and (own := getattr(report.settings[report.enough].spent, name)):
                detail += f" The setting that is enough takes {number(own)}: {percent(own / two)} % of the largest."
            return Finding("What does it cost?", answer, detail + _seconds(report))
    return Finding("What does it cost?", "Not known", "The records say nothing of frames or tokens.", warn=True)


def _seconds(report: AcrossReport) -> str:
    times = [setting.spent.seconds for setting in report.settings]
    if None in (times[0], times[-1]):
        return ""
    ends = [number(time) for time in (times[0], times[-1]) if time is not None]
    return f" From request to answer: {ends[0]} s at the smallest, {ends[1]} s at the largest, side by side."


# --- figures --------------------------------------------------------------------------------------------------


def _overall(report: AcrossReport) -> Figure:
    values = [setting.value for setting in report.settings]
    bests = [setting.best for setting in report.settings]
    places = [float(place) for place in range(len(values))]
    title = f"Score by {'setting' if _numbered(report.settings) else report.budget}"
    return _figure(report, title, places, values, bests, report.enough, _marks(report.settings))


def _by_tokens(report: AcrossReport) -> list[Figure]:
    """The score against what an answer took, where that is known of all."""
    tokens = [setting.spent.prompt_tokens for setting in report.settings]
    known = [each for each in tokens if each is not None]
    if len(known) < len(tokens) or len(set(known)) < 2:
        return []
    values, bests = [setting.value for setting in report.settings], [setting.best for setting in report.settings]
    return [_figure(report, "Score by prompt tokens of an answer", known, values, bests, report.enough, ())]


def _of_task(report: AcrossReport, task: str, label: str) -> Figure:
    own = [setting.tasks[task] for setting in report.settings]
    places = [float(place) for place in range(len(own))]
    values, bests = [one.value for one in own], [one.best for one in own]
    enough = report.tasks_enough[task]
    return _figure(report, middle_cut(label, 60), places, values, bests, enough, _marks(report.settings))


def _marks(settings: Sequence[Setting]) -> list[tuple[float, str]]:
    """What stands below the places of the settings: the one value that varies, else their numbers."""
    texts = [_values(setting) for setting in settings]
    if _numbered(settings):
        texts = [str(place + 1) for place in range(len(texts))]
    return [(float(place), text) for place, text in enumerate(texts)]


def _values(setting: Setting) -> str:
    return ", ".join(map(str, setting.values.values()))


def _numbered(settings: Sequence[Setting]) -> bool:
    """Whether the settings are too long to stand on an axis."""
    return any(len(_values(setting)) > LABEL for setting in settings)


def _labels(settings: Sequence[Setting]) -> list[str]:
    """The settings' names, with their numbers where the axes have those."""
    start = [f"{place}: " if _numbered(settings) else "" for place in range(1, len(settings) + 1)]
    return [middle_cut(number + setting.label, 80) for number, setting in zip(start, settings, strict=True)]


def _figure(
    report: AcrossReport,
    title: str,
    across: Sequence[float],
    values: Sequence[float],
    bests: Sequence[SettingChange | None],
    enough: int | None,
    marks: Sequence[tuple[float, str]],
) -> Figure:
    """Scores with their paired intervals around the best, which stands as a line."""
    top = max(values)
    bands = [
        Band(x, value, top + best.ci[0], top + best.ci[1])
        for x, value, best in zip(across, values, bests, strict=True)
        if best is not None
    ]
    ends = [*values, *(end for band in bands for end in (max(band.low, 0.0), min(band.high, 1.0)))]
    low, high = min(ends), max(ends)
    heights = ticks(low, high if high - low > 1e-3 else low + 1e-3)
    first, last = min(across), max(across)
    room = 0.05 * (last - first)
    across_name = report.budget if marks and len(report.budget) <= NARROW and not _numbered(report.settings) else ""
    plane = Axes((first - room, last + room), (heights[0], heights[-1]), heights, percent, across_name, marks)
    inside = [Band(band.step, band.value, max(band.low, heights[0]), min(band.high, heights[-1])) for band in bands]
    points_of = sorted(zip(across, values, strict=True))
    flags = [] if enough is None else [across[enough]]
    drawing = plot(plane, [Curve("first", points_of, marked=True)], [Level("before", top, "best")], inside, flags)
    legend = [("first", "score, percent"), ("before", "the best"), ("band", "difference to the best, 95 % interval")]
    rows = tuple(
        (
            label,
            percent(value),
            points(best.difference) if best else "best",
            points_interval(best.ci) if best else "",
        )
        for label, value, best in zip(_labels(report.settings), values, bests, strict=True)
    )
    shown = tuple([*legend, ("flag", "enough by the rule")] if flags else legend)
    return Figure(title, drawing, shown, ("setting", "score", "to the best", "interval"), rows, len(rows))
