"""Our scoring rules beside lmms-eval's own: equal verdicts and named differences.

Example:
    python -m tests.bench parity
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from parity_cases import Comparison

HEADERS = ["task", "rows", "answers", "compared", "equal", "named", "unexplained", "theirs", "ours", "largest gap"]


def parity() -> None:
    """Score the same answers with lmms-eval's own code and with ours: exit 1 where a difference has no name."""
    from tabulate import tabulate

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from parity_cases import FAULTS, ROUNDS, cases, compare

    results = [compare(case) for case in cases().values()]
    print(tabulate([_line(one) for one in results], HEADERS, disable_numparse=True))
    print(f"\ntheirs, ours: mean over {ROUNDS} whole tasks; largest gap: in any of them")
    for name in sorted({name for one in results for name in one.named}):
        print(f"{name}: {FAULTS[name]}")
    raise typer.Exit(int(any(one.unexplained for one in results)))


def _line(result: Comparison) -> list[object]:
    mean = [sum(side) / len(side) for side in zip(*((t.theirs, t.ours or 0) for t in result.totals), strict=True)]
    named = ", ".join(f"{name} {count}" for name, count in sorted(result.named.items()))
    off = max(abs(total.theirs - (total.ours or 0)) for total in result.totals)
    compared = result.equal + result.named.total() + len(result.unexplained)
    return [
        result.case.task, len(result.case.rows), len(result.case.answers), compared, result.equal, named or "-",
        len(result.unexplained), f"{mean[0]:.5f}", f"{mean[1]:.5f}", f"{off:.1e}",
    ]  # fmt: skip
