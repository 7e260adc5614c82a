"""A finished run, read whole for a report.

Example:
    run = load(Path("runs/tiny"))
    run.kind, run.results.suites["viubench"].value
    # ('model', 0.195)
"""

from __future__ import annotations

import shlex
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import pandas as pd

import evaluators
from evaluators import Evaluator
from reports.data import samples
from viubench.schema import Answers, Manifest, Results, TaskEntry
from viubench.scoring.aggregate import headline_parts, numbered, units_frame
from viubench.scoring.frame import averaged
from viubench.stats.estimates import Part
from viubench.storage.run_dir import read_manifest, read_results

BASELINES = ("random", "blind", "pixels", "oracle")
"""Engines that are no model: what a score is measured against."""

WAYS: tuple[Answers, ...] = get_args(Answers)
"""The ways to answer; the models of a table answer in the first of these that one of them used."""


@dataclass(frozen=True, eq=False)
class RunData:
    """What was run, the scores, and a row per answer (`reports.data.samples`), by task, id and number whatever order
    they finished in."""

    path: Path
    manifest: Manifest
    results: Results
    samples: pd.DataFrame
    one_frame: bool = False
    """A model that saw one frame of each video, where others saw more: what its score shows needs no motion."""
    apart: bool = False
    """A model that answered otherwise than the others (`answers`): its scores are no comparison with theirs."""

    @property
    def kind(self) -> str:
        """One of `BASELINES`, "single" for `one_frame`, `answers` for a model `apart`, or "model"."""
        if self.results.engine in BASELINES:
            return self.results.engine
        return "single" if self.one_frame else self.answers if self.apart else "model"

    @property
    def answers(self) -> Answers:
        """ "free", unless a task's protocol says otherwise."""
        ways = [protocol.answers for protocol in self.manifest.protocols.values()]
        return next((way for way in ways if way != "free"), "free")

    @property
    def imported_from(self) -> str:
        """The harness whose files the answers are from, "" for a run of our own."""
        imported = self.manifest.imported
        return ", ".join(dict.fromkeys(file.harness for file in imported.files)) if imported else ""

    @cached_property
    def by_task(self) -> Mapping[str, pd.DataFrame]:
        """The answers of each task, by id and number."""
        places = self.samples.groupby("task", observed=True).indices
        return {str(task): self.samples.iloc[rows[0] : rows[-1] + 1] for task, rows in places.items()}

    @cached_property
    def parts(self) -> Mapping[str, list[Part]]:
        """What each task's headline is the mean of, from the records (`viubench.scoring.aggregate.headline_parts`); not
        of a task whose evaluator is not installed here, or cannot take them."""
        found = {}
        for task, rows in self.by_task.items():
            if task in self.manifest.tasks and (evaluator := self.evaluator(task)) is not None:
                with suppress(LookupError, TypeError, ValueError):
                    units = averaged([units_frame(answers, evaluator) for answers in numbered(rows)])
                    found[task] = headline_parts(units, evaluator, self.manifest.tasks[task].average)
        return found

    def evaluator_name(self, task: str) -> str:
        """The name of what a task was scored by; empty where the manifest does not say it."""
        return self.manifest.tasks.get(task, TaskEntry()).evaluator.name

    def evaluator(self, task: str) -> Evaluator | None:
        """What a task was scored by; None where that is not installed here, or the manifest does not say it."""
        try:
            spec = self.manifest.tasks[task].evaluator
            return evaluators.get(spec.name, **spec.params)
        except (LookupError, TypeError, ValueError):
            return None


def load_runs(paths: Sequence[Path]) -> list[RunData]:
    """The runs in these folders.

    Raises:
        ViubenchError: as `load` does.
    """
    shared: dict[Hashable, Any] = {}
    return compared([load(path, shared) for path in paths])


def compared(runs: Sequence[RunData]) -> list[RunData]:
    """The runs of one table, each knowing whether it is `one_frame` or `apart`."""
    single = [_one_frame(run.samples) for run in runs]
    if not all(single[k] for k, run in enumerate(runs) if run.kind == "model"):  # else one frame is all there is to see
        runs = [replace(run, one_frame=True) if one else run for run, one in zip(runs, single, strict=True)]
    ways = {run.answers for run in runs if run.kind == "model"}
    usual = next((way for way in WAYS if way in ways), "free")
    return [replace(run, apart=True) if run.kind == "model" and run.answers != usual else run for run in runs]


def load(path: Path, shared: dict[Hashable, Any] | None = None) -> RunData:
    """The run in folder `path`; a torn last line of its records is dropped. `shared`: as in `samples.read`.

    Raises:
        ViubenchError: not a run folder, an unfinished run, a file of a newer schema, or a damaged one.
    """
    return RunData(path, read_manifest(path), read_results(path), samples.read(path, shared))


def _one_frame(table: pd.DataFrame) -> bool:
    shown = table.dropna(subset="shown")
    return len(shown) > 0 and bool((shown["shown"] == shown["videos"]).all())


def command(manifest: Manifest) -> str:
    """What to type to run it again; the program without the folder it was in."""
    return shlex.join([Path(word).name if place == 0 else word for place, word in enumerate(manifest.argv)])
