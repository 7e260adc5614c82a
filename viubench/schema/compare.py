"""The comparison of two runs: `compare.json`.

Example:
    CompareReport.model_validate_json(Path("compare.json").read_bytes()).tasks["tiny_count"].word
    # 'better'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from viubench.schema.base import Interval, Strict, task_frame, with_interval
from viubench.schema.gate import GatedRun
from viubench.schema.records import Status
from viubench.schema.samples import Groups

if TYPE_CHECKING:
    import pandas as pd

COMPARE_SCHEMA = 1
"""Version of compare.json; raised when a reader of an older version could misread a newer file."""

Word = Literal["better", "worse", "no difference shown"]


class Change(Strict):
    """A paired difference. Scores and differences are fractions, `difference` is b minus a.

    `units` are what the score is a mean of, `better` and `worse` those on which b scores higher and lower. `p` is
    two-sided; `holm` and `bh` are it adjusted for the number of tasks. `word` is "better" or "worse" where `holm` (for
    the mean over tasks, `p`) is below alpha. `detectable`: minimum detectable change at 80 % power, if any.
    """

    a: float
    b: float
    difference: float
    ci: tuple[float, float]
    interval: Interval = "t"
    se: float
    units: int
    clusters: int
    better: int
    worse: int
    test: str
    p: float
    word: Word
    detectable: float | None

    @property
    def methods(self) -> str:
        """The test, and the interval's method where it is not t."""
        return with_interval(self.test, self.interval)


class GroupChange(Strict):
    """The units of a task that have one value of a group key; a unit of several values counts in each. The interval is
    not corrected for the number of groups."""

    a: float
    b: float
    difference: float
    ci: tuple[float, float]
    interval: Interval = "t"
    units: int
    clusters: int
    better: int
    worse: int


class TaskChange(Change):
    """One task. `n` are its samples; `exact_a` and `exact_b` the shares of them with a score of 1; `to_wrong` and
    `to_right` the samples that turned (see `Flipped`)."""

    metric: str
    n: int
    holm: float
    bh: float
    exact_a: float
    exact_b: float
    to_wrong: int
    to_right: int
    same_answers: bool
    groups: dict[str, dict[str, GroupChange]]


class MeanChange(Change):
    """The mean over the tasks, each of the same weight, clustered across them."""

    tasks: int


class SampleOutcome(Strict):
    """One run's record of a sample; the response is in its records.jsonl."""

    score: float
    status: Status
    answer: Any
    rule: str | None


class Flipped(Strict):
    """A sample whose score changed by half or more; `way` is what it turned to."""

    task: str
    id: str
    cluster: str
    groups: Groups
    way: Literal["wrong", "right"]
    target: Any
    a: SampleOutcome
    b: SampleOutcome


class CompareReport(Strict):
    """`compare.json`; equal runs give equal bytes. `left_out` are the tasks that only one of the runs has, with the run
    that lacks each; `flips` are all of them, the largest first."""

    schema_: Annotated[int, Field(alias="schema")] = COMPARE_SCHEMA
    viubench: str
    a: GatedRun
    b: GatedRun
    alpha: float
    level: float
    tasks: dict[str, TaskChange]
    mean: MeanChange
    left_out: dict[str, str]
    flips: list[Flipped]

    def to_frame(self) -> pd.DataFrame:
        """One row a task, then the mean over tasks; see `viubench.schema.base.task_frame`."""
        return task_frame([*self.tasks.items(), ("mean", self.mean)])

    def _repr_html_(self) -> str:
        columns = ["task", "a", "b", "difference", "ci_low", "ci_high", "p", "holm", "word", "to_wrong", "to_right"]
        return self.to_frame()[columns].to_html(index=False, float_format="{:.3f}".format, na_rep="")
