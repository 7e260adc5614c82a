"""A finished run, read whole for a report.

Example:
    >>> run = load(Path("runs/tiny"))
    >>> run.kind, run.results.suites["viubench"].value
    ('model', 0.195)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from viubench.runs import read_manifest, read_records, read_results
from viubench.schema import FrameInfo, Manifest, Record, Results

BASELINES = ("random", "blind", "oracle")
"""Engines that are no model: what a score is measured against."""


@dataclass(frozen=True)
class Run:
    """What was run, the scores, and one record per sample, ordered by task and id whatever order they finished in."""

    path: Path
    manifest: Manifest
    results: Results
    records: tuple[Record, ...]

    @property
    def kind(self) -> str:
        """One of `BASELINES`, or "model"."""
        return self.results.engine if self.results.engine in BASELINES else "model"

    @cached_property
    def by_task(self) -> Mapping[str, Sequence[Record]]:
        """The records of each task, by id."""
        return {task: tuple(records) for task, records in groupby(self.records, key=lambda record: record.task)}


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs in these folders. What they have in common, such as the frames of a sample, is held once: half a million
    records of ten runs then fit into a few gigabytes.

    Raises:
        ViubenchError: as `load` does.
    """
    pool: dict[str, FrameInfo] = {}
    return [load(path, pool) for path in paths]


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


def _sharing(record: Record, pool: dict[str, FrameInfo]) -> Record:
    if record.frames is None:
        return record
    known = pool.setdefault(record.frames.hash, record.frames)
    return (
        record.model_copy(update={"frames": known}) if known is not record.frames and known == record.frames else record
    )
