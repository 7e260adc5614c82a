"""The base of every model: unknown keys are refused, values are frozen, equal values give equal bytes.

Example:
    >>> content_hash({"b": 1, "a": 2}) == content_hash({"a": 2, "b": 1})
    True
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import pandas as pd


Interval = Annotated[str, Field(exclude_if=lambda how: how == "t")]
"""How a confidence interval was made: "t", or "exact" near the ends (see `viubench.stats.estimates`)."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def with_interval(test: str, interval: str) -> str:
    """How a difference was judged: "exact McNemar, exact interval"; an interval of t needs no word."""
    return test if interval == "t" else f"{test}, {interval} interval"


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal bytes."""
    return _CANONICAL.encode(value)


def utf8(value: object) -> str:
    """Text that UTF-8 can hold: a file name, or JSON, may have what it cannot."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def content_hash(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON of `value` (a model or plain data)."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return hashlib.sha256(canonical_json(data).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def task_frame(tasks: Iterable[tuple[str, BaseModel]]) -> pd.DataFrame:
    """One row a task (or suite), a column a field, without breakdowns: `metrics.r@0.5`; an interval is `ci_low` and
    `ci_high`."""
    import pandas as pd

    frame = pd.json_normalize([{"task": name} | task.model_dump(exclude={"groups", "tasks"}) for name, task in tasks])
    for column in [str(column) for column in frame.columns if str(column).split(".")[-1] == "ci"]:
        ends = frame.pop(column)
        frame[f"{column}_low"], frame[f"{column}_high"] = ends.str[0], ends.str[1]
    return frame
