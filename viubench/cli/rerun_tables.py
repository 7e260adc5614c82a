"""What `viubench rerun` prints, as plain text.

Example:
    print(text(report, show=10))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tabulate import tabulate

from viubench.schema import canonical_json
from viubench.schema.rerun import Changed, ChangedAnswer, RerunReport

WIDE = 60
"""Characters of a value that are shown; the JSON file has all."""

HEADERS = ["what", "before", "now"]


def text(report: RerunReport, show: int) -> str:
    """What differs in settings, scores and answers, the first `show` answers one by one, and the verdict."""
    parts = []
    if report.settings:
        parts.append("made with other settings:\n" + _table(report.settings))
    if report.scores:
        parts.append("other scores:\n" + _table(report.scores))
    if report.changed:
        fields = Counter(change.path for one in report.changed for change in one.changes)
        counts = [[count, path or "in one run only"] for path, count in fields.most_common()]
        parts.append("other answers:\n" + tabulate(counts, ["answers", "differ in"], disable_numparse=True))
        parts += [f"{_name(one)}\n{_table(one.changes)}" for one in report.changed[:show]]
        if (more := len(report.changed) - show) > 0:
            parts.append(f"{more} more: --show N, or --json FILE for all of them")
    verdict = "equal: every answer and every score" if report.equal else "not equal"
    parts.append(f"{verdict} ({len(report.changed)} of {report.answers} answers differ)")
    return "\n\n".join(parts)


def _table(changes: Iterable[Changed]) -> str:
    rows = [[change.path or "record", _short(change.before), _short(change.after)] for change in changes]
    return tabulate(rows, HEADERS, disable_numparse=True)


def _name(one: ChangedAnswer) -> str:
    return f"{one.task} {one.id}" + (f" #{one.number}" if one.number else "")


def _short(value: Any) -> str:
    line = "-" if value is None else " ".join((value if isinstance(value, str) else canonical_json(value)).split())
    return line if len(line) <= WIDE else f"{line[: WIDE - 3]}..."
