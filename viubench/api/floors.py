"""Floors from Python: whether a model's true score is at least so high, and what it takes to say so.

Example:
    gate_floors("runs/new", {"videomme": 0.62}, ["runs/main-1", "runs/main-2"]).verdict  # 'pass'
    gate_plan(0.62, score=0.633, questions=900).rows[0].questions
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viubench.api.compare import gate_config
from viubench.api.run import Run
from viubench.comparison import floors as folders
from viubench.comparison.floors import FloorRun, gate
from viubench.comparison.pair import refuse_twice
from viubench.errors import ViubenchError, did_you_mean
from viubench.imports import summaries
from viubench.runner.config import PathLike
from viubench.schema import GateConfig, GateReport
from viubench.schema.gate import MARGIN
from viubench.stats.floor_plans import Noise, PlanRow, rows
from viubench.stats.floors import Measured
from viubench.storage import reference_run

Runs = Run | PathLike | Iterable[Run | PathLike]


def gate_floors(
    candidate: Runs,
    floors: Mapping[str, float] | None = None,
    main: Runs = (),
    config: GateConfig | PathLike | Mapping[str, Any] | None = None,
) -> GateReport:
    """Whether the true score of the candidate is at least the floor of each task, with a false alarm in `alpha` of all
    gates at most.

    Args:
        candidate: run folders, or results files of other harnesses (`viubench.imports.summaries`).
        floors: by task, in (0, 1]; those of the configuration where None.
        main: runs of main, or saved ones by name, whose spread counts too.
        config: gate.yaml, its content, or None for the defaults.

    Raises:
        ViubenchError: no run, a damaged one, a floor of a task that no run has.
    """
    settings = gate_config(config)
    if floors is not None:
        settings = gate_config(settings.model_dump() | {"floors": dict(floors)})
    if not settings.floors:
        raise ViubenchError("no floor was given", where="--floor", hint="for example --floor videomme=0.62")
    refuse_twice(map(_path, (*_several(candidate), *_several(main))))
    judged, others = ([_read(run, settings.max_errors) for run in _several(runs)] for runs in (candidate, main))
    return gate(judged, settings, others)


@dataclass(frozen=True)
class FloorPlan:
    """What a floor of `task` ("" where it has no name) needs: a row for each number of runs of the candidate.

    Attributes:
        detect: the true score that is to be found with the probability `power`.
        noise: how far runs of main are apart.
    """

    task: str
    floor: float
    detect: float
    power: float
    alpha: float
    noise: Noise
    rows: list[PlanRow]


def gate_plan(
    floor: float,
    main: Runs = (),
    *,
    task: str | None = None,
    detect: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    score: float | None = None,
    questions: int | None = None,
    deviation: float | None = None,
    runs: int | None = None,
) -> FloorPlan:
    """How many questions and runs a floor needs, from runs of main, or from its score and number of questions.

    Args:
        floor: in (0, 1].
        main: as in `gate_floors`.
        task: which of the runs' tasks, where they have several.
        detect: the true score, below the floor, that is to be found; two points below it by default.
        power: the chance to find it.
        alpha: the chance of a false alarm.
        score: that of main, without runs of it.
        questions: of a run, without runs of main.
        deviation: standard deviation between the `runs` of main that `score` is the mean of; else by the questions.
        runs: how many these are, at least 2.

    Raises:
        ViubenchError: nothing that says how far runs of main are apart, or values out of range.
    """
    detect = floor - MARGIN if detect is None else detect
    if not 0 <= detect < floor:
        raise ViubenchError(
            f"{detect:g} is not below the floor of {floor:g}", where="--detect", hint="name a lower true score"
        )
    refuse_twice(map(_path, _several(main)), "--baseline")
    measured_runs = [_read(run) for run in _several(main)]
    if measured_runs:
        task, measured = _of_task(measured_runs, task)
        noise = Noise.of(measured)
    elif deviation is not None and not math.isfinite(deviation):
        raise ViubenchError(f"a standard deviation of {deviation:g}", where="--deviation", hint="for example 0.012")
    elif score is not None and questions and (deviation is None) == (runs is None):
        noise = Noise.of([Measured.counted(score, questions, runs or 1, deviation or 0.0)])
    else:
        hint = "give runs of main with --baseline, or its --score and --questions, with --deviation and --runs if known"
        raise ViubenchError("nothing says how far runs of main are apart", where="--baseline", hint=hint)
    planned = rows(noise, floor, detect, alpha, power)
    return FloorPlan(task or "", floor, detect, power, alpha, noise, planned)


def _of_task(runs: list[FloorRun], task: str | None) -> tuple[str, list[Measured]]:
    known = sorted(set[str]().union(*(run.names for run in runs)))
    if task is None and len(known) == 1:
        task = known[0]
    if task not in known:
        hint = did_you_mean(task or "", known, f"--floor TASK=SCORE, with one of {', '.join(known)}"[:300])
        raise ViubenchError(f"the runs have no task {task!r:.80}" if task else "the runs have several tasks",
                            where="--floor", hint=hint)  # fmt: skip
    return task, [run.measured(task, runs[0], GateConfig().max_errors) for run in runs]


def _several(runs: Runs) -> list[Run | PathLike]:
    return [runs] if isinstance(runs, Run | str | os.PathLike) else list(runs)


def _read(run: Run | PathLike, max_errors: float | None = None) -> FloorRun:
    """A run folder, the name of a saved one, or a results file."""
    path = _path(run)
    if path.is_file():
        return summaries.read(path, GateConfig().max_errors if max_errors is None else max_errors)
    return folders.read(path)


def _path(run: Run | PathLike) -> Path:
    path = run.path if isinstance(run, Run) else Path(run)
    return path if path.is_file() else reference_run.find(os.fspath(path))
