"""What the probes of a run show: each task's score without some of the evidence, beside its own.

Example:
    report.solved
    # {'nextqa': ['blind', 'single-frame']}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from viubench.schema.base import Interval, Strict
from viubench.schema.tasks import Probe

if TYPE_CHECKING:
    import pandas as pd

ProbeVerdict = Literal["solved", "partly", "needed", "not told", "holds", "order matters"]

MEANING: dict[ProbeVerdict, str] = {
    "solved": "not significantly below the score with all evidence",
    "partly": "below it, but above chance and the blind row",
    "needed": "the evidence that is taken away is needed",
    "not told": "too few questions, or a score that is not above chance and the blind row with all evidence",
    "holds": "the order of the options does not matter",
    "order matters": "significantly lower with the options in another order",
}


class ProbedTask(Strict):
    """One task under one probe: the score of the run, that of the probe, and their paired difference (probe minus run)
    with its 95 % interval, clustered by source video; fractions. `floor` is the higher one of chance and blind."""

    task: str
    probe: Probe
    n: int
    clusters: int
    real: float
    real_ci: tuple[float, float]
    probed: float
    probed_ci: tuple[float, float]
    difference: float
    ci: tuple[float, float]
    interval: Interval = "t"
    floor: float | None
    verdict: ProbeVerdict

    @property
    def meaning(self) -> str:
        """The verdict in words."""
        return MEANING[self.verdict]


class ProbeReport(Strict):
    """The probes of one run; `left_out` says by probe which tasks it does not apply to, and why."""

    run: str
    model: str
    rows: list[ProbedTask]
    left_out: Annotated[dict[str, dict[str, str]], Field(exclude_if=lambda tasks: not tasks)] = {}

    @property
    def solved(self) -> dict[str, list[str]]:
        """The tasks that a probe solves, whole or partly, and by which."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            if row.verdict in ("solved", "partly"):
                found.setdefault(row.task, []).append(row.probe)
        return found

    def to_frame(self) -> pd.DataFrame:
        """One row a task and probe."""
        import pandas as pd

        return pd.DataFrame([row.model_dump() for row in self.rows])
