"""How hard a pretext item is, as the parameters that a recipe can set, and the cells of items that are alike in them.

Example:
    cells = cells_of(samples)
    cells["tiny_ground-25a3f24ca180"].name
    # 'tiny_ground perturb=channel_swap length=4'

A parameter of more than `LEVELS` values is cut into ranges that hold about as many items each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from viubench.schema import (
    CountItem,
    CountParams,
    GroundItem,
    GroundParams,
    ItemParams,
    JigsawItem,
    PretextSpec,
    Sample,
)

LEVELS = 3

Level = str | tuple[float, float]
"""A value that is a word, or a range of numbers, both ends included."""


@dataclass(frozen=True)
class Cell:
    """The items of a task that are alike in difficulty: (parameter, level) of each parameter."""

    task: str
    levels: tuple[tuple[str, Level], ...]

    @property
    def name(self) -> str:
        """Task and levels: `tiny_ground perturb=mirror length=2-3`."""
        return " ".join([self.task, *(f"{name}={level_text(level)}" for name, level in self.levels)])


def level_text(level: Level) -> str:
    """A level as text: `mirror`, `4`, `8-10`."""
    if isinstance(level, str):
        return level
    low, high = level
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def difficulty(item: ItemParams) -> dict[str, str | int]:
    """The parameters an item was drawn at: `perturb` and `length` (frames) of a grounding item; of a counting item the
    most `frames` that hold one kind of shape, and the most `instances` on a frame; `n` clips of a jigsaw."""
    if isinstance(item, GroundItem):
        return {"perturb": item.perturb, "length": item.segment[1] - item.segment[0]}
    if isinstance(item, CountItem):
        on_frame = Counter((shape.shape, shape.frame) for shape in item.shapes)
        frames = Counter(kind for kind, _ in on_frame)
        return {"frames": max(frames.values(), default=0), "instances": max(on_frame.values(), default=0)}
    return {"n": item.n} if isinstance(item, JigsawItem) else {}


def strength(item: ItemParams) -> tuple[str, float] | None:
    """How strong the perturbation of a grounding item is, as (`zoom_out scale`, 1.46); None without one number for
    it."""
    if not isinstance(item, GroundItem):
        return None
    numbers = [(name, value) for name, value in item.strength.items() if isinstance(value, int | float)]
    return (f"{item.perturb} {numbers[0][0]}", float(numbers[0][1])) if len(numbers) == 1 else None


def cells_of(samples: Iterable[Sample], levels: int = LEVELS) -> dict[str, Cell]:
    """The cell of each sample, by id. Of a task, each parameter has `levels` levels at most, or its words; a parameter
    with a single value is left out. A sample that is no pretext item is in the one cell of its task."""
    tasks: dict[str, dict[str, dict[str, str | int]]] = {}
    for sample in samples:
        tasks.setdefault(sample.task, {})[sample.id] = difficulty(sample.pretext) if sample.pretext else {}
    found: dict[str, Cell] = {}
    for task, items in tasks.items():
        known = {name: [one[name] for one in items.values() if name in one] for name in _names(items.values())}
        level_of = {name: levels_of(values, levels) for name, values in known.items() if len(set(values)) > 1}
        for item, values in items.items():
            own = [(name, of[values[name]]) for name, of in level_of.items() if name in values]
            found[item] = Cell(task, tuple(own))
    return found


def levels_of(values: Sequence[str | float], most: int = LEVELS) -> dict[str | float, Level]:
    """The level of each value: words are their own, of numbers there are `most` ranges at most, of about as many values
    each."""
    counts = Counter(values)
    numbers = sorted(value for value in counts if not isinstance(value, str))
    ranges: list[list[float]] = []
    before = 0
    for value in numbers:
        place = len(ranges) if len(numbers) <= most else before * most // len(values)
        ranges += [[]] if place >= len(ranges) else []
        ranges[-1].append(value)
        before += counts[value]
    found: dict[str | float, Level] = {value: value for value in counts if isinstance(value, str)}
    return found | {value: (one[0], one[-1]) for one in ranges for value in one}


def params_at(cell: Cell, spec: PretextSpec) -> dict[str, Any] | None:
    """The params that make items of `cell` from a task's `spec`; {} where the task is one cell. Shapes are counted up
    to the cell's levels, so that easier items come along. None where all answers would be one and the same."""
    levels: Mapping[str, Level] = dict(cell.levels)
    whole = {name: [int(end) for end in level] for name, level in levels.items() if not isinstance(level, str)}
    if isinstance(spec.params, GroundParams):
        named = {"perturb": [levels["perturb"]]} if "perturb" in levels else {}
        return named | ({"length": whole["length"]} if "length" in whole else {})
    if isinstance(spec.params, CountParams):
        limits = {f"max_{name}": max(whole[name][1], 1) for name in ("frames", "instances") if name in whole}
        least = spec.params.min_frames
        frames = limits.get("max_frames", spec.params.max_frames)
        alike = frames == least and limits.get("max_instances", spec.params.max_instances) == 1
        return None if alike else limits
    return {"n": whole["n"][1]} if "n" in whole else {}


def _names(items: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for item in items for name in item))
