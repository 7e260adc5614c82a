"""A finished run that goes to another tool, task by task, once its results are seen to be what its records make.

Example:
    run = FinishedRun.read(Path("runs/a"))
    [(task.name, task.result.value, len(task.answers)) for task in run.tasks]
    # [('videomme', 0.631, 2700)]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import evaluators
from evaluators import Evaluator
from viubench.comparison.pair import ROUNDING, Side
from viubench.errors import Exit, ViubenchError
from viubench.judging.panel import judges
from viubench.schema import (
    Judged,
    Manifest,
    ProtocolEntry,
    Record,
    Results,
    Task,
    TaskEntry,
    TaskResult,
    canonical_json,
    utf8,
)
from viubench.scoring.aggregate import headline_parts, scored, units_of, value_of
from viubench.tasks.registry import Catalogue


@dataclass(frozen=True)
class FinishedTask:
    """One task of a run, scored by rules: `answers` are the records of each sample, several where it has several
    answers; `task` is its definition, None where that is not known here, or is another than the run's."""

    name: str
    entry: TaskEntry
    protocol: ProtocolEntry
    result: TaskResult
    evaluator: Evaluator
    answers: Sequence[Sequence[Record]]
    task: Task | None

    def score(self, records: Sequence[Record]) -> float:
        """A sample's score in [0, 1]: the mean of its answers', 0 for one that cannot be used."""
        return sum(scored(record).scores.get(self.evaluator.metric, 0.0) for record in records) / len(records)

    def text(self, value: object) -> str:
        """An answer or a target as a response states it; as JSON where it cannot be stated so. "" for none."""
        if value is None or isinstance(value, str):
            return value or ""
        try:
            return self.evaluator.canonical(value)
        except (LookupError, TypeError, ValueError):
            return canonical_json(value)

    @property
    def data_set(self) -> str:
        """The id of its data set on the hub; "" where it has none, or that is not known."""
        return self.task.dataset_path if self.task else ""

    @property
    def about(self) -> dict[str, str]:
        """What a score of it means, as text: protocol, items, counts, baselines."""
        result, sampling = self.result, self.protocol.sampling
        facts = {
            "protocol": result.protocol,
            "protocol_hash": result.protocol_hash,
            "items_hash": result.items_hash,
            "task_version": self.entry.version,
            "samples": result.n,
            "clusters": result.clusters,
            "answers_per_sample": result.samples,
            "statuses": ", ".join(f"{status} {count}" for status, count in sorted(result.statuses.items())),
            "as_published": result.as_published,
            "chance": result.chance,
            "blind": result.blind,
            "frames": None if self.protocol.imported else sampling.frames,
            "max_pixels": None if self.protocol.imported else self.protocol.resize.max_pixels,
        }
        return {key: str(value) for key, value in facts.items() if value not in (None, "")}


@dataclass(frozen=True)
class FinishedRun:
    """A run whose results are those of its records. `left_out` are the tasks that a judge alone can score, but for
    those that were `judged`, where these are wanted."""

    path: Path
    manifest: Manifest
    results: Results
    tasks: Sequence[FinishedTask]
    left_out: Sequence[str] = ()
    judged: Sequence[Judged] = ()

    @classmethod
    def read(cls, path: Path, include_paths: Sequence[Path] = (), *, with_judges: bool = False) -> FinishedRun:
        """The run in a folder; `include_paths` are more folders with task files, `with_judges` keeps the tasks that a
        judge of the run scored.

        Raises:
            ViubenchError: it is unfinished, damaged, not what its records make, or has no task with a score.
        """
        side = Side.read(path)
        found = judges(path) if with_judges else []
        scored = {name for one in found for name, task in one.tasks.items() if task.judged is not None}
        tasks = side.results.tasks.items()
        left_out = [name for name, result in tasks if result.needs_judge and name not in scored]
        names = [name for name, _ in tasks if name not in left_out]
        if not names:
            hint = "viubench judge scores such tasks; of the exports, every-eval-ever takes the verdicts"
            raise ViubenchError(f"{path} has no task that is scored by rules", where=str(path), hint=hint)
        catalogue = Catalogue(include_paths)
        kept = [_task(side, name, catalogue) for name in names]
        return cls(path, side.manifest, side.results, kept, left_out, found)

    def model_id(self, given: str | None) -> str:
        """ORG/NAME of the model: `given`, or the manifest's where it is of that form; raises ViubenchError else."""
        model = self.manifest.model
        name = given or str(model.get("id", model["name"]))  # the name may be a label of the run
        if name.count("/") != 1 or not all(name.split("/")) or name != name.strip():
            message = f"{name!r:.80} does not say whose model it is"
            raise ViubenchError(message, where="--model-id", hint="give it as ORG/NAME, as on the Hugging Face hub")
        return name

    @cached_property
    def started(self) -> datetime:
        """When the run started."""
        try:
            return datetime.fromisoformat(self.manifest.started)
        except ValueError:
            message = f"manifest.json is damaged: it started at {self.manifest.started!r:.40}"
            raise ViubenchError(message, where=str(self.path)) from None

    @property
    def finished(self) -> datetime:
        """When its results were written."""
        return datetime.fromtimestamp((self.path / "results.json").stat().st_mtime, UTC)


def _task(side: Side, name: str, catalogue: Catalogue) -> FinishedTask:
    entry, result = side.entry(name), side.results.tasks[name]
    evaluator = (
        evaluators.get(entry.evaluator.name, **entry.evaluator.params) if result.needs_judge else side.evaluator(name)
    )
    records = [record for _, record in sorted(side.records.get(name, {}).items())]
    if said := _contradiction(records, result, evaluator, entry.average):
        hint = "its files are not of one run: rerun the same command, which completes the answers and scores them"
        message = f"{side.path}: {name!r:.80}: {said}"
        raise ViubenchError(message, where=str(side.path), hint=hint, exit_code=Exit.INVALID_RUN)
    known = catalogue.task(name) if name in catalogue.task_files else None
    same = known if known is not None and known.hash() == entry.hash else None
    return FinishedTask(name, entry, side.manifest.protocols[name], result, evaluator, _by_sample(records), same)


def _contradiction(records: Sequence[Record], result: TaskResult, evaluator: Evaluator, average: str) -> str:
    """Why the result is not what the records make of it; "" where it is."""
    statuses = Counter(record.status for record in records)
    if statuses != result.statuses:
        return f"results.json counts {result.statuses}, records.jsonl {dict(statuses)}"
    try:
        value = value_of(headline_parts(units_of(records, evaluator), evaluator, average))
    except (LookupError, TypeError, ValueError) as error:
        return f"it cannot be scored: {error!r:.200}"
    return "" if abs(value - result.value) < ROUNDING else f"results.json says {result.value}, its records {value:.6f}"


def _by_sample(records: Iterable[Record]) -> list[list[Record]]:
    samples: dict[str, list[Record]] = {}
    for record in records:
        samples.setdefault(record.id, []).append(record)
    return list(samples.values())


def file_name(name: str) -> str:
    """`name` as one part of a path on any system."""
    kept = "".join(char if char.isalnum() or char in "._-" else "_" for char in utf8(name)).strip(".")
    return kept[:120] or "_"
