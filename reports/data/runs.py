"""A finished run, read whole for a report.

Example:
    >>> run = load(Path("runs/tiny"))
    >>> run.kind, run.results.suites["viubench"].value
    ('model', 0.195)
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

import evaluators
from evaluators import Evaluator
from viubench.schema import FrameInfo, Manifest, Record, Results
from viubench.storage.run_dir import read_manifest, read_records, read_results

BASELINES = ("random", "blind", "oracle")
"""Engines that are no model: what a score is measured against."""


@dataclass(frozen=True)
class Run:
    """What was run, the scores, and one record per sample, ordered by task and id whatever order they finished in."""

    path: Path
    manifest: Manifest
    results: Results
    records: tuple[Record, ...]
    one_frame: bool = False
    """A model that saw one frame of each video, where others saw more: what its score shows needs no motion."""

    @property
    def kind(self) -> str:
        """One of `BASELINES`, "single" for `one_frame`, or "model"."""
        return self.results.engine if self.results.engine in BASELINES else "single" if self.one_frame else "model"

    @cached_property
    def by_task(self) -> Mapping[str, Sequence[Record]]:
        """The records of each task, by id."""
        return {task: tuple(records) for task, records in groupby(self.records, key=lambda record: record.task)}

    def evaluator(self, task: str) -> Evaluator | None:
        """What a task was scored by; None where that is not installed here, or the manifest does not say it."""
        try:
            spec = self.manifest.tasks[task].evaluator
            return evaluators.get(spec.name, **spec.params)
        except (LookupError, TypeError, ValueError):
            return None


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs in these folders. What they have in common, such as the frames of a sample, is held once: half a million
    records of ten runs then fit into a few gigabytes.

    Raises:
        ViubenchError: as `load` does.
    """
    pool: dict[str, FrameInfo] = {}
    runs = [load(path, pool) for path in paths]
    single = [_one_frame(run) for run in runs]
    if all(single[k] for k, run in enumerate(runs) if run.kind == "model"):  # then one frame is all there is to see
        return runs
    return [replace(run, one_frame=True) if one else run for run, one in zip(runs, single, strict=True)]


def _one_frame(run: Run) -> bool:
    shown = [record.frames for record in run.records if record.frames]
    return bool(shown) and all(len(frames.indices) == frames.videos for frames in shown)


def load(path: Path, pool: dict[str, FrameInfo] | None = None) -> Run:
    """The run in folder `path`; a torn last line of its records is dropped.

    Args:
        pool: frames known by their hash, to be shared and added to.

    Raises:
        ViubenchError: not a run folder, an unfinished run, a file of a newer schema, or a damaged one.
    """
    shared = {} if pool is None else pool
    records = sorted((_sharing(r, shared) for r in read_records(path)), key=lambda record: (record.task, record.id))
    return Run(path, read_manifest(path), read_results(path), tuple(records))


def command(manifest: Manifest) -> str:
    """What to type to run it again; the program without the folder it was in."""
    return shlex.join([Path(word).name if place == 0 else word for place, word in enumerate(manifest.argv)])


def _sharing(record: Record, pool: dict[str, FrameInfo]) -> Record:
    if record.frames is None:
        return record
    known = pool.setdefault(record.frames.hash, record.frames)
    return (
        record.model_copy(update={"frames": known}) if known is not record.frames and known == record.frames else record
    )
