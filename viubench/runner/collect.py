"""From names to samples: pretext items built or read, data sets from a folder or the hub, lmms-eval's own tasks.

Example:
    sources = Collector(EvalConfig(tasks="videomme", data_root="data"), out).collect()
    len(sources.datasets[0].samples)  # 2700
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from viubench.datasets import download, loader, pretext_items, row_files, subtitles
from viubench.datasets.dataset import Dataset
from viubench.datasets.download import Progress, silent
from viubench.datasets.questions import table
from viubench.datasets.questions.names import expanded, is_questions, own_names, questions_in
from viubench.datasets.questions.understanding import understand
from viubench.errors import ViubenchError, did_you_mean
from viubench.pretext import build, fewer_frames
from viubench.runner.config import EvalConfig
from viubench.runner.protocols import protocol_of
from viubench.schema import Recipe, Sample, Sampling, Suite, Task
from viubench.scoring import baselines
from viubench.tasks.registry import Catalogue, Selection, load_task
from viubench.video.discover import folder_of

log = logging.getLogger("viubench")

LMMS = "lmms:"  # begins the name of a task of the installed lmms-eval


@dataclass
class _Named:
    """What was named, by kind: tasks and suites of the catalogue, tasks of lmms-eval, folders of items, tables of
    questions, and files `found` by a pattern or in a folder, of which some may be no such tables."""

    ours: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    tables: list[Any] = field(default_factory=list)
    found: list[Path] = field(default_factory=list)


@dataclass
class Collector:
    """Reads or builds what `config.tasks` names.

    Attributes:
        out: the run folder; items are built into `out/items`.
        datasets: one for each source, in the order they were read.
        suites: those that are covered whole.
        catalogue: the installed tasks, those of the include paths, and those given as files, folders or objects.
    """

    config: EvalConfig
    out: Path
    progress: Progress = silent
    datasets: list[Dataset] = field(default_factory=list)
    suites: list[Suite] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    homes: dict[str, Path] = field(default_factory=dict)  # the folders of the user's own task files, by task
    catalogue: Catalogue = field(init=False)
    _known: set[str] = field(default_factory=set)

    def collect(self) -> Collector:
        """Every sample of the tasks, suites, folders and lmms-eval tasks that were named; raises ViubenchError for an
        unknown name, missing data, or options that contradict each other."""
        given = self._sorted()
        for folder in given.folders:
            self._folder(folder)
        for source in given.tables:
            self._questions(source)
        self._found(given.found, given.tables)
        if ours := ",".join(given.ours):
            named = self.catalogue.resolve(ours).limited(self.config.limit)
            self._known.update(task.task for task in named.tasks)
            selection = named.without(self.config.excluded)
            for task in selection.tasks:  # before anything is fetched or built
                protocol = protocol_of(self.config, self.catalogue, task.protocol)
                if protocol.subtitles:
                    subtitles.require(task, protocol)
            self.suites += selection.suites
            self._pretext(selection, ours)
            self._tables(selection)
        if given.theirs:
            from viubench.datasets.lmms import dataset

            pictures = self.out / "pictures"
            self.datasets.append(
                dataset.read(
                    given.theirs,
                    include_paths=list(self.catalogue.include_paths),
                    pictures=pictures,
                    limit=self.config.limit,
                )
            )
        self._exclude()
        return self

    def _sorted(self) -> _Named:
        """The names by kind; makes the catalogue that knows those of the user's own files."""
        include, own, named = list(self.config.include_paths), {}, _Named()
        installed = Catalogue(tuple(include))
        given = [(one, one is name) for name in self.config.names for one in expanded(name, installed)]
        for name, sure in _once(given, installed):
            path = Path(name) if isinstance(name, str) else Path()
            if isinstance(name, Task):
                own[name.task] = name
                named.ours.append(name.task)
            elif not isinstance(name, str):
                named.tables.append(name)
            elif name.startswith(LMMS):
                named.theirs.append(name.removeprefix(LMMS))
            # A name of the catalogue is never a folder: one of that name may lie where the command is run.
            elif installed.knows(name):
                named.ours.append(name)
            elif name.endswith((".yaml", ".yml")):
                task = load_task(path)
                own[task.task], self.homes[task.task] = task, path.parent
                named.ours.append(task.task)
            elif path.name == "items.jsonl" and (path.parent / "build.json").exists():
                named.folders.append(path.parent)
            elif is_questions(path):
                (named.tables if sure else named.found).append(path)
            elif _holds_tasks(path):
                include.append(path)
                here = Catalogue((path,))
                self.homes |= {task_name: here.task_files[task_name].parent for task_name in here.tasks_in(path)}
                named.ours += here.tasks_in(path)
            elif path.is_dir():
                tables = questions_in(path)
                named.found += tables
                named.folders += [] if tables else [path]
            else:
                named.ours.append(name)
        self.catalogue = Catalogue(tuple(include), own)
        return named

    def _exclude(self) -> None:
        """Leave out the excluded tasks of what was read, and the suites that they were of."""
        left_out = self.config.excluded
        self._known.update(name for one in self.datasets for name in one.tasks)
        if unknown := sorted(left_out - self._known):
            hint = did_you_mean(unknown[0], self._known, "viubench tasks list names them")
            raise ViubenchError(f"{unknown[0]!r} is none of the tasks", where="--exclude", hint=hint)
        self.datasets = [one.without(left_out) for one in self.datasets if one.tasks.keys() - left_out]
        self.suites = [suite for suite in self.suites if not left_out & set(suite.tasks)]
        if left_out and not self.datasets:
            raise ViubenchError("every task is left out", where="--exclude")

    def _items(self, folder: Path) -> Dataset:
        return pretext_items.read(folder, self.catalogue, self.config.cache, self.config.videos_folder)

    def _folder(self, folder: Path) -> None:
        """All items of a build folder, or all published rows in a folder."""
        built = self._ready(folder)
        suites = [suite for suite in self.catalogue.suites.values() if set(suite.tasks) == set(built.tasks)]
        named = [suite for suite in suites if suite.suite == built.recipe]
        self.suites += named or suites[:1]
        self._add(built, dict.fromkeys(built.tasks), built.tasks)

    def _pretext(self, selection: Selection, names: str) -> None:
        """The selection's pretext tasks, from built items or built now."""
        tasks = {task.task: task for task in selection.tasks if task.pretext}
        if not tasks:
            return
        ready, mixed = self.config.data_folder, len(tasks) < len(selection.tasks)
        if ready is None or (mixed and self.config.videos_folder is not None):
            built = self._items(self._build(selection.recipe, tasks))
            self._add(built, dict.fromkeys(tasks), tasks)
            counts = {task: sum(sample.task == task for sample in built.samples) for task in tasks}
            self.notes += [
                f"{entry.task}: {counts[entry.task]} of {entry.n} items could be made from these videos"
                for entry in selection.recipe.items
                if counts[entry.task] < entry.n
            ]
            return
        inner = ready / names  # the sub-folder of the suite's name, where there is one
        inside = (inner / "items.jsonl").exists() or list(inner.glob("*.parquet"))
        built = self._ready(inner if inside else ready, tasks)
        all_of_it = built.published or ready.is_file()
        self._add(built, {entry.task: None if all_of_it else entry.n for entry in selection.recipe.items}, tasks)

    def _tables(self, selection: Selection) -> None:
        """The selection's data sets, from `--data-root`, from beside the user's own task file, or from the hub into the
        default data folder."""
        for task in selection.tasks:
            if task.pretext:
                continue
            protocol = protocol_of(self.config, self.catalogue, task.protocol)
            home = self.homes.get(task.task)
            root = self.config.data_folder or download.default_data_root()
            if home is not None and row_files.has_rows(task, home) and not row_files.has_rows(task, root):
                root = home
            elif self.config.data_folder is None:
                download.ensure(task, root, self.progress)
            self._refuse_frames(task)
            folders = () if home is None else self._folders(row_files.data_folder(task, root), home)
            self.datasets.append(
                loader.read(task, root, self.config.cache, protocol.prompt, told=protocol.subtitles, folders=folders)
            )

    def _questions(self, source: Any) -> None:
        """The user's own questions: what their table was understood as is told at once."""
        found = table.read(source, table.embedded())
        home = Path(found.path).parent if found.path else Path()
        folders = self._folders(home)
        known = {name for dataset in self.datasets for name in dataset.tasks} | set(self.catalogue.task_files)
        name = next(one for one in own_names(found.name, home) if one not in known | self._known)
        self._known.add(name)
        if name in self.config.excluded:
            return
        own = understand(found, folders, self.config.columns, self.config.answer_kind, name)
        for line in own.lines:
            log.info("%s", line)
        self._refuse_frames(own.task)
        protocol = protocol_of(self.config, self.catalogue, own.task.protocol)
        unreadable = [f"{Path(found.path).name}, {row.place}: {row.reason}" for row in found.unreadable]
        dataset = loader.of_rows(
            own.task,
            found.rows,
            home,
            self.config.cache,
            protocol.prompt,
            told=protocol.subtitles,
            folders=folders,
            unreadable=unreadable,
        )
        chance = baselines.of(own.task, dataset.samples).chance
        log.info("  %-9s %d%s", "samples", len(dataset.samples), "" if chance is None else f", chance {chance:.1%}")
        self.datasets.append(dataset)

    def _found(self, paths: Sequence[Path], tables: Sequence[Any]) -> None:
        """The tables of questions among the files of a pattern or a folder, without those that were named too;
        ViubenchError where there is none."""
        left_out: dict[Path, ViubenchError] = {}
        named = {table.resolve() for table in tables if isinstance(table, Path)}
        for path in paths:
            try:
                if path.resolve() not in named:
                    self._questions(path)
            except ViubenchError as error:
                left_out[path] = error
        if paths and len(left_out) == len(paths):
            raise left_out[paths[0]]
        self.notes += [f"{path} is left out: {error.message}" for path, error in left_out.items()]

    def _folders(self, *homes: Path) -> list[Path]:
        """Where the videos of the user's own questions may lie; ViubenchError for a folder that is not there."""
        given = {"--videos": self.config.videos_folder, "--data-root": self.config.data_folder}
        for option, folder in given.items():
            if folder is not None and not folder.exists():
                raise ViubenchError(f"no such folder: {folder}", where=option)
        return [*(folder_of(folder) for folder in given.values() if folder), *homes]

    def _refuse_frames(self, task: Task) -> None:
        if task.video and (task.video.frames or task.video.times) and self._sets_sampling:
            raise ViubenchError(
                f"the rows of {task.task} choose their frames: --frames, --fps and --set sampling cannot change them",
                hint="leave the option out, or the column: --columns frames= --columns times=",
            )

    def _build(self, recipe: Recipe, tasks: Mapping[str, Task]) -> Path:
        """Items of the selection in `out/items`; those already there are kept when they are the same build."""
        if self.config.videos_folder is None:
            raise ViubenchError(
                "these tasks are made from videos: none were given",
                where="--videos",
                hint="name a folder of videos with --videos, or ready items with --data-root",
            )
        recipe = recipe.model_copy(update={"sampling": self._sampling(next(iter(tasks.values())).protocol)})
        folder = self.out / "items"
        if not _built_before(folder, recipe, tasks, self.config.videos_folder, self.config.seed):
            with self.progress("building items") as update:
                build.build(
                    recipe,
                    tasks,
                    self.config.videos_folder,
                    folder,
                    seed=self.config.seed,
                    workers=self.config.decoders,
                    cache=self.config.cache,
                    progress=update,
                )
        return folder

    def _sampling(self, own: str) -> Sampling:
        """The frames that items are built from. A protocol from elsewhere says nothing of them: it was made for whole
        videos, of which it shows more or fewer frames by their length."""
        protocol = protocol_of(self.config, self.catalogue, own)
        if protocol.source and not self._sets_sampling:
            self.notes.append(f"items are built from the frames of {own}; {protocol.protocol} says the rest")
            return self.catalogue.protocol(own).sampling
        return protocol.sampling

    @property
    def _sets_sampling(self) -> bool:
        return bool(self.config.frames or self.config.fps or self._sets("sampling."))

    def _sets(self, group: str) -> bool:
        return any(path.startswith(group) for path in self.config.set or ())

    def _ready(self, folder: Path, wanted: Collection[str] | None = None) -> Dataset:
        """Items that were built before, all or those of the `wanted` tasks, of which `--frames` shows fewer frames."""
        built, frames = self._items(folder), self.config.frames
        self._known.update(built.tasks)
        unwanted = set() if wanted is None else built.tasks.keys() - wanted
        built = built.without(self.config.excluded | unwanted)
        if self._sets_sampling and (built.published or not frames or self._sets("sampling.") or self.config.fps):
            raise ViubenchError(
                "ready items fix their frames: --frames may show fewer of built ones, --fps and --set sampling none",
                where=str(folder),
                hint="build items with another sampling, or give --videos and task names",
            )
        if not frames:
            return built
        samples: list[Sample] = []
        for name, task in built.tasks.items():
            samples += fewer_frames.asked((one for one in built.samples if one.task == name), task, frames)
        counts = Counter(one.task for one in samples if fewer_frames.hidden(one))
        self.notes += [
            f"{name}: {count} of its items show nothing of the altered part at {frames} frames"
            for name, count in counts.items()
        ]
        return replace(built, samples=samples)

    def _add(self, built: Dataset, sizes: Mapping[str, int | None], tasks: Mapping[str, Task]) -> None:
        """The first so many items of each of these tasks."""
        self.datasets.append(replace(built, samples=pretext_items.select(built, sizes), tasks=dict(tasks)))


