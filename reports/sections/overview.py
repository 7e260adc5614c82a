"""The picture at the top of the leaderboard: models by score, score against tokens, and the same ability by ability.

Example:
    shown = overview(runs, names, heads, found, pairing, speeds)
    shown.models.lines[0].name, shown.models.lines[0].cell.value
    # ('Qwen3-VL-8B', 0.195)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from reports.data.runs import RunData
from reports.html import score_chart
from reports.html.format import middle_cut, number, percent
from reports.html.page import Figure
from reports.html.scatter_plot import Dot, plot
from reports.html.score_chart import Scale
from reports.tables.leaderboard import Column, LeaderboardRow, first_known
from reports.tables.ranking import Cell, Pairing

MOST_LINES = 12
"""Models that are drawn at once; the others are folded."""

LONGEST_NAME = 32
"""Characters of a name beside its dot."""

NARROW = 13
"""Characters of a name that always have room beside its score."""

DISAGREE = 0.5
"""Scores that differ by this much or more do not agree, as in a comparison of two runs."""

MOST_ABILITIES = 12
"""Panels of abilities; the table has all of them."""

FEW_LINES = 6
"""Models in a panel of an ability, the best of all; the best of the ability is added where it is none of them."""


@dataclass(frozen=True)
class ScoreLine:
    """One model's score, drawn; `start` and `end` are its name without an owner's: the end always shows, the start as
    far as there is room. `end` is empty where the start tells the model from the others of its chart."""

    name: str
    start: str
    end: str
    cell: Cell
    drawn: Markup


@dataclass(frozen=True)
class ScoreChart:
    """Models by score on one axis: its title, the levels over it and the numbers under it."""

    title: str
    lines: list[ScoreLine]
    heads: Markup
    ruler: Markup


@dataclass(frozen=True)
class Overview:
    """`models` by the first column, None without any; `costs` where tokens or seconds are known of two or more;
    `abilities`, and how many more the table has."""

    models: ScoreChart | None
    costs: Figure | None
    abilities: list[ScoreChart]
    more: int


def overview(
    runs: Sequence[RunData],
    names: Sequence[str],
    heads: Sequence[Column],
    found: Sequence[LeaderboardRow],
    pairing: Pairing,
    speeds: Sequence[Mapping[str, Any]],
) -> Overview:
    """What stands at the top of the page, from the rows of the main table."""
    first = heads[0] if heads else None
    models = [row for row in found if row.kind == "model" and first and first.key in row.cells]
    if first is None or not models:
        return Overview(None, None, [], 0)
    models.sort(key=lambda row: (-row.cells[first.key].value, row.label))
    places = {name: place for place, name in enumerate(names)}
    parts = abilities(heads)
    kept = parts[:MOST_ABILITIES]
    chosen = {part.key: _best(models, part) for part in kept}
    cells = {
        (row.label, part.key): _with_interval(row.cells[part.key], places[row.label], part, pairing)
        for part in kept
        for row in chosen[part.key]
    }
    axis = score_chart.scale([*(cell.high or cell.value for cell in cells.values()), *_levels_of(runs, kept)], most=2)
    charts = [
        _chart(part, [(row.label, cells[row.label, part.key]) for row in chosen[part.key]], runs, axis) for part in kept
    ]
    return Overview(
        _chart(first, [(row.label, row.cells[first.key]) for row in models], runs),
        _costs(models, first, speeds),
        charts if len(kept) > 1 else [],
        len(parts) - len(kept),
    )


def abilities(heads: Sequence[Column]) -> list[Column]:
    """The groups of the first column's suite; the tasks where it has none."""
    groups = [head for head in heads if head.kind == "group" and head.key.startswith(f"{heads[0].key}/")]
    return groups or [head for head in heads if head.kind == "task"]


def best_places(names: Sequence[str], found: Sequence[LeaderboardRow], heads: Sequence[Column]) -> list[int]:
    """The places of the models among the runs, the best of the first column first."""
    models = [row for row in found if row.kind == "model" and heads[0].key in row.cells] if heads else []
    return [
        names.index(row.label) for row in sorted(models, key=lambda row: (-row.cells[heads[0].key].value, row.label))
    ]


