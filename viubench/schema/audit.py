"""What an audit of questions and their videos found: a verdict a check, with its reason.

Example:
    [finding.check for finding in report.findings if finding.verdict == "fault"]
    # ['near-duplicates', 'file names']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from viubench.schema.base import Strict

if TYPE_CHECKING:
    import pandas as pd

AuditVerdict = Literal["fault", "suspect", "clean", "not checked"]
"""`suspect`: what only a look can tell; it is shown with its examples, and no fault."""


class AuditFinding(Strict):
    """One check of one set, or of all sets together (`where` is then "all"): what was looked at, what it shows, and up
    to ten examples."""

    check: str
    where: str
    verdict: AuditVerdict
    reason: str
    examples: list[str] = []


class AuditReport(Strict):
    """All checks; `questions` and `videos` are how many there are, `unreadable` says which videos were left out."""

    questions: int
    videos: int
    findings: list[AuditFinding]
    unreadable: Annotated[dict[str, str], Field(exclude_if=lambda videos: not videos)] = {}

    @property
    def faults(self) -> list[AuditFinding]:
        return [finding for finding in self.findings if finding.verdict == "fault"]

    @property
    def shown(self) -> list[AuditFinding]:
        """Those whose examples are worth a look."""
        return [finding for finding in self.findings if finding.verdict in ("fault", "suspect")]

    def to_frame(self) -> pd.DataFrame:
        """One row a check."""
        import pandas as pd

        return pd.DataFrame([finding.model_dump() for finding in self.findings])
