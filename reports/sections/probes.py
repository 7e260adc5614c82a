"""The probes of the runs of a page: which tasks are answered without the evidence that they should need.

Example:
    real, reports = parted(runs)
    reports[0].solved   # {'nextqa': ['blind']}

A run under a probe is no row of the table: its score is set beside that of the run it was made for, which is the one
whose folder holds it, else one of the same model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from reports.data.runs import RunData
from viubench.comparison.probes import probe_report, probes_in
from viubench.errors import ViubenchError
from viubench.schema import Manifest
from viubench.schema.probes import ProbeReport

log = logging.getLogger("viubench")


def parted(runs: Sequence[RunData]) -> tuple[list[RunData], list[ProbeReport]]:
    """The runs that are rows, and what the probes of each show; all are rows where all are probes. What cannot be set
    beside its run is told."""
    real = [run for run in runs if not _probed(run.manifest)]
    if not real:
        return list(runs), []
    asked: dict[Path, dict[Path, None]] = {run.path: dict.fromkeys(probes_in(run.path)) for run in real}
    for run in runs:
        if _probed(run.manifest) and run.path not in {path for paths in asked.values() for path in paths}:
            owner = next((one for one in real if one.manifest.model == run.manifest.model), None)
            if owner is None:
                log.warning("left out: %s: a probe of none of these runs", run.path)
            else:
                asked[owner.path][run.path] = None
    return real, [report for path, probes in asked.items() if probes and (report := _report(path, list(probes)))]


def lines(reports: Sequence[ProbeReport]) -> list[str]:
    """For the terminal: the tasks that a probe solves."""
    return [
        f"{report.model}: {task} is answered without what is taken away: {', '.join(by)}"
        for report in reports
        for task, by in report.solved.items()
    ]


def _probed(manifest: Manifest) -> bool:
    return any(protocol.probe != "none" for protocol in manifest.protocols.values())


def _report(run: Path, probes: Sequence[Path]) -> ProbeReport | None:
    try:
        return probe_report(run, probes)
    except ViubenchError as error:
        log.warning("the probes of %s are left out: %s", run, error.message)
        return None
