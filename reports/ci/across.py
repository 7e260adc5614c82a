"""Runs of several settings for the terminal: a table of settings, one of tasks, and where more stops helping.

Example:
    print(text(report))
    # frames 16 is enough: no other setting is better by more than 2 points
    # ...

Names and paths are others' text: they are shown, never acted on.
"""

from __future__ import annotations

from reports.html.escape import one_line, short_line
from reports.html.format import number, p_value, percent, points, points_interval
from reports.tables.terminal import table
from viubench.schema.across import AcrossReport, Setting

WIDE = 60
"""Characters of all settings' names together beyond which the columns of a table are numbered."""


def text(report: AcrossReport) -> str:
    """Conclusion, tables and notes as plain text."""
    lines = [f"{n}  {short_line(own.label)}: {one_line(own.run.path)}" for n, own in enumerate(report.settings, 1)]
    lines += [changed(report), settings_table(report)]
    if len(report.tasks_enough) > 1:
        lines += ["", tasks_table(report)]
    lines += ["", *steps(report)]
    lines += [f"left out: {short_line(task)}, {short_line(why)}" for task, why in report.left_out.items()]
    return "\n".join([*lines, rule(report), one_line(report.conclusion)])


def changed(report: AcrossReport) -> str:
    """What differs among the runs, in a sentence."""
    if not report.varied:
        return "nothing differs among these runs: they are repeats"
    names, asked = ", ".join(map(short_line, report.varied)), f"{report.n:,} questions of {report.clusters:,} videos"
    return f"{asked}, the same in all; what differs: {names}, all else equal"


def steps(report: AcrossReport) -> list[str]:
    """What each setting brings against the next smaller one, a line each."""
    return [
        f"{short_line(step.differs)}: {points(step.difference)} ({points_interval(step.ci)}), "
        f"p {p_value(step.holm)}, {step.word}{alike(setting)}"
        for setting in report.settings
        if (step := setting.step)
    ]


def alike(setting: Setting) -> str:
    """What share of the questions this setting changed nothing of, where there are such."""
    share = setting.same_frames
    return f"; {percent(share, 0)} % of the questions were shown the same frames at both" if share else ""


def settings_table(report: AcrossReport) -> str:
    """A line a setting: score, difference to the first run and to the best, what an answer took."""
    rows = []
    for setting in report.settings:
        first, best = setting.first, setting.best
        row = {
            "setting": short_line(setting.label),
            "score": percent(setting.value),
            "to the first": f"{points(first.difference)} ({points_interval(first.ci)})" if first else "",
            "p, Holm": p_value(first.holm) if first else "",
            "": first.word if first else "first",
            "to the best": f"{points(best.difference)} ({points_interval(best.ci)})" if best else "best",
            "as good\nas any": "yes" if setting.bound > -report.margin else "not shown",
        }
        rows.append(row | spent(setting))
    kept = [name for name in rows[0] if any(row[name] for row in rows)]
    return table([[row[name] for name in kept] for row in rows], kept)


def spent(setting: Setting) -> dict[str, str]:
    """What an answer took, by name; "" where it is not known."""
    shown = {name.replace("_", " "): value for name, value in setting.spent.model_dump().items()}
    return {name: "" if value is None else number(value) for name, value in shown.items()}


def tasks_table(report: AcrossReport) -> str:
    """A line a task: its score at each setting, and from which one on more does not help."""
    rows = [
        [
            short_line(task),
            *(percent(setting.tasks[task].value) for setting in report.settings),
            "not decided" if enough is None else short_line(report.settings[enough].label),
        ]
        for task, enough in report.tasks_enough.items()
    ]
    labels = [short_line(setting.label) for setting in report.settings]
    if sum(map(len, labels)) > WIDE:
        labels = [str(number) for number in range(1, len(labels) + 1)]
    heads = ["task", *labels, "enough"]
    return table(rows, heads)


def rule(report: AcrossReport) -> str:
    """How a setting is found to be enough."""
    k = len(report.settings) - 1
    return (
        f"percent; paired differences in points with {100 * report.level:g} % intervals, clustered by source video; p "
        f"two-sided, Holm over {k} difference{'s' if k > 1 else ''}.\n"
        f"Enough is the smallest setting (by {report.budget}) of which every paired difference to another setting has\n"
        f"a lower bound above −{100 * report.margin:g} points (--margin), one-sided at {report.alpha:g} / {k}."
    )
