"""The values of a row, whatever type a file gave them: text, a number, a score in [0, 1], a name.

Example:
    >>> score(True), score("0.5"), score(-1), text(3.0), text(None)
    (1.0, 0.5, None, '3', '')
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from viubench.tasks.cells import text

__all__ = ["first", "name", "names", "number", "score", "text", "whole"]

LONGEST_NAME = 300
"""Characters of what can be an id, the name of a video, an extracted answer."""


def name(value: Any) -> str:
    """A short text, "" for what is too long to be a name."""
    found = text(value).strip()
    return found if len(found) <= LONGEST_NAME else ""


def number(value: Any) -> float | None:
    """A finite number, None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return float(value)
    return None


def whole(value: Any) -> int | None:
    """A whole number of at least 0, None for anything else."""
    found = number(value)
    return int(found) if found is not None and found >= 0 and found.is_integer() else None


def score(value: Any) -> float | None:
    """A score in [0, 1]; None for anything else, such as the -1 that some files have for "not scored"."""
    words = {"true": 1.0, "correct": 1.0, "c": 1.0, "false": 0.0, "incorrect": 0.0, "i": 0.0}
    found = words.get(value.strip().lower(), number(value)) if isinstance(value, str) else number(value)
    return found if found is not None and 0 <= found <= 1 else None


def first(row: Mapping[str, Any], keys: Iterable[str]) -> Any:
    """The first value under one of these keys that is not empty; None without one."""
    return next((row[key] for key in keys if row.get(key) not in (None, "")), None)


def names(row: Mapping[str, Any], keys: Iterable[str]) -> tuple[str, ...]:
    """The distinct names under these keys."""
    found = (name(row[key]) for key in keys if isinstance(row.get(key), str | int | float))
    return tuple(dict.fromkeys(one for one in found if one))
