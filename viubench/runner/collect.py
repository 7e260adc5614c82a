"""From names to samples: pretext items built or read, data sets from a folder or the hub, lmms-eval's own tasks.

Example:
    >>> found = gather(Wishes(tasks="videomme", data_root=Path("data")), Catalogue(), Path("runs/x"), store)
    >>> len(found.samples)  # doctest: +SKIP
    2700
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from viubench.datasets import download, loader, pretext_items
from viubench.datasets.dataset import Built
from viubench.datasets.download import Progress, silent
from viubench.errors import ViubenchError
from viubench.pretext import build
from viubench.schema import Protocol, Recipe, Sample, Suite, Task
from viubench.tasks.registry import Catalogue, Selection
from viubench.video.frame_cache import FrameCache

PUBLISHED = "viubench-paper"
"""Protocol of published pretext rows: they bring their own wording."""

LMMS = "lmms:"
"""What a name of a task of the installed lmms-eval begins with."""


@dataclass(frozen=True)
class Wishes:
    """What the user asked for; None means the task's own way."""

    tasks: str
    videos: Path | None = None
    data_root: Path | None = None
    protocol: str | None = None
    frames: int | None = None
    fps: float | None = None
    max_pixels: int | None = None
    limit: int | None = None
    seed: int = 0
    workers: int = 1


@dataclass
class Gathered:
    """Samples of several sources together; `roots`, `revisions` and `protocols` (by name) are per task."""

    tasks: dict[str, Task] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    suites: tuple[Suite, ...] = ()
    roots: dict[str, Path] = field(default_factory=dict)
    protocols: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, built: Built, samples: Sequence[Sample], tasks: Mapping[str, Task]) -> None:
        """One source's samples of these tasks."""
        for name, task in tasks.items():
            self.tasks[name] = task
            self.roots[name] = built.videos
            self.protocols[name] = PUBLISHED if built.published else task.protocol
            self.revisions[name] = built.revision
        self.samples += samples
        self.notes += built.notes


def gather(wishes: Wishes, catalogue: Catalogue, out: Path, store: FrameCache, progress: Progress = silent) -> Gathered:
    """Every sample of the tasks, suites, build folders and lmms-eval tasks that `wishes.tasks` names.

    Raises:
        ViubenchError: an unknown name, missing data, or wishes that contradict each other.
    """
    found = Gathered()
    names = [name.strip() for name in wishes.tasks.split(",") if name.strip()]
    theirs = [name.removeprefix(LMMS) for name in names if name.startswith(LMMS)]
    ours = ",".join(name for name in names if not name.startswith(LMMS))
    # A name of the catalogue is never a folder: one of that name may lie where the command is run.
    if ours and not catalogue.knows(ours) and Path(ours).is_dir():
        _folder(found, Path(ours), wishes, catalogue, store)
    elif ours or not theirs:
        selection = catalogue.resolve(ours).limited(wishes.limit)
        found.suites = selection.suites
        _pretext(found, selection, wishes, catalogue, out, store, progress)
        _tables(found, selection, wishes, catalogue, store, progress)
    if theirs:
        from viubench.datasets.lmms import dataset

        built = dataset.read(
            theirs, include_paths=catalogue.include_paths, pictures=out / "pictures", limit=wishes.limit
        )
        found.add(built, built.samples, built.tasks)
    return found


def protocol(
    wishes: Wishes, catalogue: Catalogue, own: str, multiple: int | None, task: Task | None = None
) -> Protocol:
    """The task's own protocol, or the one asked for, with the user's and the task's changes; these show in its name."""
    found = catalogue.protocol(wishes.protocol or own)
    changes = {
        "frames": wishes.frames,
        "fps": wishes.fps,
        "max_pixels": wishes.max_pixels,
        "multiple": multiple if multiple != found.resize.multiple else None,
    }
    name = "+".join([found.protocol, *(f"{key}={value}" for key, value in changes.items() if value)])
    sampling = found.sampling.model_dump() | {k: changes[k] for k in ("frames", "fps") if changes[k]}
    if wishes.fps:
        sampling["kind"] = "fps"
    resize = found.resize.model_dump() | {k: changes[k] for k in ("max_pixels", "multiple") if changes[k]}
    resize["min_pixels"] = min(resize["min_pixels"], resize["max_pixels"])
    decoding = found.decoding.model_dump()
    if task is not None:
        wanted = {
            "max_tokens": task.generation_kwargs.max_new_tokens,
            "temperature": task.generation_kwargs.temperature,
        }
        decoding |= {key: value for key, value in wanted.items() if value is not None}
    data = {"protocol": name, "sampling": sampling, "resize": resize, "decoding": decoding}
    return Protocol.model_validate(found.model_dump() | data)


