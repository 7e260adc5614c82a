"""When a run is given up: enough answers failed that it can no longer be valid.

Example:
    patience = Patience(total=60, max_errors=0.01)
    patience(record)   # raises ViubenchError at the tenth engine error
"""

from __future__ import annotations

from collections import Counter

from viubench.errors import Exit, ViubenchError
from viubench.schema import FAILED, Record

FEWEST = 10
"""Failures before a run is given up, so that a hiccup in a small run costs no second start."""


class Patience:
    """Counts the failures among the `total` samples of a run; engine errors are asked again when it is resumed."""

    def __init__(self, total: int, max_errors: float) -> None:
        self.total = total
        self.max_errors = max_errors
        self.answered = 0
        self._reasons: Counter[str] = Counter()

    def __call__(self, record: Record) -> None:
        """Called with each record as it is finished.

        Raises:
            ViubenchError: an engine error, after which the share of failures cannot come below `max_errors`.
        """
        if record.status not in FAILED:
            self.answered += 1
            return
        self._reasons[record.error.detail if record.error else record.status] += 1
        failed = self._reasons.total()
        if record.status != "engine_error" or failed < FEWEST or failed <= self.max_errors * self.total:
            return
        reason, count = self._reasons.most_common(1)[0]
        raise ViubenchError(
            f"{failed} of {self.total} answers failed and {self.answered} were answered, so the run is given up: more "
            f"than --max-errors {self.max_errors:g} cannot be valid; {count} x {reason}",
            hint="mend that and rerun the same command, which resumes; a higher --max-errors goes on in spite of it",
            exit_code=Exit.INVALID_RUN,
        )
