"""Two runs paired sample by sample: the same items, protocol and scoring, or not at all.

Example:
    comparison = compare_runs(Path("runs/before"), Path("runs/after"))
    task = comparison.tasks["viubench_jigsaw_easy"]
    task.value_a, task.value_b, task.diff.low, task.exact_b
    # (0.125, 0.406, 0.241, 0.406)

Samples are paired by id and by true answer, never by their place. Where each has several answers, their means are
compared, which chance moves less. The values are those of the two `results.json`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

import evaluators
from evaluators import Evaluator
from viubench.errors import Exit, ViubenchError
from viubench.schema import FAILED, Manifest, Record, Results, TaskEntry, utf8
from viubench.schema.gate import MAX_ERRORS, GatedRun
from viubench.scoring.aggregate import headline_parts, rounded, scored, units_of, value_of
from viubench.stats.estimates import Part
from viubench.stats.paired_differences import Difference, detectable, paired
from viubench.storage import reference_run
from viubench.storage.run_dir import read_manifest, read_records, read_results, unfinished

NO_RULES = "leave the task out; viubench judge gives each run a score of its own"

ROUNDING = 2e-6
"""How far a value in results.json may be from the one its records give: it is rounded to six decimals."""


class Incomparable(ViubenchError):
    """Two runs, or one task of them, that must not be compared."""

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, where=where, hint=hint, exit_code=Exit.INVALID_RUN)


@dataclass(frozen=True)
class Side:
    """A finished run, its records by task and key (`Record.key`)."""

    path: Path
    manifest: Manifest
    results: Results
    records: Mapping[str, Mapping[tuple[str, int], Record]]

    @classmethod
    def read(cls, path: Path) -> Side:
        """The run in a folder.

        Raises:
            Incomparable: it is not finished, a sample is in it twice, or it is a changed reference run.
            ViubenchError: it is no run folder, or a damaged one.
        """
        if changed := [f"{name} is {how}" for name, how in reference_run.changes(path).items()]:
            raise Incomparable(
                f"{path} is not the reference run that was saved: {', '.join(changed)}",
                where=str(path),
                hint="take it from version control, or save it again",
            )
        manifest = read_manifest(path)
        if not (path / "results.json").exists():
            why, hint = unfinished(path)
            raise Incomparable(f"{path} {why}", where=str(path), hint=hint)
        records: dict[str, dict[tuple[str, int], Record]] = {}
        for record in read_records(path):
            if record.key in records.setdefault(record.task, {}):
                raise Incomparable(f"the sample {record.id!r:.80} is recorded twice", where=f"{path}/records.jsonl")
            records[record.task][record.key] = record
        return cls(path, manifest, read_results(path), records)

    def entry(self, task: str) -> TaskEntry:
        """The manifest's entry of a task; ViubenchError when that is not enough to compare it."""
        entry, protocol = self.manifest.tasks.get(task), self.manifest.protocols.get(task)
        if entry is None or protocol is None or not entry.hash or not protocol.recorded_hash:
            raise ViubenchError(
                f"manifest.json is damaged: it does not say how {task!r:.80} was run", where=str(self.path)
            )
        return entry

    def evaluator(self, task: str) -> Evaluator:
        """What the task was scored by; ViubenchError when it is not installed here."""
        spec = self.entry(task).evaluator
        try:
            evaluator = evaluators.get(spec.name, **spec.params)
        except (LookupError, TypeError, ValueError) as error:
            raise ViubenchError(
                f"cannot create the evaluator of {task!r:.80}: {error}",
                where=str(self.path),
                hint="install the package that registers it",
            ) from None
        if evaluator.needs_judge:
            raise Incomparable(f"{task!r:.80} has no score by rules to compare: a judge alone scores it", hint=NO_RULES)
        return evaluator


@dataclass(frozen=True)
class TaskPair:
    """One task in two runs, a (the earlier or the reference run) and b.

    Attributes:
        records: the two records of each answer, ordered by id, and by number.
        value_a, value_b: the headline of each run, as in its results.json, fraction in [0, 1].
        diff: b minus a.
        exact_a, exact_b: share of the answers with a score of 1, whatever the headline makes of the rest.
        units: of each run what the headline is the mean of, in the same order: samples, or several of them together.
        parts: of each run the headlines of the units, for means over several tasks.
    """

    metric: str
    evaluator: Evaluator
    records: tuple[tuple[Record, Record], ...]
    value_a: float
    value_b: float
    diff: Difference
    exact_a: float
    exact_b: float
    units: Sequence[pd.DataFrame]
    parts: Sequence[Sequence[Part]]

    @property
    def n(self) -> int:
        """Samples; a headline over pairs of samples has fewer units (`diff.n`)."""
        return len({a.id for a, _ in self.records})

    @cached_property
    def same_answers(self) -> bool:
        """Whether both runs gave the same answer to every sample, or the same response where none was extracted."""
        return all(
            (a.status, a.answer) == (b.status, b.answer)
            and (a.answer is not None or (a.response, a.reasoning) == (b.response, b.reasoning))
            for a, b in self.records
        )


