"""The lines of Qwen's own evaluation scripts.

Example of a line; `gen_raw` is there where the answer was parted from the reasoning:

    {"question_id": 3, "annotation": {"index": 3, "question": "...", "A": "...", "answer": "B"}, "task": "VideoMME",
     "result": {"gen": "B", "gen_raw": "<think>...</think>B"}, "messages": [...]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from viubench.datasets.tables import Unreadable
from viubench.datasets.tables.rows import Fields
from viubench.imports import values
from viubench.imports.answers import About, FileAnswer
from viubench.imports.formats import vlmevalkit
from viubench.imports.formats.base import Format


def _recognises(row: Fields) -> bool:
    return isinstance(row.get("result"), Mapping) and bool({"gen", "gen_raw"} & set(row["result"]))


def _answers(row: Fields, place: str) -> Iterator[FileAnswer | Unreadable]:
    result = row["result"]
    annotation = row["annotation"] if isinstance(row.get("annotation"), Mapping) else {}
    said = values.text(values.first(result, ("gen_raw", "gen")))
    for one in vlmevalkit.FORMAT.answers({**annotation, "prediction": said}, place):
        if isinstance(one, FileAnswer):
            own = values.names(row, ("question_id",))
            kept = result["gen"] if "gen_raw" in result and "gen" in result else ""
            one = replace(one, ids=tuple(dict.fromkeys((*own, *one.ids))), extracted=values.name(kept))
        yield one


def _about(row: Fields, path: Path) -> About:
    return About("Qwen", model=path.stem, task=values.name(row.get("task")))


FORMAT = Format("qwen", _recognises, _answers, _about)
