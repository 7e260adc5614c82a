"""What judges found: the score by rules beside the judged one, what the judges agree with, and where they failed.

Example:
    line = judged(runs, names)[0]
    line.task, line.judge, line.found.rules, line.found.judged.value
    # ('mvbench', 'Qwen3-8B-1a2b3c4d', 0.63, 0.71)
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from reports.data.runs import RunData
from viubench.errors import ViubenchError
from viubench.judging.panel import judges, read_panel
from viubench.schema import JudgedTask, Panel

log = logging.getLogger("viubench")


@dataclass(frozen=True)
class JudgedLine:
    """One task of a model by one judge; `alpha` is Krippendorff's over all judges of the run, where there are several,
    and `shared` the answers it is of."""

    task: str
    label: str
    judge: str
    found: JudgedTask
    alpha: float | None = None
    shared: int = 0


def judged(runs: Sequence[RunData], names: Sequence[str]) -> list[JudgedLine]:
    """A line for each task, model and judge. Of a run whose verdicts cannot be read there are none, and the log says
    so."""
    lines = []
    for run, name in zip(runs, names, strict=True):
        try:
            found, panel = judges(run.path), read_panel(run.path) or Panel(judges=[], alpha={}, n={})
        except ViubenchError as error:
            log.warning("the judges of %s are left out: %s", run.path, error.message)
            continue
        for one in found:
            for task, result in one.tasks.items():
                lines.append(JudgedLine(task, name, one.judge, result, panel.alpha.get(task), panel.n.get(task, 0)))
    return sorted(lines, key=lambda line: (line.task, line.label, line.judge))