@dataclass(frozen=True)
class Measured:
    """One task of one run: its records by id and number, what its headline is the mean of (`units`, `parts`), the
    headline, and the share of its answers with a score of 1."""

    evaluator: Evaluator
    records: Sequence[Record]
    units: pd.DataFrame
    parts: Sequence[Part]
    value: float
    exact: float


@dataclass(frozen=True)
class Comparison:
    """All tasks of two runs, and the mean over tasks, which is clustered across them.

    `left_out` are the tasks that only one of the runs has, each with the run that lacks it.
    """

    tasks: Mapping[str, TaskPair]
    value_a: float
    value_b: float
    mean: Difference
    left_out: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: Mapping[str, TaskPair], level: float = 0.95) -> Comparison:
        """With every task of the same weight; ValueError when there is none."""
        first, second = (
            [(w / len(tasks), s, c) for pair in tasks.values() for w, s, c in pair.parts[side]] for side in (0, 1)
        )
        return cls(tasks, value_of(first), value_of(second), paired(first, second, level))


def refuse_twice(paths: Iterable[Path], where: str | None = None) -> None:
    """Raise ViubenchError where one path is there twice: a run beside itself says nothing, and is no second run."""
    known: set[Path] = set()
    for path in paths:
        if path.resolve() in known:
            raise ViubenchError(f"{path} is given twice", where=where, hint="is another run meant?")
        known.add(path.resolve())


def compare_runs(
    a: Path | Side, b: Path | Side, *, level: float = 0.95, max_errors: float = MAX_ERRORS, common: bool = False
) -> Comparison:
    """How run `b` differs from run `a`, task by task; each is a folder, or read already.

    Args:
        level: confidence level of the two-sided intervals, in (0, 1).
        max_errors: share of a task's samples that may be media or engine errors, in either run.
        common: compare the tasks that both runs have, and leave out the others instead of refusing.

    Raises:
        Incomparable: an unfinished run, too many errors, other items, definitions, protocols or tasks; says which.
        ViubenchError: not a run folder, or a damaged one.
    """
    a, b = (run if isinstance(run, Side) else Side.read(run) for run in (a, b))
    lone = lone_tasks(a, b)
    if lone and not common:
        task, missing = next(iter(lone.items()))
        raise Incomparable(
            f"{task!r:.80} is not in {missing}"
            + (f", and {len(lone) - 1} more are in one run" if len(lone) > 1 else ""),
            hint="compare runs of the same tasks, or leave out what only one has: --common",
        )
    tasks = {
        task: pair(a, b, task, level=level, max_errors=max_errors)
        for task in sorted(a.results.tasks.keys() - lone.keys())
    }
    if not tasks:
        raise Incomparable(f"{a.path} and {b.path} have no task in common" if lone else f"{a.path} holds no task")
    return replace(Comparison.of(tasks, level), left_out=lone)


def lone_tasks(a: Side, b: Side) -> dict[str, Path]:
    """The tasks that only one of the two runs has, each with the run that lacks it."""
    one, two = a.results.tasks.keys(), b.results.tasks.keys()
    return {task: b.path if task in one else a.path for task in sorted(one ^ two)}


def pair(a: Side, b: Side, task: str, *, level: float = 0.95, max_errors: float = MAX_ERRORS) -> TaskPair:
    """One task that both runs have; raises as `compare_runs` does."""
    for side in (a, b):
        check_whole(side, task, max_errors)
    _check_protocol(a, b, task)
    check_items(a, b, task)
    one, two = measured(a, task), measured(b, task)
    return TaskPair(
        metric=a.results.tasks[task].metric,
        evaluator=one.evaluator,
        records=tuple(zip(one.records, two.records, strict=True)),
        value_a=one.value,
        value_b=two.value,
        diff=paired(one.parts, two.parts, level),
        exact_a=one.exact,
        exact_b=two.exact,
        units=[one.units, two.units],
        parts=[one.parts, two.parts],
    )


def measured(side: Side, task: str) -> Measured:
    """One task of one run. Raises ViubenchError where it cannot be scored, or its records make another score than its
    results.json says."""
    evaluator, average = side.evaluator(task), side.entry(task).average
    records = [side.records[task][key] for key in sorted(side.records[task])]
    try:
        units = units_of(records, evaluator)
        parts = headline_parts(units, evaluator, average)
    except (LookupError, TypeError, ValueError) as error:
        raise ViubenchError(f"{task!r:.80} cannot be scored: {error!r:.200}", where=str(side.path)) from None
    value, recorded = value_of(parts), side.results.tasks[task].value
    if not abs(value - recorded) < ROUNDING:
        raise Incomparable(
            f"{task!r:.80}: results.json says {recorded}, the records make it {value:.6f}",
            where=str(side.path),
            hint="its files are not of one run, or of another version of viubench: rerun the same command",
        )
    right = (scored(record).scores.get(evaluator.metric, 0.0) >= 1 - 1e-9 for record in records)
    return Measured(evaluator, records, units, parts, value, sum(right) / len(records))


