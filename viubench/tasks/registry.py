"""The catalogue: finds, loads and resolves tasks, suites, protocols, recipes and published rows.

Example:
    >>> catalogue = Catalogue()
    >>> [task.task for task in catalogue.resolve("viubench-mini").tasks][:2]
    ['viubench_count_easy', 'viubench_count_hard']

A task file may `include:` another one of its folder; its own keys replace the included ones. Files whose name begins
with `_` are only there to be included.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import evaluators
import task_yamls
from viubench.errors import ViubenchError, did_you_mean
from viubench.storage import strict_yaml

if TYPE_CHECKING:
    from viubench.schema import Protocol, Recipe, ReferenceRow, Suite, Task

BUILT_IN = Path(task_yamls.__file__).parent
SPECIAL = ("suites", "protocols", "recipes", "references", "examples")
OWN_ITEMS = 300  # of a pretext task that the recipe `viubench` does not name: as many as most of those it names

V = TypeVar("V")


@dataclass(frozen=True)
class Selection:
    """What `--tasks` named: the tasks in order, the suites among the names, and the recipe that makes their items."""

    tasks: tuple[Task, ...]
    suites: tuple[Suite, ...]
    recipe: Recipe

    def limited(self, limit: int | None) -> Selection:
        """The same with at most `limit` items of each task."""
        if limit is None:
            return self
        entries = [entry.model_copy(update={"n": min(entry.n, limit)}) for entry in self.recipe.items]
        return replace(self, recipe=self.recipe.model_copy(update={"items": entries}))

    def without(self, names: Set[str]) -> Selection:
        """The same without these tasks."""
        entries = [entry for entry in self.recipe.items if entry.task not in names]
        tasks = tuple(task for task in self.tasks if task.task not in names)
        return replace(self, tasks=tasks, recipe=self.recipe.model_copy(update={"items": entries}))


@dataclass(frozen=True)
class Catalogue:
    """All YAML below the built-in folder and any `--include-path`; a later folder replaces equal names. `own` holds
    tasks by name that are in no folder."""

    include_paths: Sequence[Path] = ()
    own: Mapping[str, Task] = field(default_factory=dict)

    @cached_property
    def task_files(self) -> dict[str, Path]:
        """Task name -> file; the name is the file's stem, so that listing need not read every file."""
        return {path.stem: path for path in self._files() if not path.stem.startswith("_")}

    def task(self, name: str) -> Task:
        return self.own[name] if name in self.own else load_task(_pick(name, self.task_files, "task"))

    def plain(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Suites and tasks as their files have them, includes resolved: enough for a list, and not validated."""
        suites = [strict_yaml.read(path)[0] for path in self._files("suites")]
        return suites, [_read_task(path)[0] for path in self.task_files.values()]

    def tasks_in(self, folder: Path) -> list[str]:
        """The names of the tasks whose files lie in `folder`."""
        return [name for name, path in self.task_files.items() if path.is_relative_to(folder)]

    @cached_property
    def suites(self) -> dict[str, Suite]:
        return self._load_all("suites", "Suite")

    @cached_property
    def protocols(self) -> dict[str, Protocol]:
        return self._load_all("protocols", "Protocol")

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        return self._load_all("recipes", "Recipe")

    @cached_property
    def references(self) -> list[ReferenceRow]:
        """Every published row."""
        return [row for table in self._load_all("references", "References").values() for row in table.rows]

    def protocol(self, name: str) -> Protocol:
        """A protocol by name, or from a YAML file."""
        if name.endswith((".yaml", ".yml")):
            given: Protocol = strict_yaml.load(Path(name), _model("Protocol"))
            return given
        return _pick(name, self.protocols, "protocol")

    def recipe(self, name: str) -> Recipe:
        """A recipe by name, or from a YAML file."""
        if name.endswith((".yaml", ".yml")):
            given: Recipe = strict_yaml.load(Path(name), _model("Recipe"))
            return given
        return _pick(name, self.recipes, "recipe")

    def resolve(self, names: str) -> Selection:
        """The tasks that a comma-separated list of task and suite names stands for; the recipe gives each the number
        of items its suite's recipe has, to a task named by itself that of the recipe `viubench`."""
        sizes: dict[str, int] = {}
        suites: list[Suite] = []
        for name in filter(None, (part.strip() for part in names.split(","))):
            if name in self.suites:
                suite = self.suites[name]
                suites.append(suite)
                own = self._sizes(suite.recipe or "viubench")
                sizes.update({task: max(own.get(task, 0), sizes.get(task, 0)) for task in suite.tasks})
            elif name in self.own or name in self.task_files:
                size = self._sizes("viubench").get(name, OWN_ITEMS)
                sizes[name] = max(size, sizes.get(name, 0))
            else:
                raise _unknown(name, [*self.suites, *self.task_files], "task or suite", self.suites)
        if not sizes:
            raise ViubenchError("no task was named", hint="for example: --tasks viubench-mini")
        tasks = tuple(self.task(name) for name in sizes)
        pretext = [task.task for task in tasks if task.pretext]
        if missing := [name for name in pretext if not sizes[name]]:
            raise ViubenchError(f"no recipe says how many items {missing[0]} has", hint="name a suite that does")
        base = self.recipes[next((suite.recipe for suite in suites if suite.recipe), "viubench")]
        entries = [{"task": name, "n": sizes[name]} for name in pretext]
        recipe = base.model_validate(base.model_dump(exclude={"items"}) | {"items": entries})
        return Selection(tasks, tuple(suites), recipe)

    def examples(self, task: Task) -> Iterator[Path]:
        """Folders that may hold example rows of a task: under its data folder's name, then of ones of its data set."""
        roots = (*self.include_paths, BUILT_IN)
        yield from (root / "examples" / (task.data or task.task) for root in roots)
        for name in self.task_files if task.dataset_path else ():
            with suppress(ViubenchError):  # a fault of its file is raised where that task itself is loaded
                other = self.task(name)
                if task.dataset_path in (other.dataset_path, *other.fallbacks):
                    yield from (root / "examples" / (other.data or other.task) for root in roots)

    def knows(self, names: str) -> bool:
        """Whether every name of a comma-separated list is a suite or a task."""
        known = (self.own, self.suites, self.task_files)
        return all(any(name.strip() in some for some in known) for name in names.split(","))

    def tasks_of(self, recipe: Recipe) -> dict[str, Task]:
        """The tasks a recipe makes items of; an entry with `base` is that task under a new name and difficulty."""
        tasks: dict[str, Task] = {}
        for entry in recipe.items:
            task = self.task(entry.base or entry.task)
            if task.pretext is None:
                raise ViubenchError(f"{task.task} is no pretext task: it cannot be built from videos")
            if entry.params and entry.base is None:
                message = f"{entry.task} is given its own params under its published name"
                raise ViubenchError(message, hint=f"give it a new name: task: my_{entry.task}, base: {entry.task}")
            pretext = task.pretext.with_params(entry.params) if entry.params else task.pretext
            tasks[entry.task] = task.model_copy(update={"task": entry.task, "pretext": pretext})
        return tasks

    def _sizes(self, recipe: str) -> dict[str, int]:
        return {entry.task: entry.n for entry in self.recipe(recipe).items}

    def _files(self, special: str = "") -> Iterator[Path]:
        """The files of a special folder of every root, by default those in none of them."""
        for root in (BUILT_IN, *self.include_paths):
            if not root.is_dir():
                raise ViubenchError(f"no such folder: {root}", where="--include-path")
            for path in sorted(root.rglob("*.yaml")):
                top = path.relative_to(root).parts[0]
                if top == special if special else top not in SPECIAL:
                    yield path

    def _load_all(self, folder: str, model_name: str) -> dict[str, Any]:
        """Every file of one special folder, by the name it gives itself (its first field)."""
        model = _model(model_name)
        entries = [strict_yaml.load(path, model) for path in self._files(folder)]
        return {getattr(entry, next(iter(model.model_fields))): entry for entry in entries}


def _model(name: str) -> Any:
    """A class of the schema, imported when a file is first validated: a plain list of tasks needs none."""
    from viubench import schema

    return getattr(schema, name)


def load_task(path: Path) -> Task:
    """One task file, includes resolved; ViubenchError as `strict_yaml.load`, for another name than the file's, and for
    an unknown evaluator or one with other parameters."""
    data, marks = _read_task(path)
    task: Task = strict_yaml.validate(data, marks, path, _model("Task"))
    if task.task != path.stem:
        raise ViubenchError(f"the task is named {task.task!r} but its file {path.name!r}", where=str(path))
    try:
        evaluators.get(task.evaluator.name, **task.evaluator.params)
    except (LookupError, TypeError, ValueError) as error:
        place = strict_yaml.place(path, marks, ("evaluator", "params" if isinstance(error, TypeError) else "name"))
        raise ViubenchError(str(error.args[0]), where=place) from None
    return task


def _read_task(path: Path) -> tuple[Any, strict_yaml.Marks]:
    """The data of a task file, what it includes below its own keys."""
    data, marks = strict_yaml.read(path)
    if isinstance(data, dict) and "include" in data:
        parent = (path.parent / str(data.pop("include"))).resolve()
        if parent.parent != path.parent.resolve():
            raise ViubenchError("include reaches outside the task's folder", where=str(path))
        data = strict_yaml.read(parent)[0] | data
    return data, marks


def _pick(name: str, known: Mapping[str, V], kind: str) -> V:
    if name not in known:
        raise _unknown(name, list(known), kind)
    return known[name]


def _unknown(name: str, known: Sequence[str], kind: str, listed: Collection[str] = ()) -> ViubenchError:
    """Names one like it, or those known; of very many only the `listed` ones."""
    longer = [other for other in known if name and other.startswith(name.lower())]
    names = f"known: {', '.join(sorted(listed or known))}" + (" (more: viubench tasks list)" if listed else "")
    hint = f"did you mean {' or '.join(longer[:3])}?" if longer else did_you_mean(name, known, names)
    return ViubenchError(f"unknown {kind}: {name!r}", hint=hint)
