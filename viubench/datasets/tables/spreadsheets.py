"""The rows of an xlsx table; formulas stay text, since an answer may begin with "=".

Example:
    next(rows(Path("model_Video-MME.xlsx")))["prediction"]  # 'B. A boat.'
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from viubench.errors import ViubenchError

MOST_ROWS = 1 << 20
"""What the format allows; a file may claim more."""


def named(cells: Sequence[str]) -> list[str]:
    """The names of columns; the second of a name is `name.1`."""
    names: list[str] = []
    for name in map(str.strip, cells):
        names.append(f"{name}.{names.count(name)}" if name and name in names else name)
    return names


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """One dictionary a row of the first sheet, by the names in its first row; the file's sizes have been checked."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(path, read_only=True)
    except Exception as error:  # whatever a damaged or hostile file leads to
        raise ViubenchError(f"no xlsx that can be read: {error!r:.100}", where=str(path)) from None
    try:
        sheet = iter(book.worksheets[0].iter_rows(values_only=True, max_row=MOST_ROWS))
        filled = next((cells for cells in sheet if any(cell is not None for cell in cells)), ())
        header = named(["" if name is None else str(name) for name in filled])
        for cells in sheet:
            if any(cell is not None for cell in cells):
                yield {name: cell for name, cell in zip(header, cells, strict=False) if name}
    except Exception as error:
        raise ViubenchError(f"the xlsx is damaged: {error!r:.100}", where=str(path)) from None
    finally:
        book.close()