def check_whole(side: Side, task: str, max_errors: float) -> None:
    """Refuse a task of which samples are missing, or too many failed in the harness rather than in the model."""
    records = side.records.get(task, {}).values()
    expected = side.entry(task).n
    samples = side.manifest.protocols[task].decoding.samples
    expected, what = expected * samples, "samples" if samples == 1 else "answers"
    if len(records) != expected or not records:
        raise Incomparable(
            f"{task!r:.80} has {len(records)} of {expected} {what}",
            where=str(side.path),
            hint="the run is incomplete: rerun the same command to resume",
        )
    failed = sum(record.status in FAILED for record in records)
    if failed > max_errors * len(records):
        raise Incomparable(
            f"{task!r:.80}: {failed} of {len(records)} {what} are media or engine errors, more than the "
            f"{100 * max_errors:g} % allowed",
            where=str(side.path),
            hint="rerun the same command: engine errors and missing videos are retried",
        )
    scores = [score for record in records for score in record.scores.values()]
    if not all(-1e-9 <= score <= 1 + 1e-9 for score in scores):
        raise Incomparable(f"{task!r:.80} has a score outside 0 to 1", where=f"{side.path}/records.jsonl")


def _check_protocol(a: Side, b: Side, task: str) -> None:
    """Refuse two runs under another protocol."""
    one, two = a.manifest.protocols[task], b.manifest.protocols[task]
    if one.recorded_hash != two.recorded_hash:
        fields = [fields_of(protocol) for protocol in (one, two)]
        both = {name: [found.get(name) for found in fields] for name in {**fields[0], **fields[1]}}
        differing = [f"{name} ({x!s:.40} and {y!s:.40})" for name, (x, y) in both.items() if x != y]
        raise Incomparable(
            f"{task!r:.80} was run under two protocols: {one.recorded_hash:.20} and {two.recorded_hash:.20}"
            + (f", which differ in {', '.join(differing):.200}" if differing else ""),
            where=f"{a.path} and {b.path}",
            hint="run both with the same --protocol, or compare settings of one model: viubench compare --across",
        )


def check_items(a: Side, b: Side, task: str) -> None:
    """Refuse two runs of other items, or of another definition of the task."""
    where = f"{a.path} and {b.path}"
    if a.entry(task).hash != b.entry(task).hash:
        raise Incomparable(
            f"{task!r:.80} is defined differently in the two runs", where=where, hint="run the older one again"
        )
    first, second = a.records[task], b.records[task]
    both = sorted(first.keys() & second.keys())
    unlike = {
        f"only in {a.path}": sorted(first.keys() - second.keys()),
        f"only in {b.path}": sorted(second.keys() - first.keys()),
        "with another true answer": [key for key in both if first[key].target != second[key].target],
        "of another source video": [key for key in both if first[key].cluster != second[key].cluster],
        "in another group": [key for key in both if first[key].groups != second[key].groups],
    }
    counts = {what: list(dict.fromkeys(name for name, _ in keys)) for what, keys in unlike.items()}
    if other := [f"{len(ids)} {what} (first {ids[0]!r:.80})" for what, ids in counts.items() if ids]:
        raise Incomparable(
            f"{task!r:.80} has other items in the two runs: {', '.join(other)}",
            where=where,
            hint="build the items once and give both runs that folder as --tasks",
        )


def fields_of(protocol: BaseModel, above: str = "") -> dict[str, Any]:
    """Every field of a protocol that changes a run, by its path, such as "sampling.frames"."""
    about = {"protocol", "description", "source", "commands", "recorded_hash"}
    found: dict[str, Any] = {}
    for name in (name for name in type(protocol).model_fields if name not in about):
        value = getattr(protocol, name)
        found |= fields_of(value, f"{above}{name}.") if isinstance(value, BaseModel) else {f"{above}{name}": value}
    return found


def numbers(diff: Difference) -> dict[str, Any]:
    """What every report of a difference has, rounded."""
    return {
        "difference": rounded(diff.mean),
        "ci": (rounded(diff.low), rounded(diff.high)),
        "interval": diff.interval,
        "units": diff.n,
        "clusters": diff.clusters,
        "better": diff.better,
        "worse": diff.worse,
    }


def rounded_detectable(diff: Difference, alpha: float) -> float | None:
    least = detectable(diff, alpha)
    return None if least is None else rounded(least)


def identity(path: Path) -> GatedRun:
    """Which run is in a folder, also one that is not finished: its model, and the SHA-256 of the files there are."""
    manifest = read_manifest(path)
    files = {name: path / name for name in reference_run.FILES if (path / name).exists()}
    return GatedRun(
        path=utf8(path),
        model=utf8(manifest.model.get("name", "")),
        engine=utf8(manifest.engine.get("kind", "")),
        fingerprint=utf8(manifest.model.get("fingerprint", "")),
        files={name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()},
    )
