"""Our rules beside lmms-eval's own scoring: the table of equal verdicts and named differences.

Example:
    python tests/bench/parity.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from parity_cases import FAULTS, ROUNDS, Comparison, cases, compare


def line(found: Comparison) -> list[object]:
    mean = [sum(side) / len(side) for side in zip(*((t.theirs, t.ours or 0) for t in found.totals), strict=True)]
    named = ", ".join(f"{name} {count}" for name, count in sorted(found.named.items()))
    off = max(abs(total.theirs - (total.ours or 0)) for total in found.totals)
    compared = found.equal + found.named.total() + len(found.unexplained)
    return [
        found.case.task, len(found.case.rows), len(found.case.answers), compared, found.equal, named or "-",
        len(found.unexplained), f"{mean[0]:.5f}", f"{mean[1]:.5f}", f"{off:.1e}",
    ]  # fmt: skip


def main() -> int:
    found = [compare(case) for case in cases().values()]
    header = ["task", "rows", "answers", "compared", "equal", "named", "unexplained", "theirs", "ours", "largest gap"]
    print(tabulate([line(one) for one in found], header, disable_numparse=True))
    print(f"\ntheirs, ours: mean over {ROUNDS} whole tasks; largest gap: in any of them")
    for name in sorted({name for one in found for name in one.named}):
        print(f"{name}: {FAULTS[name]}")
    return int(any(one.unexplained for one in found))


if __name__ == "__main__":
    sys.exit(main())
