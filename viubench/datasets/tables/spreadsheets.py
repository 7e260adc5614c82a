"""The rows of an xlsx table; formulas stay text where answers are read, since one may begin with "=".

Example:
    next(rows(Path("model_Video-MME.xlsx")))  # ('row 2', {'index': 1, 'prediction': 'B. A boat.'})
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from viubench.datasets.tables import Unreadable
from viubench.errors import ViubenchError

MOST_ROWS = 1 << 20
"""What the format allows; a file may claim more."""

MOST_TITLES = 10
"""Rows above the names of the columns."""


def named(cells: Sequence[str]) -> list[str]:
    """The names of columns; the second of a name is `name.1`."""
    names: list[str] = []
    for name in map(str.strip, cells):
        names.append(f"{name}.{names.count(name)}" if name and name in names else name)
    return names


Numbered = tuple[int, Sequence[Any]]


def headed(numbered: Iterable[Numbered]) -> tuple[Iterator[Numbered], list[str]]:
    """The rows below the names of the columns, each with its number, and those names. Blank rows may stand above them,
    and titles, which are one cell of a wide row, above three names or more."""
    rest = iter(numbered)
    titles: list[Numbered] = []
    for number, cells in rest:
        filled = sum(_text(cell) != "" for cell in cells)
        if filled == 1 and len(cells) > 1 and len(titles) < MOST_TITLES:
            titles.append((number, cells))
        elif filled > 2 or (filled and not titles):
            return rest, named(list(map(_text, cells)))
        elif filled:
            rest = chain([(number, cells)], rest)
            break
    header = named(list(map(_text, titles[0][1]))) if titles else []
    return chain(titles[1:], rest), header


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()


def rows(path: Path, computed: bool = False) -> Iterator[tuple[str, dict[str, Any] | Unreadable]]:
    """Each row of the first sheet that has a table, by the names of its columns, with its place. What other sheets with
    the same columns hold is not read, which one more row says. The file's sizes have been checked. A formula is its
    text, or with `computed` what it gave when the file was saved."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(path, read_only=True, data_only=computed)
    except Exception as error:  # whatever a damaged or hostile file leads to
        raise ViubenchError(f"no xlsx that can be read: {error!r:.100}", where=str(path)) from None
    try:
        sheets = {sheet.title: _table(sheet) for sheet in book.worksheets}
        title = next((title for title, (_, header) in sheets.items() if len(header) > 1), book.worksheets[0].title)
        numbered, header = sheets.pop(title)
        for number, cells in numbered:
            if any(cell is not None for cell in cells):
                yield f"row {number}", {name: cell for name, cell in zip(header, cells, strict=False) if name}
        more = [title for title, (_, names) in sheets.items() if len({*names} & {*header} - {""}) > 2]
    except Exception as error:
        raise ViubenchError(f"the xlsx is damaged: {error!r:.100}", where=str(path)) from None
    finally:
        book.close()
    if more:
        place = f"sheet {', '.join(map(repr, more))!s:.100}"
        yield place, Unreadable(place, f"only the sheet {title!r:.60} is read: write the others to files of their own")


def _table(sheet: Any) -> tuple[Iterator[Numbered], list[str]]:
    return headed(enumerate(sheet.iter_rows(values_only=True, max_row=MOST_ROWS), start=1))
