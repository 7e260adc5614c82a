"""What `viubench judge` says of a run: each task by rules alone and with the judge, and what the judge is worth.

Example:
    judged.tasks["mvbench"].judged.value
    # 0.712
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from viubench.schema.base import Strict
from viubench.schema.records import SCHEMA_VERSION


class Agreement(Strict):
    """How often two raters say the same of `n` answers: `accuracy` in [0, 1], Cohen's `kappa` (None where both say one
    and the same throughout)."""

    n: int
    accuracy: float | None = None
    kappa: float | None = None


class JudgedAnswer(Strict):
    """A line of `answers.jsonl`: an answer (see `Record.key`) that was put to the judge, what it says by the verdict
    (None: nothing), and its scores; or the fault of the judge error."""

    task: str
    id: str
    number: int = 0
    status: Literal["ok", "judge_error"]
    said: Any = None
    scores: dict[str, float] = {}
    fault: str = ""


class JudgedScore(Strict):
    """The score with the judge's verdicts, over the `n` answers of which a score is known. `bounds` are the score over
    all answers, were those without a verdict all worth 0 or all worth 1."""

    value: float
    ci: tuple[float, float]
    se: float
    n: int
    bounds: tuple[float, float]
    groups: dict[str, dict[str, Any]] = {}


class JudgedTask(Strict):
    """One task of a judged run.

    Attributes:
        rules: the score by rules alone; None where rules score nothing.
        judged: the score with the verdicts; None while no score is known.
        n: answers of the run; `asked` of them put to the judge, `verdicts` came, `errors` are the others by fault.
        hash: of the run's protocol and the judge's together: judged scores compare only under one hash.
        read: the judge and the rules, on answers that both read.
        labels: the judge and given labels (of people, or published).
        swapped, repeated: the judge and itself, with the options in another order, and asked again.
        unanswered_checks: of each check, the answers that were asked about and got no verdict.
    """

    metric: str
    form: str
    rules: float | None
    judged: JudgedScore | None
    n: int
    asked: int
    verdicts: int
    errors: dict[str, int] = {}
    hash: str = ""
    read: Agreement | None = None
    labels: Agreement | None = None
    swapped: Agreement | None = None
    repeated: Agreement | None = None
    unanswered_checks: dict[str, int] = {}

    @property
    def judge_errors(self) -> int:
        """Answers that were put to the judge and have no verdict."""
        return sum(self.errors.values())


class Judged(Strict):
    """`judged.json` of one judge: its name (that of its folder), model and engine, and each task it was asked about."""

    schema_: Annotated[int, Field(alias="schema")] = SCHEMA_VERSION
    judge: str
    model: str
    engine: str
    tasks: dict[str, JudgedTask]

    @property
    def error_share(self) -> float:
        """The share in [0, 1] of the answers put to the judge that have no verdict."""
        asked = sum(task.asked for task in self.tasks.values())
        return sum(task.judge_errors for task in self.tasks.values()) / asked if asked else 0.0


class Panel(Strict):
    """`panel.json`: several judges of a run. `alpha` is Krippendorff's, by task, over the `n` answers that at least two
    of them judged."""

    schema_: Annotated[int, Field(alias="schema")] = SCHEMA_VERSION
    judges: list[str]
    alpha: dict[str, float | None]
    n: dict[str, int]