def _folder(found: Gathered, folder: Path, wishes: Wishes, catalogue: Catalogue, store: FrameCache) -> None:
    """All items of a build folder, or all published rows in a folder."""
    _refuse_sampling(folder, wishes)
    built = pretext_items.read(folder, catalogue, store, wishes.videos)
    suites = [s for s in catalogue.suites.values() if set(s.tasks) == set(built.tasks)]
    named = [suite for suite in suites if suite.suite == built.recipe]
    found.suites = tuple(named or suites[:1])
    found.add(built, pretext_items.select(built, dict.fromkeys(built.tasks)), built.tasks)


def _refuse_sampling(ready: Path, wishes: Wishes) -> None:
    if wishes.frames or wishes.fps:
        raise ViubenchError(
            "ready items fix their frames: --frames and --fps cannot change them",
            where=str(ready),
            hint="build items with another sampling, or give --videos and task names",
        )


def _pretext(
    found: Gathered,
    selection: Selection,
    wishes: Wishes,
    catalogue: Catalogue,
    out: Path,
    store: FrameCache,
    progress: Progress,
) -> None:
    """The selection's pretext tasks, from ready items or built now."""
    tasks = {task.task: task for task in selection.tasks if task.pretext}
    if not tasks:
        return
    mixed = len(tasks) < len(selection.tasks)
    ready = wishes.data_root
    if ready is None or (mixed and wishes.videos is not None):
        made = _build(selection, tasks, wishes, catalogue, out, store, progress)
        built = pretext_items.read(made, catalogue, store, wishes.videos)
        found.add(built, pretext_items.select(built, dict.fromkeys(tasks)), tasks)
        return
    _refuse_sampling(ready, wishes)
    built = pretext_items.read(_inside(ready, wishes.tasks), catalogue, store, wishes.videos)
    all_of_it = built.published or ready.is_file()
    sizes = {entry.task: None if all_of_it else entry.n for entry in selection.recipe.items}
    found.add(built, pretext_items.select(built, sizes), tasks)


def _tables(
    found: Gathered, selection: Selection, wishes: Wishes, catalogue: Catalogue, store: FrameCache, progress: Progress
) -> None:
    """The selection's data sets, from `--data-root` or from the hub into the default data folder."""
    for task in selection.tasks:
        if task.pretext:
            continue
        root = wishes.data_root or download.default_data_root()
        if wishes.data_root is None:
            download.ensure(task, root, progress)
        wanted = protocol(wishes, catalogue, task.protocol, None).prompt
        built = loader.read(task, root, store, wanted)
        found.add(built, built.samples, built.tasks)


def _build(
    selection: Selection,
    tasks: Mapping[str, Task],
    wishes: Wishes,
    catalogue: Catalogue,
    out: Path,
    store: FrameCache,
    progress: Progress,
) -> Path:
    """Items of the selection in `out/items`; those already there are kept when they are the same build."""
    if wishes.videos is None:
        raise ViubenchError(
            "these tasks are made from videos: none were given",
            where="--videos",
            hint="name a folder of videos with --videos, or ready items with --data-root",
        )
    sampling = protocol(wishes, catalogue, next(iter(tasks.values())).protocol, None).sampling
    recipe = selection.recipe.model_copy(update={"sampling": sampling})
    folder = out / "items"
    if not _built_before(folder, recipe, tasks, wishes):
        with progress("building items") as update:
            build.build(
                recipe,
                tasks,
                wishes.videos,
                folder,
                seed=wishes.seed,
                workers=wishes.workers,
                store=store,
                progress=update,
            )
    return folder


def _built_before(folder: Path, recipe: Recipe, tasks: Mapping[str, Task], wishes: Wishes) -> bool:
    """Whether `folder` holds the items of just this build, so that a run that was stopped need not make them again."""
    if not (folder / "build.json").exists() or wishes.videos is None:
        return False
    about = json.loads((folder / "build.json").read_bytes())
    return bool(
        about["seed"] == wishes.seed
        and about["recipe"] == recipe.model_dump(mode="json")
        and about["tasks"] == {name: task.model_dump(mode="json") for name, task in tasks.items()}
        and (folder / about["videos_root"]).resolve() == wishes.videos.resolve()
    )


def _inside(folder: Path, names: str) -> Path:
    """`DATA_ROOT` itself, or its sub-folder of the suite's name."""
    inner = folder / names
    return inner if (inner / "items.jsonl").exists() or list(inner.glob("*.parquet")) else folder
