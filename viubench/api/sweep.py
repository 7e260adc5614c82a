"""A sweep from Python: the same items asked under several settings, and where more of them stops helping.

Example:
    found = sweep("my_model", "mvbench", over={"frames": [8, 16, 32, 64]}, out="sweeps/mvbench")
    found.report.conclusion
    # 'frames 32 is enough: no other setting is better by more than 2 points'
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viubench.api.evaluate import dry_run, evaluate
from viubench.api.run import Run
from viubench.comparison.across import MARGIN, across
from viubench.errors import Exit, ViubenchError
from viubench.runner.config import EvalConfig, PathLike
from viubench.runner.dry_run import DryRun
from viubench.runner.sweep import Point, SweepPlan, plan_sweep
from viubench.schema import Task
from viubench.schema.across import AcrossReport
from viubench.storage import locking

log = logging.getLogger("viubench")


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep by label ("frames=8"), and what they show; `failed` says which settings have no valid run,
    and why, `left_out` which tasks cannot be asked under all settings. `report` is None with fewer than two runs."""

    path: Path
    runs: Mapping[str, Run]
    report: AcrossReport | None
    failed: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def sweep(
    model: Any = None,
    tasks: PathLike | Task | Sequence[PathLike | Task] = (),
    *,
    over: Mapping[str, Any],
    out: PathLike,
    margin: float = MARGIN,
    started: Callable[[str, int, int], None] = lambda label, place, total: None,
    **options: Any,
) -> Sweep:
    """Ask the same items under every combination of settings, a run folder each below `out`, and compare them.

    A sweep that is repeated resumes its runs; two cannot write to one folder at once. A setting that fails (a prompt
    too long for the model, say) does not end the others.

    Args:
        over: what is varied: an option of `evaluate` or a field of the protocol -> its values, such as
            {"frames": [8, 16, 32]} or {"prompt": ["default", "published"]}.
        margin: a loss that does not matter, as a fraction: 0.02 is two points.
        started: called with the label of a run that begins, its number from 1, and how many there are.
        options: as in `evaluate`.

    Raises:
        ViubenchError: settings that do not fit, another sweep that writes to `out`, as `evaluate` does where it is
            every run's fault.
    """
    config = EvalConfig(model, tasks, out=out, **options)
    busy, hint = f"another sweep is writing to {config.run_folder}", "wait for it to end, or name another folder"
    with locking.alone(config.run_folder, busy, where="--out", hint=hint):
        return _swept(config, over, margin, started)


def _swept(
    config: EvalConfig, over: Mapping[str, Any], margin: float, started: Callable[[str, int, int], None]
) -> Sweep:
    """The runs of a sweep, one after the other, and what they show."""
    planned = plan_sweep(config, over)
    runs: dict[str, Run] = {}
    failed: dict[str, ViubenchError] = {}
    for place, point in enumerate(planned.points, 1):
        started(point.label, place, len(planned.points))
        try:
            run = evaluate(**_options(point))
            if invalid := run.invalid():
                raise ViubenchError(invalid, where=str(run.path), exit_code=Exit.INVALID_RUN)
            runs[point.label] = run
        except ViubenchError as error:
            log.warning("%s: %s", point.label, error.message)
            failed[point.label] = error
    if not runs:
        raise next(iter(failed.values()))
    report = None
    if len(runs) > 1:
        report = across([run.path for run in runs.values()], margin=margin, max_errors=config.max_errors)
    reasons = {label: error.message for label, error in failed.items()}
    return Sweep(config.run_folder, runs, report, reasons, planned.left_out)


def dry_sweep(
    model: Any = None,
    tasks: PathLike | Task | Sequence[PathLike | Task] = (),
    *,
    over: Mapping[str, Any],
    out: PathLike,
    **options: Any,
) -> tuple[SweepPlan, dict[str, DryRun]]:
    """What `sweep` would do: its plan, and the forecast of each run by label."""
    planned = plan_sweep(EvalConfig(model, tasks, out=out, **options), over)
    return planned, {point.label: dry_run(**_options(point)) for point in planned.points}


def _options(point: Point) -> dict[str, Any]:
    return {name: getattr(point.config, name) for name in EvalConfig.__dataclass_fields__}
