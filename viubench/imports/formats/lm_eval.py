"""lm-evaluation-harness's logged samples: lines as lmms-eval's, with the row of the data set and hashed prompts.

Example of a line:

    {"doc_id": 0, "doc": {"question": "..."}, "target": "A", "resps": [["The answer is A"]], "filtered_resps": ["A"],
     "filter": "strict-match", "prompt_hash": "...", "exact_match": 1.0}

`filtered_resps` is what a filter took for the answer; the response is in `resps`. A line is there once for each filter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from viubench.datasets.tables import Unreadable
from viubench.datasets.tables.rows import Fields
from viubench.imports import values
from viubench.imports.answers import About, FileAnswer
from viubench.imports.formats import lmms_eval
from viubench.imports.formats.base import Format

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)")


def _answers(row: Fields, place: str) -> Iterator[FileAnswer | Unreadable]:
    asked = row.get("arguments")
    first = next(iter(asked.values()), None) if isinstance(asked, Mapping) else None
    prompt = values.text(first.get("arg_0")) if isinstance(first, Mapping) else ""
    for one in lmms_eval.answers({**row, "input": prompt, "filtered_resps": row.get("resps")}, place):
        filtered = row.get("filtered_resps")
        taken = filtered[0] if isinstance(filtered, list) and filtered else filtered
        yield replace(one, extracted=values.name(taken)) if isinstance(one, FileAnswer) else one


def _about(row: Fields, path: Path) -> About:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return About("lm-evaluation-harness", task=path.stem)
    try:
        beside = path.with_name(f"results_{match['date']}.json")
        log = json.loads(beside.read_bytes()) if beside.stat().st_size <= lmms_eval.LARGEST_LOG else {}
    except (OSError, ValueError, RecursionError):
        log = {}
    return lmms_eval.told("lm-evaluation-harness", match["task"], log if isinstance(log, Mapping) else {})


def _recognises(row: Fields) -> bool:
    return "doc_id" in row and "resps" in row and ("prompt_hash" in row or "filter" in row)


FORMAT = Format("lm-eval", _recognises, _answers, _about)
