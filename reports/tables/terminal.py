"""Tables that fit the terminal: words wrap where they must, and columns that have no room come in a second table.

Example:
    >>> print(table([["viubench_count_easy", "0.5"]], ["task", "score of it"], width=24))
    task            score of
                          it
    ------------  ----------
    viubench_cou         0.5
    nt_easy
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from textwrap import wrap

from tabulate import tabulate

GAP, PADDING = 2, 2
"""Characters between columns, and what tabulate leaves beside a heading."""

NARROWEST = 12
"""Longer words may be broken."""


def table(
    rows: Sequence[Sequence[object]], headers: Sequence[str], align: Sequence[str] = (), width: int | None = None
) -> str:
    """The rows under their headers, no wider than the terminal; as they are where they fit or no terminal reads them.

    Args:
        align: "left" or "right" of each column; by default the first is left, the others right.
        width: in characters; that of the terminal (or COLUMNS) where None.
    """
    align = list(align) or ["left", *["right"] * (len(headers) - 1)]
    whole = tabulate(rows, headers, disable_numparse=True, colalign=align if rows else None)
    width = terminal_width() if width is None else width
    if width is None or not rows or max(map(len, whole.splitlines())) <= width:
        return whole
    cells = [[head, *(str(row[place]) for row in rows)] for place, head in enumerate(headers)]
    blocks = [
        tabulate(
            [[_wrapped(str(row[place]), size) for place, size in zip(block, sizes, strict=True)] for row in rows],
            [_wrapped(headers[place], size - PADDING) for place, size in zip(block, sizes, strict=True)],
            disable_numparse=True,
            colalign=[align[place] for place in block],
        )
        for block, sizes in _blocks(cells, width)
    ]
    return "\n\n".join(blocks)


def _wrapped(text: str, width: int) -> str:
    """The text on lines of at most `width`; none of them begins as a command to a workflow does."""
    parts = (part for line in text.splitlines() for part in wrap(line, width, break_on_hyphens=False) or [""])
    return "\n".join(f"‹:{part[2:]}" if part.startswith("::") else part for part in parts)


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is, or that COLUMNS says; None where a file or program reads it."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def _blocks(cells: Sequence[Sequence[str]], width: int) -> list[tuple[list[int], list[int]]]:
    """The columns of each table with their widths; every further table begins with the first column too."""
    least = [
        max(
            *(min(len(word), NARROWEST) + PADDING for word in head.split() or [""]),
            *(min(len(word), NARROWEST) for cell in column for word in cell.split()),
            PADDING + 1,
        )
        for head, *column in cells
    ]
    blocks, block = [], [0]
    for place in range(1, len(cells)):
        if len(block) > 1 and sum(least[one] + GAP for one in (*block, place)) - GAP > width:
            blocks.append(block)
            block = [0]
        block.append(place)
    return [(one, _sizes(cells, least, one, width)) for one in (*blocks, block)]


def _sizes(cells: Sequence[Sequence[str]], least: Sequence[int], block: Sequence[int], width: int) -> list[int]:
    """Widths that fit: the widest column that can gives way first."""
    sizes = [
        max(len(head) + PADDING, *(len(line) for cell in column for line in cell.splitlines()), PADDING + 1)
        for head, *column in (cells[place] for place in block)
    ]
    while sum(sizes) + GAP * (len(sizes) - 1) > width:
        spare = [size if size > least[place] else 0 for size, place in zip(sizes, block, strict=True)]
        if not any(spare):
            break
        sizes[spare.index(max(spare))] -= 1
    return sizes
