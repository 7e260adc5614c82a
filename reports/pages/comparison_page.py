"""A comparison of two runs as one self-contained page: what changed, whether it is real, and the samples that turned.

Example:
    html = render((a, b), found, report(a, b, found, turned), turned, per_task=12)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from reports.ci.comparison import headline, notes, turn
from reports.data import samples
from reports.data.runs import RunData, command
from reports.html import forest_plot, page
from reports.html.escape import one_line, shorten
from reports.html.format import middle_cut, p_value, percent, points, points_interval, short_names
from reports.html.page import MOST_VALUES, Finding
from reports.sections.difficulty import measures, split
from reports.sections.samples import FIELD, RESPONSE, card, words_of
from reports.sections.strips import Strips, left_out
from reports.tables.leaderboard import labels
from viubench.comparison.pair import Comparison, Side, TaskPair
from viubench.comparison.report import Flip, largest, within
from viubench.schema import Manifest
from viubench.schema.compare import Change, CompareReport, GroupChange, TaskChange

SCRIPTS = ("table.js", "player.js", "answers.js", "browser.js", "comparison.js")
STYLES = ("samples.css", "comparison.css")

MOST_FLIPS = 600
"""Samples that a page shows at most, whatever is asked for: with their text they take some 5 MB."""

MOST_ROWS = 2_000
"""Rows of all breakdowns by group together, about: each takes some 1.5 kB."""

NAME = 40
"""Characters of a model's name that stand beside each answer; the whole name stands on top."""

MANY = 0.05
"""A minimum detectable change above this is flagged."""


