"""The records of a watch: a line of `history.jsonl` for every checkpoint that was evaluated.

Example:
    >>> WatchEntry(step=200, name="checkpoint-200", path="/train/checkpoint-200", fingerprint="ab", status="failed",
    ...       reason="torn weights", options=["--tasks", "items"]).verdict is None
    True
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from viubench.schema.base import Strict
from viubench.schema.gate import Verdict

WATCH_SCHEMA = 1
"""Version of history.jsonl; raised when a reader of an older version could misread a newer line."""


class WatchScore(Strict):
    """A headline in [0, 1] with its 95 % interval over `n` samples; `items` and `protocol` are hashes of what was
    asked, and how. Two scores may be set on one curve where both are equal."""

    metric: str
    value: float
    ci: tuple[float, float]
    n: int
    items: str = ""
    protocol: str = ""


class GateOutcome(Strict):
    """The gate's verdict. `against` is a hash of the reference run and of the configuration, `baseline` the reference
    run's score of each task, `mean` that of the gated tasks together; `reason` why it did not pass."""

    against: str
    verdict: Verdict
    exit_code: int
    tasks: dict[str, Verdict] = {}
    baseline: dict[str, float] = {}
    mean: float | None = None
    reason: str = ""


class WatchEntry(Strict):
    """One evaluated checkpoint. Of several lines about a name and fingerprint the last one counts.

    `name` is its folder below the watched one, `path` the folder that was opened, `run` the run folder below the
    watch's own. `options` are those of `viubench run`. `mean` is the mean of the tasks, None where there is only one.
    `command` is the exit code of the command on a regression.
    """

    schema_: Annotated[int, Field(alias="schema")] = WATCH_SCHEMA
    step: int
    name: str
    path: str
    fingerprint: str
    status: Literal["evaluated", "failed"]
    reason: str = ""
    tasks: dict[str, WatchScore] = {}
    mean: WatchScore | None = None
    gate: GateOutcome | None = None
    run: str = ""
    options: list[str] = []
    command: int | None = None
    ended: str = ""

    @property
    def verdict(self) -> Verdict | None:
        return self.gate.verdict if self.gate else None
