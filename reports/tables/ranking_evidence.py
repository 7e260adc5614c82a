"""What stands behind the order of the models: the best against the others, with what the samples could show at all.

Example:
    >>> line = lines(runs, names, heads, Pairing(runs))[0]  # doctest: +SKIP
    >>> line.column, line.best, line.other, line.verdict, line.detectable  # doctest: +SKIP
    ('viubench', 'VideoSSR-8B', 'Qwen3-VL-8B', 'not shown', 0.021)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.data.runs import Run
from reports.tables.leaderboard import Column, contests
from reports.tables.ranking import Contest, Pairing
from viubench.schema.gate import MARGIN


@dataclass(frozen=True)
class Line:
    """The best of a column against another model.

    Attributes:
        verdict: "better", "not shown", or where there is no test what the intervals say.
        detectable: the smallest true difference these samples would find four times in five; None where not known.
        coarse: that is more than the gate's usual margin: these samples cannot see so small a loss.
    """

    column: str
    best: str
    other: str
    contest: Contest
    verdict: str
    detectable: float | None
    coarse: bool


def lines(runs: Sequence[Run], names: Sequence[str], heads: Sequence[Column], pairing: Pairing) -> list[Line]:
    """The first column's best against every other model, then each other column's best against its next."""
    found = []
    for number, head in enumerate(heads):
        tried = contests(runs, head, pairing)
        found += [_line(head, contest, names) for contest in (tried if number == 0 else tried[:1])]
    return found


def _line(head: Column, contest: Contest, names: Sequence[str]) -> Line:
    seen = contest.detectable
    if contest.found is None:
        verdict = "intervals overlap" if contest.tied else "intervals apart"
    else:
        verdict = "not shown" if contest.tied else "better"
    coarse = seen is not None and seen > MARGIN
    return Line(head.label, names[contest.best], names[contest.other], contest, verdict, seen, coarse)