def render(
    sides: tuple[Side, Side],
    compared: Comparison,
    report: CompareReport,
    turned: Sequence[Flip],
    *,
    per_task: int,
    pages: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as text; equal runs give equal text.

    Args:
        per_task: samples that turned of each task and direction; fewer where all would be more than `MOST_FLIPS`.
        pages: other pages of where it is served: address, name.
    """
    runs = [RunData(side.path, side.manifest, side.results, samples.table([])) for side in sides]
    names = labels(runs)
    known = [found for found in report.tasks.values() if found.clusters > 1]
    unseen = [(-found.detectable, found.detectable) for found in known if found.detectable is not None]
    axis = forest_plot.scale([*(found.ci for found in known), *unseen])
    lines = _lines(report, compared.tasks, axis)
    context = {
        "names": names,
        "folders": [side.path.name for side in sides],
        "findings": verdict(report),
        "notes": list(notes(report)),
        "report": report,
        "tasks": lines[: len(report.tasks)],
        "means": lines[len(report.tasks) :],
        "ruler": forest_plot.ruler(axis),
        "facts": facts(*(side.manifest for side in sides)),
        "commands": [shorten(command(side.manifest), RESPONSE) for side in sides],
        "pages": pages,
        "grouped": any(line["breakdowns"] for line in lines),
    }
    data = browser(runs, names, turned, per_task)
    return page.render("comparison.html.j2", SCRIPTS, data, context, styles=STYLES, served=bool(pages))


# --- the first screen -----------------------------------------------------------------------------------------


def verdict(report: CompareReport) -> list[Finding]:
    """What changed, whether it is real, and what could not be seen."""
    return [_changed(report), _real(report), _unseen(report)]


def _changed(report: CompareReport) -> Finding:
    mean = report.mean
    of = f"Mean of {mean.tasks} tasks" if mean.tasks > 1 else "The score"
    right, wrong = (sum(getattr(found, side) for found in report.tasks.values()) for side in ("to_right", "to_wrong"))
    detail = (
        f"{of}: from {percent(mean.a)} to {percent(mean.b)} %, {points(mean.difference)} points (95 % interval "
        f"{points_interval(mean.ci)}). {right:,} samples turned right, {wrong:,} wrong."
    )
    words = {found.word for found in report.tasks.values()}
    return Finding("What changed?", headline(report), detail, warn="worse" in words)


def _real(report: CompareReport) -> Finding:
    question, tasks = "Is it real?", report.tasks
    real = [(task, found) for task, found in tasks.items() if found.word != "no difference shown"]
    mean = f" The mean over tasks: {report.mean.word} (p {p_value(report.mean.p)})." if len(tasks) > 1 else ""
    if not real:
        least = min(tasks.values(), key=lambda found: found.p)
        smallest = f"the smallest p is {p_value(least.p)}, {p_value(least.holm)} adjusted."
        return Finding(question, "Not shown", f"Chance explains every difference; {smallest}{mean}", warn=True)
    short = short_names(list(tasks))
    named = ", ".join(f"{middle_cut(short[task], 40)} {points(found.difference)}" for task, found in real[:4])
    more = f" and {len(real) - 4} more" if len(real) > 4 else ""
    answer = "Yes" if len(real) == len(tasks) else f"On {len(real)} of {len(tasks)} tasks"
    detail = f"{named}{more}: p below {report.alpha:g} after Holm's correction for {len(tasks)} tests."
    return Finding(question, answer, (detail if len(tasks) > 1 else f"p {p_value(real[0][1].p)}.") + mean)


def _unseen(report: CompareReport) -> Finding:
    question = "What could be missed?"
    known = [found.detectable for found in report.tasks.values() if found.detectable is not None]
    if not known:
        why = "The scores differ by the same on every sample, or all samples are of one video: no spread to go by."
        return Finding(question, "Unknown", why, warn=True)
    low, high = percent(min(known)), percent(max(known))
    size = f"{low} points" if low == high else f"{low} to {high} points"
    least = report.mean.detectable
    mean = f", of the mean {percent(least)}" if least is not None and len(report.tasks) > 1 else ""
    detail = f"The minimum detectable change at 80 % power{mean}. Smaller ones may go undetected."
    return Finding(question, f"Changes below {size}", detail, warn=max(known) > MANY)


# --- tasks and groups -----------------------------------------------------------------------------------------


def _lines(report: CompareReport, pairs: Mapping[str, TaskPair], axis: forest_plot.Scale) -> list[dict[str, Any]]:
    """A line with its drawings for each task, then one without a name for the mean of several."""
    short = short_names(list(report.tasks))
    rows: list[tuple[str, str, Change]] = [(task, short[task], found) for task, found in report.tasks.items()]
    if len(rows) > 1:
        rows.append(("", f"mean of {len(rows)} tasks", report.mean))
    most = max(max(found.better, found.worse) / found.units for _, _, found in rows)
    keys = sum(len(found.groups) for found in report.tasks.values())
    values = min(MOST_VALUES, max(2, MOST_ROWS // max(keys, 1)))
    return [
        {
            "name": name,
            "label": middle_cut(label, 80),
            "found": found,
            "plot": forest_plot.row(axis, found.difference, found.ci, found.detectable, found.word),
            "bars": forest_plot.bars(found.better, found.worse, found.units, most),
            "breakdowns": breakdowns(found, pairs[name], values) if isinstance(found, TaskChange) else [],
        }
        for name, label, found in rows
    ]


def breakdowns(found: TaskChange, pair: TaskPair, most: int = MOST_VALUES) -> list[dict[str, Any]]:
    """The change within each value of every group key, the `most` largest; then within what is read from the samples as
    their difficulty (`reports.sections.difficulty`)."""
    made = []
    for key, values in found.groups.items():
        kept = sorted(values, key=lambda value: (-values[value].units, value))[:most]
        made.append(_breakdown(key, [(value, values[value]) for value in sorted(kept)], len(values) - len(kept)))
    sides = [samples.table(r.model_dump_json().encode() for r in side) for side in zip(*pair.records, strict=True)]
    for measure, difficulty in measures(sides, pair.evaluator.name).items():
        parts = split(difficulty)
        if len(parts) > 1 and measure not in found.groups:
            made.append(_breakdown(measure, [(part.label, within(pair, part.ids)) for part in parts], 0))
    return made


def _breakdown(key: str, values: Sequence[tuple[str, GroupChange]], left_out: int) -> dict[str, Any]:
    """The values of one group key, with a row of a plot each, on an axis of their own."""
    axis = forest_plot.scale([found.ci for _, found in values if found.clusters > 1])
    plots = [forest_plot.row(axis, found.difference, found.ci, None, "") for _, found in values]
    rows = [(middle_cut(value, 60), found, plot) for (value, found), plot in zip(values, plots, strict=True)]
    return {"key": middle_cut(key, 60), "rows": rows, "ruler": forest_plot.ruler(axis), "left_out": left_out}


# --- flips and runs -------------------------------------------------------------------------------------------


def browser(runs: Sequence[RunData], names: Sequence[str], turned: Sequence[Flip], per_task: int) -> dict[str, Any]:
    """The data of the flips, as JSON data: both answers of each, and its filmstrip while there is room."""
    of_each = Counter((flip.a.task, flip.direction) for flip in turned).values()
    while per_task > 1 and sum(min(count, per_task) for count in of_each) > MOST_FLIPS:
        per_task -= 1
    chosen = largest(turned, per_task, [run.path for run in runs])
    strips = Strips()
    samples = [
        card([(0, flip.a), (1, flip.b)], runs, strips) | {"way": flip.direction, "turn": turn(flip)}
        for flip in chosen[:MOST_FLIPS]
    ]
    addresses = strips.addresses()
    return {
        "models": [f"{letter} · {one_line(name, NAME)}" for letter, name in zip("AB", names, strict=True)],
        "tasks": sorted({flip.a.task for flip in turned}),
        "best": [0, 1],
        "samples": samples,
        "rules": words_of(samples),
        "strips": addresses,
        "total": len(turned),
        "stripsLeftOut": left_out(addresses),
    }


def facts(a: Manifest, b: Manifest) -> list[tuple[str, str, str, bool]]:
    """What the manifests say of both runs: name, A's, B's, whether they differ; those that differ first."""
    first, second = _facts(a), _facts(b)
    pairs = {name: (first.get(name, "–"), second.get(name, "–")) for name in first.keys() | second.keys()}
    known = [(name, one, two, one != two) for name, (one, two) in pairs.items()]
    return sorted(known, key=lambda fact: (not fact[3], fact[0]))


def _facts(manifest: Manifest) -> dict[str, str]:
    found: dict[str, Any] = {"seed": manifest.seed, "started": manifest.started}
    for part in ("model", "engine", "hardware", "packages"):
        found |= {f"{part.removesuffix('s')} {name}": value for name, value in getattr(manifest, part).items()}
    return {
        middle_cut(name, 80): shorten(str(value), FIELD) for name, value in found.items() if value not in ("", None)
    }
