"""An audit of sets of questions: every video is read once, in another process, and every check is made of each set.

Example:
    report = audit_questions(["items/train", "items/test"])
    [finding.check for finding in report.faults]   # ['near-duplicates']
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from viubench.audit import answers, duplicates, leaks
from viubench.audit.leaks import SHOWN
from viubench.audit.sets import AuditSet, Place, span
from viubench.audit.videos import VideoFacts, facts
from viubench.datasets.questions.names import questions_in
from viubench.errors import MediaError, ViubenchError
from viubench.runner.collect import Collector
from viubench.runner.config import EvalConfig
from viubench.schema import Clip
from viubench.schema.audit import AuditFinding, AuditReport
from viubench.video.discover import VIDEO_SUFFIXES
from viubench.video.process_pool import KillablePool

SECONDS = 300.0
"""Wall limit for one video."""

ASKED = ("items.jsonl", "*.yaml", "*.parquet")
"""What else a folder of questions holds."""

Update = Callable[[int, int], None]


def audit_questions(sets: Sequence[Any], *, update: Update = lambda done, total: None, **options: Any) -> AuditReport:
    """Check sets of questions, each named as a task of `viubench.evaluate` is, or a folder of videos.

    Args:
        update: called with the number of videos read, and how many there are.
        options: of `viubench.evaluate` that say where things are: videos, data_root, columns, answer_kind, limit,
            include_path, frame_cache, workers.

    Raises:
        ViubenchError: a name that leads nowhere, or rows that cannot be read.
    """
    with TemporaryDirectory(prefix="viubench-audit-", ignore_cleanup_errors=True) as scratch:
        config = EvalConfig(tasks=list(sets) or "", out=scratch, **options)
        found = [_read(name, replace(config, tasks=[name]), Path(scratch, str(k))) for k, name in enumerate(sets)]
        known, unreadable = _watched(found, config, update)
    for own in found:
        own.videos.update({place: known[place] for place in _places(own) if place in known})
    findings = [finding for own in found for finding in _checked(own)]
    return AuditReport(
        questions=sum(len(own.samples) for own in found),
        videos=len({facts.content for facts in known.values()} | unreadable.keys()),
        findings=[_duplicates(found), *findings],
        unreadable=unreadable,
    )


def _read(name: Any, config: EvalConfig, out: Path) -> AuditSet:
    """The questions of a name, or the videos of a folder that holds no questions."""
    shown = os.fspath(name) if isinstance(name, str | os.PathLike) else getattr(name, "task", "questions")
    folder = Path(shown)
    if folder.is_dir() and not questions_in(folder) and not any(map(list, map(folder.glob, ASKED))):
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
        if files:
            return AuditSet(shown, files=[(folder, path.relative_to(folder).as_posix()) for path in files])
    datasets = Collector(config, out).collect().datasets
    tasks = {task: about for dataset in datasets for task, about in dataset.tasks.items()}
    roots = {task: dataset.videos for dataset in datasets for task in dataset.tasks}
    samples = [sample for dataset in datasets for sample in dataset.samples]
    if not samples:
        raise ViubenchError(f"{shown} holds no questions", where="audit")
    return AuditSet(shown, samples, (), tasks, roots)


def _places(own: AuditSet) -> dict[Place, list[tuple[float, float]]]:
    """Every video file of a set, with the intervals that are answers about it."""
    found: dict[Place, list[tuple[float, float]]] = {place: [] for place in own.files}
    for sample in own.samples:
        for clip in sample.clips:
            if clip.path and not clip.path.startswith(("http://", "https://")):
                spans = found.setdefault(own.place(clip, sample.task), [])
                if (interval := span(sample)) is not None and interval not in spans:
                    spans.append(interval)
    return found


def _watched(
    found: Sequence[AuditSet], config: EvalConfig, update: Update
) -> tuple[dict[Place, VideoFacts], dict[str, str]]:
    """What is known of every video, and why others could not be read."""
    wanted: dict[Place, list[tuple[float, float]]] = {}
    for own in found:
        for place, spans in _places(own).items():
            wanted.setdefault(place, []).extend(spans)
    known: dict[Place, VideoFacts] = {}
    unreadable: dict[str, str] = {}
    with KillablePool(config.decoders, SECONDS) as pool:
        jobs = {
            place: pool.submit(facts, config.cache, place[0], Clip(path=place[1]), spans, name=place[1])
            for place, spans in wanted.items()
        }
        for done, (place, job) in enumerate(jobs.items(), 1):
            try:
                known[place] = job.result()
            except MediaError as error:
                unreadable[place[1]] = str(error)
            update(done, len(jobs))
    return known, unreadable


def _checked(own: AuditSet) -> list[AuditFinding]:
    if not own.samples:
        return [leaks.clocks(own)]
    return [
        *answers.balance(own), leaks.names(own), leaks.tags(own), leaks.compression(own), leaks.clocks(own),
    ]  # fmt: skip


def _duplicates(found: Sequence[AuditSet]) -> AuditFinding:
    """Near-duplicates within and across all sets; one file in two sets counts, two questions of one file do not."""
    every: Mapping[tuple[str, str], VideoFacts] = {
        (own.name, path): one for own in found for (_, path), one in own.videos.items()
    }
    pairs = duplicates.pairs({name: one.hashes for name, one in every.items()})
    across = sum(one[0] != other[0] for one, other, _ in pairs)
    said = f"{len(pairs)} pairs of {len(every)} videos look alike"
    if len(found) > 1:
        said += f", {across} of them across sets"
    verdict: Any = "fault" if pairs else "clean" if every else "not checked"
    return AuditFinding(
        check="near-duplicates",
        where="all",
        verdict=verdict,
        reason=said,
        examples=[
            f"{': '.join(one)} and {': '.join(other)} ({share:.0%} of frames)" for one, other, share in pairs[:SHOWN]
        ],
    )
