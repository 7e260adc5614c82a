"""Score against difficulty: how a task's score falls with what makes a sample hard, with 95 % bands.

Example:
    >>> [figure.title for figure in figures(runs, names, "viubench_jigsaw_easy")]  # doctest: +SKIP
    ['by clips out of place']

What makes a sample hard is read from its record: a group key whose values are numbers, the true answer (how many
shapes, how long a segment, how many clips out of place) and the frames shown. A measure that is the same for all is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluators import Evaluator, Scored
from reports.data.runs import Run
from reports.html import svg
from reports.html.format import interval, percent
from reports.html.page import Figure
from reports.html.svg import Area, Curve, Level
from reports.sections.samples import spans
from viubench.schema import Record
from viubench.scoring.aggregate import scored
from viubench.stats import estimates
from viubench.stats.estimates import Estimate

MOST_FIGURES = 4
"""Figures a task, the first of its measures."""

MOST_POINTS = 6
"""Points of a curve: as many different values, or else as many parts of about equal size."""

LEAST = 5
"""Samples in a point at least; a measure that leaves fewer than two such points is not drawn."""


@dataclass(frozen=True)
class Part:
    """Samples of like difficulty: how they are called, where they stand on the axis, and their ids."""

    label: str
    at: float
    ids: frozenset[str]


def figures(runs: Sequence[Run], names: Sequence[str], task: str) -> list[Figure]:
    """The curves of one task: the two best models with their bands, the others in grey, all of them in the table."""
    places = [k for k, run in enumerate(runs) if task in run.results.tasks and run.by_task.get(task)]
    if not places:
        return []
    order = sorted(places, key=lambda k: (runs[k].kind != "model", -runs[k].results.tasks[task].value, names[k]))
    shown = [k for k in order if runs[k].kind == "model"] or order
    evaluator = runs[order[0]].evaluator(task)
    if evaluator is None:
        return []
    found = []
    for measure, values in measures([runs[k].by_task[task] for k in order], evaluator.name).items():
        parts = split(values)
        if len(parts) > 1:
            lines = {names[k]: _estimates(runs[k].by_task[task], parts, evaluator) for k in shown}
            found.append(_figure(measure, parts, lines, runs[order[0]].results.tasks[task].chance))
    return found[:MOST_FIGURES]


def measures(runs: Sequence[Sequence[Record]], evaluator: str) -> dict[str, dict[str, float]]:
    """Each measure by sample id, from the first run that knows it (a baseline was shown no frames)."""
    found: dict[str, dict[str, float]] = {}
    for records in runs:
        for record in records:
            for name, value in _measured(record, evaluator).items():
                found.setdefault(name, {}).setdefault(record.id, value)
    return found


def _measured(record: Record, evaluator: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in record.groups.items():
        if isinstance(value, str) and (number := _number(value)) is not None:
            found[key] = number
    target = record.target
    if evaluator == "shape_counts" and isinstance(target, list):
        found["shapes to count"] = sum(v for v in target if isinstance(v, (int, float)))
    elif evaluator == "permutation" and isinstance(target, list):
        found["clips to order"] = len(target)
        found["clips out of place"] = sum(value != k for k, value in enumerate(target, start=1))
    elif evaluator == "temporal_iou" and (windows := spans(target)):
        found["seconds of the true segment"] = sum(end - start for start, end in windows)
    if record.frames and record.frames.times:
        times = record.frames.times
        if record.frames.videos == 1:
            found["seconds of video shown"] = times[-1] - times[0]
        found["frames shown"] = len(times)
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None


def split(values: Mapping[str, float]) -> list[Part]:
    """Samples by value, or by parts of about equal size where the values are many; parts of too few are left out."""
    ordered = sorted(values, key=lambda sample: (values[sample], sample))
    distinct = sorted(set(values.values()))
    if len(distinct) <= MOST_POINTS:
        groups = [[sample for sample in ordered if values[sample] == value] for value in distinct]
    else:
        edges = [values[ordered[len(ordered) * k // MOST_POINTS]] for k in range(1, MOST_POINTS)]
        groups = [[] for _ in range(MOST_POINTS)]
        for sample in ordered:
            groups[sum(values[sample] >= edge for edge in edges)].append(sample)
    return [
        Part(_label(values[group[0]], values[group[-1]]), sum(values[s] for s in group) / len(group), frozenset(group))
        for group in groups
        if len(group) >= LEAST
    ]


def _label(low: float, high: float) -> str:
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def _estimates(records: Sequence[Record], parts: Sequence[Part], evaluator: Evaluator) -> list[Estimate | None]:
    """The headline over each part with its clustered interval; None where a run has nothing of it."""
    place = {sample: k for k, part in enumerate(parts) for sample in part.ids}
    rows: list[list[Scored]] = [[] for _ in parts]
    for record in records:
        if record.id in place:
            rows[place[record.id]].append(scored(record))
    found: list[Estimate | None] = []
    for part in rows:
        units = evaluator.units(part) if part else []
        scores = [unit.scores.get(evaluator.unit_metric, 0.0) for unit in units]
        found.append(estimates.mean(scores, [unit.cluster for unit in units]) if units else None)
    return found


def _figure(
    measure: str, parts: Sequence[Part], lines: Mapping[str, Sequence[Estimate | None]], chance: float | None
) -> Figure:
    looks = dict(zip(lines, ["first", "second", *["rest"] * len(lines)], strict=False))
    curves, areas = [], []
    for name, look in reversed(looks.items()):  # the best is drawn over the others
        known = [(part.at, found) for part, found in zip(parts, lines[name], strict=True) if found is not None]
        if not known:
            continue
        curves.append(Curve(look, [(at, found.value) for at, found in known], look != "rest"))
        if look != "rest":
            areas.append(
                Area(look, [(at, found.low) for at, found in known], [(at, found.high) for at, found in known])
            )
    levels = [] if chance is None else [Level("floor", chance, f"chance {percent(chance)}")]
    ends = min(part.at for part in parts), max(part.at for part in parts)
    plane = svg.axes(ends, [0.0], lambda value: percent(value, 0), share=True, across="")
    legend = [(look, name) for name, look in looks.items() if look != "rest"]
    if len(looks) > len(legend):
        legend.append(("rest", f"{len(looks) - len(legend)} more, in the table"))
    rows = tuple(
        (part.label, f"{len(part.ids):,}", *(_cell(found[k]) for found in lines.values()))
        for k, part in enumerate(parts)
    )
    heads = (measure, "samples", *lines)
    return Figure(f"by {measure}", svg.plot(plane, curves, levels, areas=areas), tuple(legend), heads, rows, len(rows))


def _cell(found: Estimate | None) -> str:
    return "–" if found is None else f"{percent(found.value)} ({interval(found.low, found.high)})"
