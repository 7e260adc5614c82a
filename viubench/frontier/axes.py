"""The axes of difficulty: which parameter of which pretext task is turned, over which values, and the items of each.

Example:
    >>> [axis.name for axis in chosen("jigsaw.clips,grounding.strength:noise")]
    ['jigsaw.clips', 'grounding.strength:noise']
    >>> chosen("jigsaw.clips")[0].values[:3]
    (2, 3, 4)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from viubench.errors import ViubenchError, did_you_mean
from viubench.pretext.generate import least_frames
from viubench.pretext.perturb import STRENGTHS
from viubench.schema import JigsawSpec, Perturbation, PretextSpec, Recipe, Task
from viubench.tasks.registry import Catalogue

Kind = Literal["jigsaw", "count", "ground"]


@dataclass(frozen=True)
class Axis:
    """A parameter that makes a task harder.

    Attributes:
        name: what the user calls it; after a colon the perturbation, where it is not the axis' own.
        kind: of the pretext task.
        param: of the task, turned to each of the values; or of the perturbation, where it is "strength".
        unit: of the values.
        values: from the easiest to the hardest.
        scale: how values between two levels are told.
        perturb: the perturbation of a grounding axis; "" for that of the recipe's first grounding task.
    """

    name: str
    kind: Kind
    param: str
    unit: str
    values: tuple[float, ...]
    scale: Literal["linear", "log"] = "linear"
    perturb: str = ""

    def params(self, value: float) -> dict[str, Any]:
        """The task's difficulty at a value."""
        at = {self.perturb if self.param == "strength" else self.param: value}
        return {**at, "perturb": [self.perturb]} if self.perturb else at

    def task(self, value: float) -> str:
        """The name of the level's task."""
        return f"{self.name.replace(':', '.')}={value:g}"


VALUES: dict[Perturbation, tuple[float, ...]] = {
    "zoom_out": (2.5, 2.0, 1.7, 1.5, 1.35, 1.25, 1.18, 1.12, 1.08, 1.05, 1.03),
    "zoom_in": (2.5, 2.0, 1.7, 1.5, 1.35, 1.25, 1.18, 1.12, 1.08, 1.05, 1.03),
    "noise": (140, 100, 70, 50, 35, 25, 18, 12, 8, 5),
    "blur": (8.0, 5.6, 4.0, 2.8, 2.0, 1.4, 1.0, 0.7, 0.5),
    "saturation": (5.0, 3.6, 2.8, 2.2, 1.8, 1.5, 1.3, 1.2, 1.1),
}
"""Values of each perturbation that has a strength, in its own unit (see `Strengths`)."""

AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("jigsaw.clips", "jigsaw", "n", "clips", tuple(range(2, 10))),
        Axis("counting.instances", "count", "max_instances", "shapes a frame", tuple(range(1, 9))),
        Axis("counting.frames", "count", "max_frames", "frames a shape", tuple(range(1, 7))),
        Axis("grounding.length", "ground", "length", "frames", (24, 20, 16, 13, 11, 9, 7, 6, 5, 4, 3, 2, 1), "log"),
        Axis("grounding.strength", "ground", "strength", "zoom_out scale", VALUES["zoom_out"], "log", "zoom_out"),
    )
}


def chosen(names: str | Sequence[str], values: Mapping[str, Sequence[float]] | None = None) -> list[Axis]:
    """The axes of these names, with commas between them in a text; `values` replaces those of an axis.

    Raises:
        ViubenchError: an unknown axis or perturbation, one named twice, or fewer than two values.
    """
    parts = names.split(",") if isinstance(names, str) else names
    axes = [_axis(name) for name in (part.strip() for part in parts) if name]
    if not axes:
        raise ViubenchError("no axis was named", where="--axes", hint=f"for example: --axes {','.join(AXES)}")
    own = {name: tuple(each) for name, each in (values or {}).items()}
    if foreign := sorted(own.keys() - {axis.name for axis in axes}):
        raise ViubenchError(f"{foreign[0]!r:.80} is none of the axes", where="--levels", hint="name it in --axes too")
    axes = [replace(axis, values=own.get(axis.name, axis.values)) for axis in axes]
    for axis in axes:
        if sum(other.name == axis.name for other in axes) > 1:
            raise ViubenchError(f"{axis.name} is named twice", where="--axes")
        if list(axis.values) not in (sorted(set(axis.values)), sorted(set(axis.values))[::-1]) or len(axis.values) < 2:
            hint = "two or more values from the easiest to the hardest, as in jigsaw.clips=2,3,4"
            raise ViubenchError(f"{axis.name}: {list(axis.values)} rise or fall not", where="--levels", hint=hint)
    return axes


