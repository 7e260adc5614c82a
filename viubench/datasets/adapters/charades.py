"""Charades-STA: the original text file, or the hub's table, as the same rows.

Example: the line `INV12 4.1 11.9##person puts a towel on a shelf.` gives

    {"vid": "INV12", "place": 0, "query": "person puts a towel on a shelf.", "relevant_windows": [[4.1, 11.9]]}
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from viubench.datasets.adapters import RowFile
from viubench.datasets.adapters.captions import one_layout
from viubench.errors import ViubenchError

_LINE = re.compile(r"(\S+)\s+([0-9.]+)\s+([0-9.]+)\s*##(.+)")


def charades(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]:
    """One row per query, in file order; `place` is its place among those of its video, from 0.

    The true interval (seconds) is as published, also where it ends after the video does. The hub's numbers are 16-bit:
    up to 0.0125 s beside those of the text file.

    Raises:
        ViubenchError: text and table at once, or a line that is not `VIDEO start end##sentence`.
    """
    seen: Counter[str] = Counter()
    for file in one_layout(files):
        queries = _lines(file) if isinstance(file.content, str) else _table(file.content)
        for index, (vid, window, query) in enumerate(queries):
            yield {
                "vid": vid,
                "place": seen[vid],
                "query": query,
                "relevant_windows": [window],
                **file.place(index),
            }
            seen[vid] += 1


def _lines(file: RowFile) -> Iterator[tuple[str, list[float], str]]:
    for number, line in enumerate(file.content.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ViubenchError(f"not a line VIDEO start end##sentence: {line!r:.80}", where=f"{file.path}:{number}")
        yield match[1], [float(match[2]), float(match[3])], match[4].strip()


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[float], str]]:
    for row in rows:
        start, end = row["timestamp"]
        yield PurePosixPath(row["video"]).stem, [float(start), float(end)], row["caption"].strip()
