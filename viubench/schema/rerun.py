"""A run beside its rerun: `rerun.json`.

Example:
    RerunReport.model_validate_json(Path("rerun.json").read_bytes()).equal
    # True
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from viubench.schema.base import Strict
from viubench.schema.gate import GatedRun

RERUN_SCHEMA = 1
"""Version of rerun.json; raised when a reader of an older version could misread a newer file."""


class Changed(Strict):
    """One value that differs; `path` leads to it ("packages.numpy"), None stands for one that is not there."""

    path: str
    before: Any
    after: Any


class ChangedAnswer(Strict):
    """One answer whose records differ, and in what; `path` is "" where only one of the runs has it."""

    task: str
    id: str
    number: int
    changes: list[Changed]


class RerunReport(Strict):
    """`rerun.json`; equal runs give equal bytes. `answers` are those of the first run."""

    schema_: Annotated[int, Field(alias="schema")] = RERUN_SCHEMA
    before: GatedRun
    after: GatedRun
    equal: bool
    """Whether every answer and every score is the same, whatever it was made with."""
    answers: int
    settings: list[Changed]
    """What could not be the same: versions, weights, items, protocols."""
    changed: list[ChangedAnswer]
    scores: list[Changed]