def _axis(name: str) -> Axis:
    bare, colon, perturb = name.partition(":")
    if bare not in AXES:
        hint = did_you_mean(bare, AXES, f"known: {', '.join(AXES)}")
        raise ViubenchError(f"there is no axis {bare!r:.80}", where="--axes", hint=hint)
    axis = AXES[bare]
    if not colon:
        return axis
    if axis.kind != "ground":
        raise ViubenchError(f"{bare} has no perturbation to choose", where="--axes", hint=f"leave :{perturb} out")
    if axis.param != "strength":
        return replace(axis, name=name, perturb=perturb)
    turned = next((one for one in VALUES if one == perturb), None)
    if turned is None:
        hint = f"known: {', '.join(VALUES)}"
        raise ViubenchError(f"{perturb!r:.80} has no strength to turn", where="--axes", hint=hint)
    return replace(axis, name=name, perturb=turned, unit=f"{turned} {STRENGTHS[turned]}", values=VALUES[turned])


def base_task(axis: Axis, recipe: Recipe, catalogue: Catalogue) -> Task:
    """The recipe's first task of the axis' kind; ViubenchError where it has none."""
    tasks = catalogue.tasks_of(recipe).values()
    found = next((task for task in tasks if task.pretext and task.pretext.kind == axis.kind), None)
    if found is None:
        raise ViubenchError(
            f"recipe {recipe.recipe} has no task for {axis.name}", where="--recipe", hint="viubench has all kinds"
        )
    return found


@dataclass(frozen=True)
class Levels:
    """The items to be made of one axis: the task they are made from, the task of each value that fits, and why the
    others do not."""

    axis: Axis
    base: str
    tasks: dict[float, Task]
    left_out: dict[str, str]


def levels(axis: Axis, recipe: Recipe, catalogue: Catalogue, frames: int) -> Levels:
    """The levels of an axis, of videos of so many frames.

    Raises:
        ViubenchError: a value that does not fit its parameter, or fewer than two levels.
    """
    base = base_task(axis, recipe, catalogue)
    assert base.pretext
    tasks: dict[float, Task] = {}
    left_out: dict[str, str] = {}
    for value in axis.values:
        pretext = base.pretext.with_params(axis.params(int(value) if value == int(value) else value))
        if why := _misfit(pretext, base, frames):
            left_out[f"{value:g}"] = why
        else:
            tasks[value] = base.model_copy(update={"task": axis.task(value), "pretext": pretext})
    if len(tasks) < 2:
        raise too_few(axis, left_out)
    return Levels(axis, base.task, tasks, left_out)


def too_few(axis: Axis, left_out: Mapping[str, str]) -> ViubenchError:
    """What to tell where an axis has fewer than two levels."""
    why = "; ".join(f"{value}: {reason}" for value, reason in list(left_out.items())[:3])
    return ViubenchError(f"{axis.name} has fewer than two levels; {why}", where="--axes", hint="or choose its --levels")


def _misfit(pretext: PretextSpec, base: Task, frames: int) -> str:
    """Why no item of the level can be, "" where one may."""
    if (least := least_frames(pretext)) > frames:
        return f"it needs {least} frames of a video, and is shown {frames}"
    if isinstance(pretext, JigsawSpec) and pretext.params.n > 9 and "digits" in base.question:
        return "the question asks for digits, which end at 9"
    return ""
