"""Score against difficulty: how a task's score falls with what makes a sample hard, with 95 % bands.

Example:
    [figure.title for figure in figures(runs, names, "viubench_jigsaw_easy")]
    # ['by clips out of place']

What makes a sample hard is read from its record: a group key whose values are numbers, the true answer (how many
shapes, how long a segment, how many clips out of place) and the frames shown. A measure that is the same for all is
left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from evaluators import Evaluator
from reports.data.runs import RunData
from reports.data.samples import each
from reports.html import svg
from reports.html.format import percent, with_interval
from reports.html.page import Figure
from reports.html.svg import Curve, Level
from reports.sections.samples import spans
from viubench.scoring.aggregate import numbered, score_of, units_frame
from viubench.scoring.frame import averaged
from viubench.stats import estimates
from viubench.stats.estimates import Estimate

MOST_FIGURES = 4
"""Figures a task, the first of its measures."""

MOST_POINTS = 6
"""Points of a curve: as many different values, or else as many parts of about equal size."""

SCORED = r"^(id|number|cluster|score\..*|group\..*)$"
"""Columns of a sample that its score is made of."""

LEAST = 5
"""Samples in a point at least; a measure that leaves fewer than two such points is not drawn."""


@dataclass(frozen=True)
class Part:
    """Samples of like difficulty: how they are called, where they stand on the axis, and their ids."""

    label: str
    at: float
    ids: frozenset[str]


def figures(runs: Sequence[RunData], names: Sequence[str], task: str) -> list[Figure]:
    """The curves of one task: the two best models with their bands, the others in grey, all of them in the table."""
    places = [k for k, run in enumerate(runs) if task in run.results.tasks and task in run.by_task]
    if not places:
        return []
    order = sorted(places, key=lambda k: (runs[k].kind != "model", -runs[k].results.tasks[task].value, names[k]))
    shown = [k for k in order if runs[k].kind == "model"] or order
    evaluator = runs[order[0]].evaluator(task)
    if evaluator is None:
        return []
    scores = {k: runs[k].by_task[task].filter(regex=SCORED).dropna(axis=1, how="all") for k in shown}
    drawn: list[Figure] = []
    for measure, values in measures([runs[k].by_task[task] for k in order], evaluator.name).items():
        parts = split(values)
        if len(parts) > 1 and len(drawn) < MOST_FIGURES:
            lines = {names[k]: _estimates(scores[k], parts, evaluator) for k in shown}
            drawn.append(_figure(measure, parts, lines, runs[order[0]].results.tasks[task].chance))
    return drawn


def measures(runs: Sequence[pd.DataFrame], evaluator: str) -> dict[str, pd.Series[float]]:
    """Each measure by sample id, from the first run that has the sample, or its frames (a baseline was shown none).

    Args:
        runs: the samples of one task, run by run, as `reports.data.samples.table` gives them.
    """
    every = pd.concat(runs, ignore_index=True)
    rows = every[~every.duplicated("id") | (every["shown"].notna() & ~every.duplicated(["id", "shown"]))]
    groups = rows.filter(regex=r"^group\.").rename(columns=lambda name: name.removeprefix("group."))
    values = groups.apply(lambda column: column.map({value: _number(value) for value in column.unique()}))
    recorded = pd.DataFrame(each(rows["target"], lambda target: _measured(target, evaluator)), rows.index)
    seen = {"seconds of video shown": rows["span"].where(rows["videos"] == 1), "frames shown": rows["shown"]}
    known = pd.concat([values, recorded, pd.DataFrame(seen)], axis=1).astype("float64")
    first = known.groupby(rows["id"], sort=False).first()
    first.index = first.index.astype(object)  # the ids are taken out one by one
    return {str(name): first[name].dropna() for name in first if first[name].notna().any()}


def _measured(target: object, evaluator: str) -> dict[str, float]:
    if evaluator == "shape_counts" and isinstance(target, list):
        return {"shapes to count": sum(v for v in target if isinstance(v, (int, float)))}
    if evaluator == "permutation" and isinstance(target, list):
        misplaced = sum(value != k for k, value in enumerate(target, start=1))
        return {"clips to order": len(target), "clips out of place": misplaced}
    if evaluator == "temporal_iou" and (windows := spans(target)):
        return {"seconds of the true segment": sum(end - start for start, end in windows)}
    return {}


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, str) else math.inf
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None


def split(values: pd.Series[float]) -> list[Part]:
    """Samples by value, or by parts of about equal size where the values are many; parts of too few are left out."""
    ordered = values.sort_index().sort_values(kind="stable")
    if ordered.nunique() <= MOST_POINTS:
        codes = np.unique(ordered, return_inverse=True)[1]
    else:
        edges = [ordered.iloc[len(ordered) * k // MOST_POINTS] for k in range(1, MOST_POINTS)]
        codes = np.searchsorted(edges, ordered, side="right")
    return [
        Part(
            " to ".join(dict.fromkeys(f"{end:.4g}" for end in group.iloc[[0, -1]])),
            float(group.mean()),
            frozenset(group.index),
        )
        for _, group in ordered.groupby(codes)
        if len(group) >= LEAST
    ]


def _estimates(rows: pd.DataFrame, parts: Sequence[Part], evaluator: Evaluator) -> list[Estimate | None]:
    """The headline over each part with its clustered interval; None where a run has nothing of it."""
    place = {sample: k for k, part in enumerate(parts) for sample in part.ids}
    codes = np.array([place.get(sample, -1) for sample in rows["id"]])
    rows = rows.iloc[codes.argsort(kind="stable")]
    bounds = np.searchsorted(np.sort(codes), range(len(parts) + 1))
    units = [
        averaged([units_frame(answers, evaluator) for answers in numbered(rows[a:b])]) if a < b else None
        for a, b in pairwise(bounds)
    ]
    return [
        None if part is None else estimates.mean(score_of(part, evaluator.unit_metric), part["cluster"].tolist())
        for part in units
    ]


def _figure(
    measure: str, parts: Sequence[Part], lines: Mapping[str, Sequence[Estimate | None]], chance: float | None
) -> Figure:
    styles = dict(zip(lines, ["first", "second", *["rest"] * len(lines)], strict=False))
    curves = []
    for name, style in reversed(styles.items()):  # the best is drawn over the others
        known = [(part.at, found) for part, found in zip(parts, lines[name], strict=True) if found is not None]
        bands = [(found.low, found.high) for _, found in known] if style != "rest" else []
        if known:
            curves.append(Curve(style, [(at, found.value) for at, found in known], style != "rest", bands))
    levels = [] if chance is None else [Level("baseline", chance, f"chance {percent(chance)}")]
    ends = min(part.at for part in parts), max(part.at for part in parts)
    plane = svg.axes(ends, [0.0], lambda value: percent(value, 0), share=True, across="")
    legend = [(style, name) for name, style in styles.items() if style != "rest"]
    if len(styles) > len(legend):
        legend.append(("rest", f"{len(styles) - len(legend)} more, in the table"))
    rows = tuple(
        (part.label, f"{len(part.ids):,}", *(_cell(line[k]) for line in lines.values())) for k, part in enumerate(parts)
    )
    heads = (measure, "samples", *lines)
    return Figure(f"by {measure}", svg.plot(plane, curves, levels), tuple(legend), heads, rows, len(rows))


def _cell(found: Estimate | None) -> str:
    return "–" if found is None else with_interval(found.value, found.low, found.high)
