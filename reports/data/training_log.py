"""A training folder read for a report: the steps of its stages, validation on held-out items, the evaluations.

Example:
    training = load(Path("runs/train"))
    [(stage.name, stage.tasks) for stage in training.stages]
    # [('Warm start', ('count', 'ground')), ('GRPO', ('count', 'ground'))]

Only files are shared with the trainer. `train.jsonl` has one JSON object a step: `step` from 0, measures of the step
(`kl`, `TASK/reward`), on the validation items after it (`validation/TASK/reward`), the score of the best
constant answer on these (`floor/TASK`), and `alarm/TASK`, a sentence. Any of them may be missing. `warm-start/` is a
folder like it, of the supervised steps before; `evaluations/step-000020/` is a run of the checkpoint of 20 steps;
`answers/` has some of the sampled answers (see `reports.data.answer_log`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NoReturn

from reports.data import answer_log
from reports.data.answer_log import AnswerSample
from reports.html.svg import Band, Point
from viubench.errors import ViubenchError
from viubench.storage.run_dir import read_results

LOG = "train.jsonl"
WARM_START = "warm-start"
EVALUATIONS = "evaluations"

TASK_MEASURES = ("reward", "strict", "parsed", "zero_advantage", "distinct", "top")
"""Measures of one task that are drawn; shares in [0, 1]."""

STEP_MEASURES = (
    "reward",
    "strict",
    "loss",
    "kl",
    "entropy",
    "gap",
    "gap_max",
    "grad_norm",
    "learning_rate",
    "frac_reward_zero_std",
    "completions/mean_length",
    "completions/clipped_ratio",
    "clip_ratio/region_mean",
    "sampling/importance_sampling_ratio/mean",
    "seconds",
    "seconds/rollout",
)
"""Measures of a whole step that are drawn, under TRL's names."""

LEAST_SMOOTHED, MOST_SMOOTHED = 3, 50
"""A mean is taken over a fifteenth of the steps: over at most so many, and not at all where that is too few."""

LARGEST = 1e15
"""A number beyond it, in either direction, is taken for a damaged one."""


@dataclass(frozen=True)
class CheckpointScore(Band):
    """A task's score in a run of the checkpoint of `step` steps: `metric`, its value and 95 % interval in [0, 1]."""

    metric: str


