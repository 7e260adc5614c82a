"""Answers that have a line to themselves.

Example:
    >>> bare_lines("It is a box.\\nB", [(13, 14)])
    ({13}, set())
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

_LINE = re.compile(r"[^\n]+")  # and no word asked for here: a long line without one would be searched from each place
_WORD = re.compile(r"[^\W_]")


def bare_lines(text: str, mentions: Sequence[tuple[int, int]]) -> tuple[set[int], set[int]]:
    """Starts of the mentions that are all of the first or the last line, and of those whose next line is one, too."""
    lines = [line.span() for line in _LINE.finditer(text) if _WORD.search(text, *line.span())]
    starts = [start for start, _ in mentions]

    def bare(line: tuple[int, int]) -> int | None:
        k = bisect_left(starts, line[0])
        if k == len(mentions) or mentions[k][1] > line[1] or (k + 1 < len(starts) and starts[k + 1] < line[1]):
            return None
        wordless = not _WORD.search(text, line[0], starts[k]) and not _WORD.search(text, mentions[k][1], line[1])
        return starts[k] if wordless else None

    found, listed = set[int](), set[int]()
    for at, neighbour in ((0, 1), (len(lines) - 1, len(lines) - 2)):
        if 0 <= at < len(lines) and (start := bare(lines[at])) is not None:
            beside = bare(lines[neighbour]) if 0 <= neighbour < len(lines) else None
            (found if beside is None else listed).add(start)
    return found, listed
