"""Readers of layouts that are not one row a record: registered functions from a data folder's files to flat rows.

Example: an adapter is a function and one line of packaging metadata.

    def adapt(files: Sequence[RowFile]) -> Iterator[dict[str, Any]]: ...

    [project.entry-points."viubench.adapters"]
    my_layout = "my_package:adapt"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evaluators import plugins
from viubench.errors import ViubenchError, did_you_mean

GROUP = "viubench.adapters"


class RowFile(NamedTuple):
    """One file of annotations of a data folder."""

    stem: str
    path: str  # relative to the folder
    folder: Path
    content: Any  # a list of dictionaries (.parquet, .jsonl, .csv), parsed JSON (.json) or text (.txt)

    def place(self, index: int) -> dict[str, Any]:
        """The keys that say where row `index` of the file is; every row must have them."""
        return {"_file": self.stem, "_path": self.path, "_index": index}


Adapter = Callable[[Sequence[RowFile]], Iterator[dict[str, Any]]]


def get(name: str) -> Adapter:
    """The adapter registered as `name`; ViubenchError naming the known ones when there is none."""
    known = plugins.registered(GROUP)
    if name not in known:
        hint = did_you_mean(name, known, f"registered: {', '.join(sorted(known)) or 'none'}")
        raise ViubenchError(f"unknown adapter: {name!r}", where="rows.adapter", hint=hint)
    adapter: Adapter = known[name].load()
    return adapter
