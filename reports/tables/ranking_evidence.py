"""What stands behind the order of the models: the best against the others, with the minimum detectable difference.

Example:
    >>> row = evidence_rows(runs, names, heads, Pairing(runs))[0]  # doctest: +SKIP
    >>> row.column, row.best, row.other, row.verdict, row.detectable  # doctest: +SKIP
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
class EvidenceRow:
    """The best of a column against another model.

    Attributes:
        verdict: "better", "not shown", or where there is no test what the intervals say.
        detectable: minimum detectable difference at 80 % power; None where not known.
        underpowered: that is more than the gate's default margin.
    """

    column: str
    best: str
    other: str
    contest: Contest
    verdict: str
    detectable: float | None
    underpowered: bool


def evidence_rows(
    runs: Sequence[Run], names: Sequence[str], heads: Sequence[Column], pairing: Pairing
) -> list[EvidenceRow]:
    """The first column's best against every other model, then each other column's best against its next."""
    found = []
    for number, head in enumerate(heads):
        tried = contests(runs, head, pairing)
        found += [_row(head, contest, names) for contest in (tried if number == 0 else tried[:1])]
    return found


def _row(head: Column, contest: Contest, names: Sequence[str]) -> EvidenceRow:
    least = contest.detectable
    if contest.found is None:
        verdict = "intervals overlap" if contest.tied else "intervals apart"
    else:
        verdict = "not shown" if contest.tied else "better"
    underpowered = least is not None and least > MARGIN
    return EvidenceRow(head.label, names[contest.best], names[contest.other], contest, verdict, least, underpowered)
