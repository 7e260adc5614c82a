"""Two runs side by side, and the regression gate, from Python.

Example:
    compare("runs/base", "runs/step-200").to_frame()
    gate("runs/base", "runs/step-200", {"margins": {"default": 0.01}}).verdict  # 'regress'
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from viubench.api.run import Run
from viubench.comparison import report
from viubench.comparison.across import MARGIN, across
from viubench.comparison.gate import gate as judge
from viubench.comparison.pair import Side, compare_runs
from viubench.comparison.probes import probe_report, probes_in
from viubench.errors import ViubenchError
from viubench.runner.config import PathLike
from viubench.schema import GateConfig, GateReport, wording
from viubench.schema.across import AcrossReport
from viubench.schema.compare import CompareReport
from viubench.schema.probes import ProbeReport
from viubench.storage import reference_run, strict_yaml


def compare(a: Run | PathLike, b: Run | PathLike, *, common: bool = False) -> CompareReport:
    """What changed from run `a` to run `b`, whether it is real, and on which samples.

    Args:
        common: leave out the tasks that only one of the runs has, instead of refusing.

    Raises:
        Incomparable: an unfinished run, too many errors, other items, definitions, protocols or tasks.
    """
    sides = Side.read(_folder(a)), Side.read(_folder(b))
    differences = compare_runs(*sides, level=report.LEVEL, common=common)
    return report.report(*sides, differences, report.flips(differences.tasks.values()))


def compare_across(runs: Iterable[Run | PathLike], *, margin: float = MARGIN, common: bool = False) -> AcrossReport:
    """What changes from one setting of a model to another, on the same items, and where more stops helping.

    Args:
        runs: of the same items under several settings, such as 8, 16 and 32 frames; two or more.
        margin: a loss that does not matter, as a fraction: 0.02 is two points.
        common: leave out the tasks that not all runs have, instead of refusing.

    Raises:
        Incomparable: an unfinished run, too many errors, other items, definitions or tasks.
    """
    return across([_folder(run) for run in runs], margin=margin, common=common)


def compare_probes(run: Run | PathLike, probes: Iterable[Run | PathLike] | None = None) -> ProbeReport:
    """Each task's score beside those of the same questions with some of the evidence taken away.

    Args:
        probes: runs made with `probe=...`; those in the run's folder `probes` where None.

    Raises:
        Incomparable: an unfinished run, too many errors, other items, or another protocol but for the probe.
    """
    folder = _folder(run)
    return probe_report(folder, probes_in(folder) if probes is None else [_folder(probe) for probe in probes])


def gate(
    baseline: Run | PathLike,
    candidate: Run | PathLike,
    config: GateConfig | PathLike | Mapping[str, Any] | None = None,
) -> GateReport:
    """Whether the candidate is worse than the baseline: `verdict`, `exit_code`, and the evidence of each task.

    Args:
        baseline: a run, its folder, or the name of a saved one.
        config: gate.yaml, its content, or None for the defaults.

    Raises:
        ViubenchError: no run folder, a damaged one, or a configuration that cannot be read.
    """
    reference = baseline.path if isinstance(baseline, Run) else reference_run.find(os.fspath(baseline))
    return judge(reference, _folder(candidate), gate_config(config))


def gate_config(config: GateConfig | PathLike | Mapping[str, Any] | None) -> GateConfig:
    if config is None or isinstance(config, GateConfig):
        return config or GateConfig()
    if isinstance(config, str | os.PathLike):
        return strict_yaml.load(Path(config), GateConfig)
    try:
        return GateConfig.model_validate(config)
    except ValidationError as error:
        raise ViubenchError(wording.first_in_words(error, GateConfig), where="config") from None


def _folder(run: Run | PathLike) -> Path:
    return run.path if isinstance(run, Run) else Path(run)
