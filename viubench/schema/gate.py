"""The gate: its configuration `gate.yaml`, its verdicts in `gate.json`, and the card of a saved reference run.

Example:
    >>> GateConfig(margins={"default": 0.01, "viubench_count_easy": 0.05}).margin("viubench_jigsaw_easy")
    0.01
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from viubench.schema.base import Interval, Strict, task_frame, with_interval

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["regress", "pass", "improve", "inconclusive", "error"]

GATE_SCHEMA = 1
"""Version of gate.json; raised when a reader of an older version could misread a newer file."""

DEFAULT = "default"
"""The key of `margins` for the tasks that have none of their own."""

MARGIN = 0.02
MAX_ERRORS = 0.01
"""Share of a task's samples that may be media or engine errors, as in `viubench run --max-errors`."""

Fraction = Annotated[float, Field(ge=0, lt=1)]


class GateConfig(Strict):
    """`gate.yaml`.

    `margins`: the loss that does not matter, per task or suite, and under `default` for the others, as fractions.
    `alpha`: chance of a false alarm, over all gated tasks with `correction: holm`, per task with `none`.
    `informational`: tasks, or suites of them, that are judged and shown but never fail the gate. `on_missing`: what to
    do with a task that one of the runs lacks. `inconclusive`: whether such a verdict fails the gate. `max_errors`:
    share of a task's samples that may be media or engine errors. `report_only`: nothing fails the gate. `floors`: the
    lowest true score that is good enough, per task; where there are any, these are tested and nothing else.
    """

    margins: dict[str, Fraction] = {}
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    correction: Literal["holm", "none"] = "holm"
    informational: list[str] = []
    on_missing: Literal["error", "skip"] = "error"
    inconclusive: Literal["fail", "pass"] = "fail"
    max_errors: Fraction = MAX_ERRORS
    report_only: bool = False
    floors: Annotated[dict[str, Annotated[float, Field(gt=0, le=1)]], Field(exclude_if=lambda floors: not floors)] = {}

    def margin(self, task: str) -> float:
        return self.margins.get(task, self.margins.get(DEFAULT, MARGIN))

    def for_tasks(self, tasks: Collection[str], suites: Mapping[str, Collection[str]]) -> GateConfig:
        """The same with each suite's name replaced by its tasks: a margin of the task's own comes first, then the
        smallest of its suites'."""
        margins = {name: margin for name, margin in self.margins.items() if name in tasks or name == DEFAULT}
        informational = set(self.informational)
        for task in tasks:
            inside = {suite for suite, members in suites.items() if task in members} - {DEFAULT}
            if task not in margins and (given := [self.margins[suite] for suite in inside if suite in self.margins]):
                margins[task] = min(given)
            if inside & set(self.informational):
                informational.add(task)
        update = {"margins": margins, "informational": sorted(informational & set(tasks))}
        return self.model_copy(update=update)

    def blocks(self, verdict: Verdict, informational: bool = False) -> bool:
        """Whether a verdict fails the gate: never in a report only, nor for an informational task."""
        if self.report_only or informational:
            return False
        return verdict in ("regress", "error") or (verdict == "inconclusive" and self.inconclusive == "fail")

    @property
    def level(self) -> float:
        """Level of the two-sided interval whose ends are the one-sided bounds at `alpha`."""
        return 1 - 2 * self.alpha


class Evidence(Strict):
    """The measured difference. Scores and differences are fractions, `difference` is candidate minus baseline, `units`
    what the headline is a mean of, `better` and `worse` the units on which the candidate scores higher and lower.

    `detectable`: minimum detectable loss at 80 % power. `needed`: units that would rule out a loss of the margin with
    80 % power, if there is none.
    """

    metric: str
    n: int
    units: int
    clusters: int
    baseline: float
    candidate: float
    difference: float
    ci: tuple[float, float]
    interval: Interval = "t"
    se: float
    better: int
    worse: int
    test: str
    p_worse: float
    p_better: float
    adjusted_worse: float
    adjusted_better: float
    exact_baseline: float
    exact_candidate: float
    same_answers: bool
    detectable: float | None
    needed: int | None

    @property
    def methods(self) -> str:
        """The test, and the interval's method where it is not t."""
        return with_interval(self.test, self.interval)


