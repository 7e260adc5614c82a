"""A run that was done: its folder, manifest, records and results, and both as pandas tables.

Example:
    run = load_run("runs/qwen3-vl-8b")
    run.to_frame().groupby("task")["status"].value_counts()
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from viubench.errors import ViubenchError
from viubench.judging.panel import judges
from viubench.runner.alarms import closing
from viubench.runner.config import MAX_ERRORS, PathLike
from viubench.runner.evaluate import failures
from viubench.schema import FAILED, Judged, Manifest, Record, RecordState, Results
from viubench.storage import record_log
from viubench.storage.run_dir import read_manifest, read_records, read_results

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """A run folder, read when needed; invalid above the share `max_errors`, in [0, 1], of media and engine errors."""

    def __init__(
        self, path: PathLike, *, max_errors: float = MAX_ERRORS, temporary: TemporaryDirectory[str] | None = None
    ) -> None:
        self.path = Path(path)
        self.max_errors = max_errors
        self._temporary = temporary  # deleted with this object

    @cached_property
    def manifest(self) -> Manifest:
        """What was run: model, engine, protocols, tasks, versions."""
        return read_manifest(self.path)

    @cached_property
    def results(self) -> Results:
        """`results.json`; raises ViubenchError where the run is not finished."""
        return read_results(self.path)

    @cached_property
    def records(self) -> list[Record]:
        """Every record, in the order they were finished."""
        return list(read_records(self.path))

    @property
    def model(self) -> str:
        """The name of the model."""
        return str(self.manifest.model["name"])

    def to_frame(self) -> pd.DataFrame:
        """One row an answer, a column for every field of a record; see `viubench.scoring.frame.records_frame`."""
        from viubench.scoring.frame import records_frame

        return records_frame(self.records)

    def summary(self) -> pd.DataFrame:
        """One row a task and suite: score, interval, chance, blind, n; fractions in [0, 1]."""
        from viubench.scoring.frame import results_frame

        return results_frame(self.results)

    @property
    def judged(self) -> list[Judged]:
        """What each judge of the run found (see `viubench.judge`), by name."""
        return judges(self.path)

    @cached_property
    def statuses(self) -> Counter[str]:
        """How many answers there are of each status."""
        if self.manifest.shard is not None:
            return Counter(record.status for record in record_log.read(self.path, RecordState))
        return sum((Counter(task.statuses) for task in self.results.tasks.values()), Counter())

    def unanswered(self) -> str:
        """How many answers cannot be used, with an example and what to do; "" where nine in ten can be."""
        return closing(self.path, self.results)

    def failures(self) -> Mapping[str, int]:
        """Each distinct media and engine error, and how many samples it cost."""
        return failures(self.path)

    @property
    def valid(self) -> bool:
        """Whether at most the share `max_errors` of all answers failed in the harness (media and engine errors)."""
        return not self.invalid()

    def invalid(self) -> str:
        """Why the run is not `valid`, "" where it is."""
        failed, total = sum(self.statuses[status] for status in FAILED), self.statuses.total()
        if failed <= self.max_errors * total:
            return ""
        return (
            f"the run is invalid: {failed} of {total} answers failed, more than --max-errors {self.max_errors:g} allows"
        )

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        from html import escape

        title = f"<p><b>{escape(self.model)}</b> {escape(str(self.path))}</p>"
        try:
            return title + self.summary().to_html(float_format="{:.3f}".format, na_rep="")
        except ViubenchError as error:
            return f"{title}<p>{escape(error.message)}</p>"


def load_run(path: PathLike) -> Run:
    """The run in a folder; raises ViubenchError where it is none."""
    run = Run(path)
    _ = run.manifest
    return run


def load_runs(paths: PathLike | Iterable[PathLike]) -> list[Run]:
    """The runs of a glob pattern ("runs/*"), other folders left out, or of several folders, in order of their paths;
    raises ViubenchError where there is none."""
    if isinstance(paths, str | os.PathLike):
        pattern = os.fspath(paths)
        matches = sorted(path for path in glob.glob(pattern) if (Path(path) / "manifest.json").is_file())
        if not matches:
            raise ViubenchError(f"no run matches {pattern!r}", hint="a run is a folder with a manifest.json")
        paths = matches
    return [load_run(path) for path in paths]
