"""The rows of the damage benchmark as a table: a line for each kind, for each mutation, and for all.

Example:
    print(table(rows, prices))
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.damage.trial import DamageRow, Price

HEADERS = ["", "files", "told", "right", "wrong", "told by checks", "by a second decoder", "elsewhere only",
           "by nothing", "seconds"]  # fmt: skip


def kept_wrong(rows: Sequence[DamageRow]) -> list[DamageRow]:
    """The `ok` with wrong frames that FFmpeg's own checks would have told, and those that came out otherwise the second
    time."""
    return [row for row in rows if row.outcome == "ok" and (row.differs or ("checks", "there") in row.judges)]


def table(rows: Sequence[DamageRow], prices: Sequence[Price]) -> str:
    """In percent of the files: told, shown with right pixels, with wrong ones; of the last, what would have told them.
    Seconds: decoding the sound file with every check against decoding it plainly."""
    from tabulate import tabulate

    cost = {price.kind: f"x {price.checked / price.plain:.2f}" for price in prices}
    names = [*dict.fromkeys(row.kind for row in rows)]
    lines = [[name, *_shares([row for row in rows if row.kind == name]), cost.get(name, "")] for name in names]
    for how in dict.fromkeys(row.mutation for row in rows):
        lines.append([how, *_shares([row for row in rows if row.mutation == how]), ""])
    lines.append(["all", *_shares(rows), ""])
    return tabulate(lines, HEADERS, disable_numparse=True, colalign=("left", *["right"] * 9))


def _shares(rows: Sequence[DamageRow]) -> list[str]:
    shown = [row for row in rows if row.outcome == "ok"]
    wrong = [row for row in shown if row.wrong]
    told = [dict(row.judges) for row in wrong]
    checks = sum(one.get("checks") == "there" for one in told)
    second = sum(one.get("checks") != "there" and "there" in one.values() for one in told)
    elsewhere = sum(bool(one) and "there" not in one.values() for one in told)
    counts = [len(rows) - len(shown), len(shown) - len(wrong), len(wrong), checks, second, elsewhere,
              len(wrong) - checks - second - elsewhere]  # fmt: skip
    return [str(len(rows)), *(f"{100 * count / len(rows):.1f}" if count else "0" for count in counts)]