def disagreement(data: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The two best models, and on how many of the samples of the page (`reports.sections.samples.browser`) their first
    answers score differently; None where on none."""
    count = 0
    for sample in data["samples"]:
        scores = {answer["model"]: answer["score"] for answer in reversed(sample["answers"])}
        both = [scores[place] for place in data["best"][:2] if place in scores]
        count += len(both) == 2 and abs(both[0] - both[1]) >= DISAGREE
    if not count:
        return None
    first, second = (middle_cut(_own(data["models"][place]), 40) for place in data["best"][:2])
    return first, second, f"on {count} of the {len(data['samples'])} samples in this page"


def _best(models: Sequence[LeaderboardRow], part: Column) -> list[LeaderboardRow]:
    """The first models that have an ability, and the best at it."""
    known = [row for row in models if part.key in row.cells]
    top = max(known, key=lambda row: row.cells[part.key].value, default=None)
    return [row for k, row in enumerate(known) if k < FEW_LINES or row is top]


def _with_interval(cell: Cell, place: int, part: Column, pairing: Pairing) -> Cell:
    """A group's mean with its interval, where the records give it."""
    if cell.low is not None or not (estimate := pairing.estimate(place, part.weights)):
        return cell
    return Cell(cell.value, estimate.low, estimate.high, cell.chance, cell.best, cell.tied)


def _chart(
    head: Column, cells: Sequence[tuple[str, Cell]], runs: Sequence[RunData], axis: Scale | None = None
) -> ScoreChart:
    levels = _levels(runs, head)
    ends = [end for _, cell in cells for end in (cell.value, cell.high) if end is not None]
    axis = axis or score_chart.scale([*ends, *levels.values()])
    lines = [
        ScoreLine(name, *parts, cell, score_chart.track(axis, cell.value, cell.low, cell.high, levels))
        for (name, cell), parts in zip(cells, _in_parts([_own(name) for name, _ in cells]), strict=True)
    ]
    return ScoreChart(head.label, lines, score_chart.heads(axis, levels), score_chart.ruler(axis))


def _own(name: str) -> str:
    """A model's name without its owner's."""
    return name.rsplit("/", 1)[-1] or name


def _in_parts(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names cut in two where their first characters are also another's."""
    starts = Counter(name[: NARROW - 1] for name in names)
    cuts = [len(name) - (NARROW // 2 if starts[name[: NARROW - 1]] > 1 else 0) for name in names]
    whole = [len(name) <= NARROW for name in names]
    return [
        (name, "") if fits else (name[:cut], name[cut:]) for name, cut, fits in zip(names, cuts, whole, strict=True)
    ]


def _levels(runs: Sequence[RunData], head: Column) -> dict[str, float]:
    """What needs no skill: chance, and the blind answerer."""
    known = {what: first_known(runs, head, what) for what in ("chance", "blind")}
    return {what: value for what, value in known.items() if value is not None}


def _levels_of(runs: Sequence[RunData], heads: Sequence[Column]) -> list[float]:
    return [value for head in heads for value in _levels(runs, head).values()]


def _costs(models: Sequence[LeaderboardRow], head: Column, speeds: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Score against tokens a sample, or seconds where tokens are not counted."""
    by_label = {speed["label"]: speed for speed in speeds}
    known = [(row, by_label[row.label]) for row in models if row.label in by_label]
    for what, cost in {
        "tokens a sample, prompt and answer": _tokens,
        "seconds a sample in the engine": _seconds,
    }.items():
        dots = [
            Dot(middle_cut(_own(row.label), LONGEST_NAME), value, row.cells[head.key].value)
            for row, speed in known
            if (value := cost(speed)) is not None
        ]
        if len(dots) > 1:
            rows = tuple((dot.name, number(dot.cost), percent(dot.score)) for dot in dots)
            return Figure(
                f"Score and {what.split()[0]}", plot(dots, what), (), ("model", what, "score"), rows, len(rows)
            )
    return None


def _tokens(speed: Mapping[str, Any]) -> float | None:
    parts = [speed["prompt"], speed["completion"]]
    return sum(parts) or None if None not in parts else None


def _seconds(speed: Mapping[str, Any]) -> float | None:
    stage = speed["stages"].get("engine")
    return stage["mean"] or None if stage else None
