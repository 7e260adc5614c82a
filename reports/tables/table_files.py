"""The main table as a file: Markdown, LaTeX (booktabs), CSV, xlsx or JSON.

Example:
    paths(Path("board.html"), ["latex", "csv"])
    # {'latex': PosixPath('board.tex'), 'csv': PosixPath('board.csv')}
    content("latex", rows(runs, ()), shown(columns(runs)))

Markdown and LaTeX are for reading: percent, each score with its 95 % interval, the best of a column in bold where it is
told apart from every other model (`reports.tables.ranking`). The others are for programs: fractions in [0, 1].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from reports.html.escape import one_line, short_line
from reports.html.format import percent, points, with_interval
from reports.tables.leaderboard import Column, LeaderboardRow
from reports.tables.ranking import Cell
from viubench.errors import ViubenchError, did_you_mean

Format = Literal["html", "md", "latex", "csv", "xlsx", "json"]
SUFFIXES: dict[Format, str] = {name: f".{'tex' if name == 'latex' else name}" for name in get_args(Format)}

CAPTION = (
    "Scores in percent with 95 % confidence intervals. Bold: the best model of a column, where it is told apart from "
    "every other one (paired tests, p < 0.05 by Holm; without shared samples, intervals apart)."
)

_TEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {char: f"{{{char}}}" for char in "[]*"}  # after the end of a row, these would belong to it
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "−": "$-$", "–": "--"}
)
_MARKDOWN = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#"})


def paths(out: Path, formats: Sequence[str]) -> dict[Format, Path]:
    """Where the table of each format goes: `out` with the format's suffix; with no format named, that of `out`.

    Raises:
        ViubenchError: an unknown format; or none is named, and the suffix of `out` is that of none.
    """
    if unknown := [name for name in formats if name not in SUFFIXES]:
        hint = did_you_mean(unknown[0], SUFFIXES, f"there are {', '.join(SUFFIXES)}")
        raise ViubenchError(f"no such format: {unknown[0]!r:.40}", where="--format", hint=hint)
    if formats:
        return {name: out.with_suffix(suffix) for name, suffix in SUFFIXES.items() if name in formats}
    found = next((name for name, suffix in SUFFIXES.items() if suffix == out.suffix.lower()), None)
    if found is None and out.suffix not in ("", ".htm"):
        known = ", ".join(SUFFIXES.values())
        raise ViubenchError(f"no table is written as {out.suffix!r:.20}", where="--out", hint=f"one of {known}")
    return {found or "html": out}


def content(name: Format, rows: Sequence[LeaderboardRow], heads: Sequence[Column]) -> bytes:
    """The table in one of the formats, but for the page ("html")."""
    makers: dict[Format, Callable[..., str | bytes]] = {
        "md": _markdown, "latex": _latex, "csv": _csv, "xlsx": _xlsx, "json": _json,
    }  # fmt: skip
    made = makers[name](rows, heads)
    return made if isinstance(made, bytes) else made.encode()


def frame(rows: Sequence[LeaderboardRow], heads: Sequence[Column]) -> pd.DataFrame:
    """One line a row of the table; of each column its score, and its interval as `_low` and `_high`, in [0, 1].

    `COLUMN_best` says where the score is the best of the models and told apart from all others.
    """
    lines = []
    for row in rows:
        about = {"model": row.label, "kind": row.kind, "about": _about(row), "rank": row.rank}
        scores: dict[str, Any] = {}
        for head in heads:
            cell = row.cells.get(head.key)
            parts = (cell.value, cell.low, cell.high, told_apart(cell)) if cell else (None, None, None, False)
            scores |= dict(zip((f"{head.key}{end}" for end in ("", "_low", "_high", "_best")), parts, strict=True))
        lines.append({**about, **scores, "gain_over_blind": row.gain, "samples": row.n, "not_ok": row.not_ok})
    return pd.DataFrame(lines).astype({"rank": "Int64", "samples": "Int64"}).round(6)


def told_apart(cell: Cell) -> bool:
    """Whether a score is the best of the models, and no other may be as good."""
    return cell.best and not cell.tied


def _about(row: LeaderboardRow) -> str:
    return "; ".join(part for part in (row.note, *row.badges) if part)


def _readable(
    rows: Sequence[LeaderboardRow], heads: Sequence[Column], text: Callable[[str], str], bold: str
) -> pd.DataFrame:
    """The table as text: `text` escapes, `bold` is how a bold text is written."""

    def score(cell: Cell | None) -> str:
        if cell is None or cell.low is None or cell.high is None:
            shown = text(percent(cell.value if cell else None))
        else:
            shown = text(with_interval(cell.value, cell.low, cell.high))
        return bold.format(shown) if cell and told_apart(cell) else shown

    lines = [
        [
            text(short_line(row.label)), text(one_line(_about(row))),
            *(score(row.cells.get(head.key)) for head in heads),
            text(points(row.gain)), "–" if row.n is None else str(row.n), text(percent(row.not_ok)),
        ]
        for row in rows
    ]  # fmt: skip
    names = ["model", "", *(head.label for head in heads), "gain over blind", "samples", "not ok"]
    return pd.DataFrame(lines, columns=[text(short_line(name)) for name in names])


def _markdown(rows: Sequence[LeaderboardRow], heads: Sequence[Column]) -> str:
    table = _readable(rows, heads, lambda value: value.translate(_MARKDOWN), "**{}**")
    align = ["left", "left", *["right"] * (len(table.columns) - 2)]
    return f"{table.to_markdown(index=False, colalign=align, disable_numparse=True)}\n\n{CAPTION}\n"


def _latex(rows: Sequence[LeaderboardRow], heads: Sequence[Column]) -> str:
    """A table of booktabs, a rule between the models, the baselines and the published rows."""
    table = _readable(rows, heads, lambda value: value.translate(_TEX), "\\textbf{{{}}}").replace("–", "--")
    shape = "ll" + "r" * (len(table.columns) - 2)
    caption, label = CAPTION.translate(_TEX), "tab:leaderboard"
    lines = table.to_latex(index=False, escape=False, column_format=shape, caption=caption, label=label).splitlines()
    first = lines.index("\\midrule") + 1
    parts = [{"model": 0, "published": 2}.get(row.kind, 1) for row in rows]
    for place in reversed(range(1, len(rows))):
        if parts[place] != parts[place - 1]:
            lines.insert(first + place, "\\midrule")
    return "\n".join(["% needs \\usepackage{booktabs}", *lines]) + "\n"


def _inert(table: pd.DataFrame) -> pd.DataFrame:
    """Names that a spreadsheet would take for a formula, kept from it by the apostrophe that spreadsheets know."""
    return table.map(lambda value: f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@") else value)


def _csv(rows: Sequence[LeaderboardRow], heads: Sequence[Column]) -> str:
    return _inert(frame(rows, heads)).to_csv(index=False)


def _xlsx(rows: Sequence[LeaderboardRow], heads: Sequence[Column]) -> bytes:
    file = BytesIO()
    _inert(frame(rows, heads)).to_excel(file, sheet_name="leaderboard", index=False, freeze_panes=(1, 1))
    return file.getvalue()


def _json(rows: Sequence[LeaderboardRow], heads: Sequence[Column]) -> str:
    table = {"columns": [asdict(head) for head in heads], "rows": [_row(row) for row in rows]}
    return json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _row(row: LeaderboardRow) -> dict[str, Any]:
    cells = {key: asdict(cell) | {"told_apart": told_apart(cell)} for key, cell in row.cells.items()}
    return asdict(row) | {"cells": cells}