@dataclass(frozen=True)
class LogStage:
    """One log of a training.

    Attributes:
        steps: the steps of its lines, rising.
        series: key -> (step, value) wherever the log has a number under it.
        alarms: task -> by step, the step and a sentence of the trainer.
        evaluations: task -> by number of steps.
        left_out: what in the folder is not shown, and why.
    """

    name: str
    steps: tuple[int, ...]
    series: Mapping[str, tuple[Point, ...]]
    alarms: Mapping[str, Sequence[tuple[int, str]]]
    evaluations: Mapping[str, tuple[CheckpointScore, ...]]
    left_out: tuple[str, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task with a measure, a validation, a baseline, an alarm or an evaluation, by name."""
        return tuple(sorted({*self.alarms, *self.evaluations, *map(_task_of, self.series)} - {""}))

    @property
    def window(self) -> int:
        """Steps of a mean: a fifteenth of the stage's, from 1 to `MOST_SMOOTHED`."""
        return min(max(len(self.steps) // 15, 1), MOST_SMOOTHED)

    def values(self, key: str) -> tuple[Point, ...]:
        return self.series.get(key, ())

    def validation(self, task: str, measure: str) -> tuple[Point, ...]:
        """A measure on the validation items by finished steps: the line of step k has the one after k + 1 steps."""
        return tuple((step + 1, value) for step, value in self.values(f"validation/{task}/{measure}"))

    def baseline(self, task: str) -> float | None:
        """The score of the best constant answer on the validation items."""
        found = self.values(f"floor/{task}")
        return found[-1][1] if found else None


@dataclass(frozen=True)
class TrainingRun:
    """A training under a name that no other one on the page has; the stages in the order they were run, and some of the
    answers of the last one."""

    label: str
    stages: tuple[LogStage, ...]
    answers: AnswerSample


def load(path: Path, label: str = "") -> TrainingRun:
    """The training in folder `path`; `label` is the folder's name where none is given.

    A torn last line of a log is dropped, for the training may go on while it is read.

    Raises:
        ViubenchError: no log, a line that is no step, a number that is not finite, a damaged evaluation.
    """
    folders = [("Warm start", path / WARM_START), ("GRPO", path)]
    stages = tuple(_stage(name, folder) for name, folder in folders if (folder / LOG).is_file())
    if not stages:
        raise ViubenchError(
            f"{path} is not a training folder: no {LOG}",
            where="--training",
            hint="name the folder that viubench train wrote to with --out",
        )
    answers = answer_log.load(path, max(stages[-1].steps, default=-1))
    return TrainingRun(label or path.resolve().name, stages, answers)


def load_all(paths: Sequence[Path]) -> list[TrainingRun]:
    """The trainings in these folders, each named by as few last parts of its path as make it unique.

    Raises:
        ViubenchError: as `load`, or a folder given twice.
    """
    parts = [path.resolve().parts for path in paths]
    if twice := next((path for path, own in zip(paths, parts, strict=True) if parts.count(own) > 1), None):
        raise ViubenchError(f"{twice} is given twice", where="--training")

    def name(own: tuple[str, ...]) -> str:
        kept = next(k for k in range(1, len(own) + 1) if sum(other[-k:] == own[-k:] for other in parts) == 1)
        return "/".join(own[-kept:])

    return [load(path, name(own)) for path, own in zip(paths, parts, strict=True)]


def smoothed(found: Sequence[Point], size: int) -> list[Point]:
    """The mean of each `size` points in a row, at the step in their middle; the mean of all where there are fewer."""
    size = max(min(size, len(found)), 1)
    values = [value for _, value in found]
    return [(found[k + size // 2][0], fmean(values[k : k + size])) for k in range(len(found) - size + 1)]


def _stage(name: str, folder: Path) -> LogStage:
    steps: list[int] = []
    series: dict[str, list[Point]] = {}
    alarms: dict[str, list[tuple[int, str]]] = {}
    for where, line in _lines(folder / LOG):
        step = line.pop("step", None)
        if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step < LARGEST:
            _refuse(f"a line without a step: step is {step!r}", where)
        if steps and step <= steps[-1]:
            _refuse(f"step {step} comes after step {steps[-1]}", where)
        steps.append(step)
        for key, value in line.items():
            if key.startswith("alarm/"):
                if not isinstance(value, str):
                    _refuse(f"{key} is no sentence: {json.dumps(value)[:80]}", where)
                alarms.setdefault(key.removeprefix("alarm/"), []).append((step, value))
            elif (number := _number(key, value, where)) is not None:
                series.setdefault(key, []).append((step, number))
    evaluations, left_out = _evaluations(folder / EVALUATIONS)
    fixed = {key: tuple(series[key]) for key in sorted(series)}
    return LogStage(name, tuple(steps), fixed, alarms, evaluations, left_out)


def _lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every line with its place. A last one that was cut off by a kill, or is being written now, is left out."""
    found = []
    *whole, last = path.read_bytes().split(b"\n")
    for number, text in enumerate([*whole, last] if last else whole, start=1):
        where = f"{path}:{number}"
        try:
            line = json.loads(text, parse_constant=lambda word: _refuse(f"the log holds {word}", where))  # noqa: B023
        except (ValueError, RecursionError):
            if number > len(whole):
                break
            _refuse("a line of the log cannot be read", where)
        if not isinstance(line, dict):
            _refuse("a line of the log is no JSON object", where)
        found.append((where, line))
    return found


def _task_of(key: str) -> str:
    """The task a key of the log is about; empty for measures of a step, and for those that are not drawn."""
    head, _, rest = key.partition("/")
    if head in ("floor", "alarm"):
        return rest
    task, _, measure = (rest if head == "validation" else key).rpartition("/")
    return task if measure in TASK_MEASURES else ""


def _number(key: str, value: Any, where: str) -> float | None:
    """The value as a number; None where there is none, and under a key that is not drawn."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not abs(value) < LARGEST:
            _refuse(f"{key} is {value}", where)
        return float(value)
    if value is not None and (key in STEP_MEASURES or _task_of(key)):
        _refuse(f"{key} is no number: {json.dumps(value)[:80]}", where)
    return None


def _evaluations(folder: Path) -> tuple[dict[str, tuple[CheckpointScore, ...]], tuple[str, ...]]:
    found: dict[str, list[CheckpointScore]] = {}
    left_out = []
    for run in sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ():
        named = re.fullmatch(r"step-([0-9]{1,9})", run.name)
        if named is None or not (run / "results.json").is_file():
            why = "not finished" if named else "no step in its name"
            left_out.append(f"{EVALUATIONS}/{run.name}: {why}")
            continue
        for task, result in read_results(run).tasks.items():
            if not all(map(math.isfinite, (result.value, *result.ci))):
                _refuse(f"the score of {task} is not finite", str(run / "results.json"))
            one = CheckpointScore(int(named[1]), result.value, *result.ci, result.metric)
            found.setdefault(task, []).append(one)
    ordered = {task: tuple(sorted(found[task], key=lambda one: one.step)) for task in sorted(found)}
    return ordered, tuple(left_out)


def _refuse(message: str, where: str) -> NoReturn:
    raise ViubenchError(message, where=where, hint="the log is damaged: take it from the training again")