class MainRuns(Strict):
    """The runs of main behind a floor: their mean, the standard deviation between them, how often a plain `score >=
    floor` fails where nothing changed, and the highest floor at which that is in alpha of all cases."""

    runs: int
    score: float
    deviation: float
    plain_failures: float
    plain_floor: float


class FloorEvidence(Strict):
    """A score against its floor (`viubench.stats.floors`): fractions. `score` is the mean of `runs` runs of `n`
    questions (0 where that is not known), `high` the upper end of its one-sided interval, `alarm` the score below which
    an alarm is raised, `detectable` the highest true score that is found to be below the floor with 80 % power, and
    `source` what the error is from."""

    floor: float
    score: float
    runs: int
    n: int
    se: float
    degrees: float
    high: float
    p_below: float
    adjusted: float
    alarm: float | None
    detectable: float | None
    source: Literal["runs", "questions", "none"]
    main: MainRuns | None = None


class TaskVerdict(Strict):
    """The verdict on one task, why in a sentence, and what it rests on (nothing for an error)."""

    verdict: Verdict
    reason: str
    informational: bool
    margin: float
    evidence: Evidence | None = None
    floor: Annotated[FloorEvidence | None, Field(exclude_if=lambda floor: floor is None)] = None


class GatedMean(Strict):
    """Mean over the gated tasks, clustered across them; shown beside the verdicts, not judged."""

    tasks: int
    baseline: float
    candidate: float
    difference: float
    ci: tuple[float, float]
    interval: Interval = "t"
    se: float


class GatedRun(Strict):
    """A compared run; `files` are the SHA-256 of what was read of it."""

    path: str
    model: str
    engine: str
    fingerprint: str
    files: dict[str, str]


class GateReport(Strict):
    """`gate.json`; equal runs and equal configuration give equal bytes. `problems` concern whole runs. A gate of floors
    may have no `baseline`, and further runs of main and of the candidate in `runs`."""

    schema_: Annotated[int, Field(alias="schema")] = GATE_SCHEMA
    viubench: str
    verdict: Verdict
    exit_code: int
    problems: list[str]
    baseline: GatedRun | None
    candidate: GatedRun
    runs: Annotated[list[GatedRun], Field(exclude_if=lambda runs: not runs)] = []
    config: GateConfig
    tasks: dict[str, TaskVerdict]
    skipped: dict[str, str]
    mean: GatedMean | None

    @property
    def faults(self) -> list[str]:
        """Why the verdict is an error: what concerns whole runs first, then what concerns a gated task."""
        tasks = (task for task in self.tasks.values() if task.verdict == "error" and not task.informational)
        return [*self.problems, *(task.reason for task in tasks)]

    def to_frame(self) -> pd.DataFrame:
        """One row a task; see `viubench.schema.base.task_frame`."""
        return task_frame(self.tasks.items())

    def _repr_html_(self) -> str:
        from html import escape

        evidence = [f"evidence.{key}" for key in ("baseline", "candidate", "difference", "ci_low", "ci_high")]
        columns = ["task", "verdict", "margin", *evidence, "reason"]
        if self.config.floors:
            columns = ["task", "verdict", *(f"floor.{key}" for key in ("floor", "score", "runs", "alarm")), "reason"]
        table = self.to_frame().reindex(columns=columns).to_html(index=False, float_format="{:.3f}".format, na_rep="")
        problems = "".join(f"<p>{escape(problem)}</p>" for problem in self.problems)
        return f"<p><b>{self.verdict}</b> (exit code {self.exit_code})</p>{problems}{table}"


class ReferenceRun(Strict):
    """`baseline.json`: the name of a saved reference run, and the SHA-256 of its files as they were saved."""

    schema_: Annotated[int, Field(alias="schema")] = GATE_SCHEMA
    name: str
    files: dict[str, str]