def _once(given: Sequence[tuple[Any, bool]], installed: Catalogue) -> list[tuple[Any, bool]]:
    """Each name once, however its path is written; those of a pattern apart from those given by themselves."""
    kept: dict[Any, tuple[Any, bool]] = {}
    for name, sure in given:
        path = isinstance(name, str) and not installed.knows(name) and os.path.exists(name)
        key = Path(name).resolve() if path else name if isinstance(name, str) else id(name)
        kept.setdefault((key, sure), (name, sure))
    return list(kept.values())


def _built_before(folder: Path, recipe: Recipe, tasks: Mapping[str, Task], videos: Path, seed: int) -> bool:
    """Whether `folder` holds the items of just this build, so that a run that was stopped need not build them again."""
    if not (folder / "build.json").exists():
        return False
    about = json.loads((folder / "build.json").read_bytes())
    return bool(
        about["seed"] == seed
        and about["recipe"] == recipe.model_dump(mode="json")
        and about["tasks"] == {name: task.model_dump(mode="json") for name, task in tasks.items()}
        and (folder / about["videos_root"]).resolve() == videos.resolve()
    )


def _holds_tasks(folder: Path) -> bool:
    """Whether a folder holds task files and no items."""
    return not (folder / "items.jsonl").exists() and any(folder.glob("*.yaml"))
