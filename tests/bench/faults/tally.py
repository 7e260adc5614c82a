"""The table of a campaign: by fault, how many schedules had it and how they ended.

Example:
    print(table(run(runs=20)))
"""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from tests.bench.faults.campaign import KINDS, Played

WRONG = ("lost", "doubled", "changed", "wrong", "hung", "crashed", "processes left", "not refused", "stuck")


def table(rows: Sequence[Played]) -> str:
    """Schedules by kind of fault and end; a schedule counts once for each kind it had."""
    lines = []
    for kind in KINDS:
        having = [row for row in rows if kind in row.kinds]
        if having:
            lines.append([kind, *_line(having), sum(kind in row.refused for row in having)])
    lines.append(["all", *_line(rows), sum(bool(row.refused) for row in rows)])
    headers = ["fault", "schedules", "equal", *WRONG, "rightly refused"]
    shown = tabulate(lines, headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))
    starts = sum(row.starts for row in rows)
    return f"{len(rows)} schedules, {starts} starts of the command\n{shown}"


def _line(rows: Sequence[Played]) -> list[int]:
    return [len(rows), *(sum(row.outcome.startswith(end) for row in rows) for end in ("equal", *WRONG))]


def broken(rows: Sequence[Played]) -> list[str]:
    """A line for each schedule that did not end equal, and the end of what its command said."""
    return [f"{row.seed} {row.subject}: {row.outcome} after {'; '.join(row.faults)}\n{row.said[-2000:]}".rstrip()
            for row in rows if row.outcome != "equal"]  # fmt: skip
