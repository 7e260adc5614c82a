"""Labels of answers, from people or published, to compare verdicts with.

Example:
    >>> read_labels({"tempcompass_captioning-1": 1})
    {'tempcompass_captioning-1': 1.0}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from viubench.errors import ViubenchError


def read_labels(labels: str | os.PathLike[str] | Mapping[str, float] | None) -> dict[str, float]:
    """Sample id -> score in [0, 1], from a JSONL file of lines `{"id": ..., "label": ...}` or a mapping; a label may be
    true or false. Raises ViubenchError where a line cannot be read or an id is labelled twice."""
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        return {name: _score(value, f"labels[{name!r}]") for name, value in labels.items()}
    path, found = Path(labels), dict[str, float]()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ViubenchError(f"the labels cannot be read: {error}", where=str(path)) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
            name, value = str(row["id"]), row["label"]
        except (KeyError, TypeError, ValueError, RecursionError):
            raise ViubenchError('a line must be {"id": ..., "label": ...}', where=where) from None
        if name in found:
            raise ViubenchError(f"{name} is labelled twice", where=where)
        found[name] = _score(value, where)
    return found


def _score(value: object, where: str) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ViubenchError(f"a label is a score from 0 to 1, not {value!r:.40}", where=where)
    return float(value)
