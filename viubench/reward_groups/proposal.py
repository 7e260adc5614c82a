"""A recipe whose items sit where the rewards of a model's groups vary most.

Example:
    proposed = propose(catalogue.recipe("tiny"), catalogue, found)
    [(entry.task, entry.n) for entry in proposed.recipe.items][:2]
    # [('tiny_ground_channel_swap_length4', 31), ('tiny_ground_rotate_180_length3', 88)]

The recipe's numbers are parted anew over the cells of difficulty that the run was asked: by the variance within groups
that each cell had, drawn towards the mean of its task where it has few groups, with a share of all cells kept. Each
cell is a task of its own, derived from the recipe's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from viubench.errors import ViubenchError
from viubench.pretext.difficulty import Cell, level_text, params_at
from viubench.reward_groups.curriculum import expected, quotas, weighted
from viubench.schema import Recipe, RecipeEntry, Task
from viubench.schema.reward_groups import CellGroups, RewardGroups

Key = tuple[str, str]
"""A task of the recipe, and params that replace its own, as JSON."""

FLOOR = 0.1
"""Share of the items that is spread over the cells as the recipe has them, so that none is given up."""


@dataclass(frozen=True)
class Part:
    """A cell in a proposal: how many items it had in the recipe, and has now, of how many groups it was judged, and the
    variance to expect within one."""

    cell: str
    before: float
    n: int
    groups: int
    variance: float


@dataclass(frozen=True)
class Proposal:
    """The proposed `recipe`, what it follows from, its parts, and the cells of which no items can be made, since all
    their answers would be alike."""

    recipe: Recipe
    found: RewardGroups
    parts: tuple[Part, ...]
    left_out: tuple[str, ...]

    @property
    def expected(self) -> tuple[float, float]:
        """The mean variance to expect within a group: of the recipe as it was, and as proposed."""
        before, after = sum(part.before for part in self.parts), sum(part.n for part in self.parts)
        return (
            sum(part.before * part.variance for part in self.parts) / before,
            sum(part.n * part.variance for part in self.parts) / after,
        )

    def about(self) -> dict[str, Any]:
        """What the build's manifest says of it."""
        found, (before, after) = self.found, self.expected
        run = {"model": found.model, "started": found.started, "samples": found.samples}
        return {
            "difficulty": {
                "for": run | {"temperature": found.temperature},
                "cells": [asdict(part) for part in self.parts],
                "left_out": list(self.left_out),
                "expected_variance": {"before": before, "proposed": after},
            }
        }

    def text(self) -> str:
        """The proposal in a few lines for a terminal."""
        wide = max(len(part.cell) for part in self.parts)
        lines = [f"  {'items':{wide}}  before   now  groups  variance to expect"]
        for one in self.parts:
            lines.append(f"  {one.cell:{wide}}  {one.before:6.0f}  {one.n:4}  {one.groups:6}  {one.variance:.4f}")
        lines += [f"  left out: {name}: all its answers would be alike" for name in self.left_out]
        before, after = self.expected
        return "\n".join(
            [*lines, f"  variance to expect within a group: {before:.4f} as it was, {after:.4f} as proposed"]
        )


def propose(recipe: Recipe, tasks: Mapping[str, Task], found: RewardGroups) -> Proposal:
    """The recipe with its items where groups vary most; a pure function of its arguments. `tasks` are those of the
    recipe. Raises ViubenchError where the run was asked nothing of a task, or no cell can be built."""
    if missing := [entry.task for entry in recipe.items if entry.task not in found.tasks]:
        known = ", ".join(found.tasks)
        hint = f"probe items of recipe {recipe.recipe}; the run has: {known}"
        raise ViubenchError(f"the run has no answers to {missing[0]}", where="--for", hint=hint)
    places: dict[Key, list[CellGroups]] = {}
    left_out = []
    for entry in recipe.items:
        for cell in (cell for cell in found.cells if cell.task == entry.task):
            params = _params(cell, tasks[entry.task])
            if params is None:
                left_out.append(_cell(cell).name)
            else:
                places.setdefault((entry.task, json.dumps(params, sort_keys=True)), []).append(cell)
    if not places:
        raise ViubenchError("no items can be made of what the run was asked", where="--for", hint="probe other items")
    entries = {entry.task: entry for entry in recipe.items}
    of_task = {task: [key for key in places if key[0] == task] for task in entries}
    prior = {key: entries[key[0]].n / len(of_task[key[0]]) for key in places}
    counts = {key: float(sum(cell.groups for cell in cells)) for key, cells in places.items()}
    sums = {key: sum(cell.groups * cell.variance for cell in cells) for key, cells in places.items()}
    varies = {key: one for own in of_task.values() for key, one in expected(*_of(own, sums, counts)).items()}
    due = quotas(weighted(prior, varies, FLOOR), sum(entry.n for entry in recipe.items))
    parts = [
        Part(_cell(cells[-1]).name, prior[key], due[key], int(counts[key]), varies[key])
        for key, cells in places.items()
    ]
    items = [
        _entry(entries[key[0]], cells[-1], json.loads(key[1]), due[key]) for key, cells in places.items() if due[key]
    ]
    said = f"Recipe {recipe.recipe}, its difficulty where the rewards of {found.model} vary."
    made = recipe.model_copy(update={"recipe": f"{recipe.recipe}-auto", "description": said, "items": items})
    return Proposal(made, found, tuple(parts), tuple(left_out))


def _of(keys: Sequence[Key], *values: Mapping[Key, float]) -> list[dict[Key, float]]:
    return [{key: one[key] for key in keys} for one in values]


def _cell(cell: CellGroups) -> Cell:
    return Cell(cell.task, tuple((name, level) for name, level in cell.levels))


def _params(cell: CellGroups, task: Task) -> dict[str, object] | None:
    assert task.pretext is not None, "a recipe has pretext tasks only"
    return params_at(_cell(cell), task.pretext)


def _entry(entry: RecipeEntry, cell: CellGroups, params: dict[str, object], n: int) -> RecipeEntry:
    """The entry of a cell; that of the task itself where it has but one."""
    if not params:
        return entry.model_copy(update={"n": n})
    words = [level if isinstance(level, str) else f"{name}{level_text(level)}" for name, level in cell.levels]
    name = "_".join([entry.task, *words]).replace("-", "to")
    return RecipeEntry(task=name, n=n, base=entry.base or entry.task, params=entry.params | params)
