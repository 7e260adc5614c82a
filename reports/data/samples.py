"""The samples of a run as a table: of each line of `records.jsonl` what pages add up, and whole records on demand.

Example:
    >>> samples = read(Path("runs/tiny"))  # doctest: +SKIP
    >>> samples.groupby("task", observed=True)["score.iou"].mean()  # doctest: +SKIP

Half a million records of ten runs fit into some hundred megabytes: the text of questions and responses and the frames
stay in the file. Columns:

- `line`: the record's line in the file, from 0; `task`, `id`, `cluster`, `status`, `answer`, `target`: as recorded.
- `fault`: the word of the error, None without one.
- `response`, `frames`: hashes to compare by within this process, missing without a response or frames.
- `shown`, `span`, `videos`: number of frames, seconds from the first to the last, and videos they are of.
- `score.KEY` of answered samples, `group.KEY`, `usage.KEY`, `seconds.STAGE`: missing where the record does not have it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from viubench.schema import STATUSES, Failure, Groups, Record, Status
from viubench.storage import record_log

_OBJECTS = ["task", "id", "cluster", "status", "answer", "target", "fault", "response", "frames"]
_NUMBERS = ["shown", "span", "videos"]


class _Frames(BaseModel):
    times: list[float]
    hash: str
    videos: int = 1


class _Line(BaseModel):
    """What is read of a line; the rest of it is passed over."""

    model_config = ConfigDict(extra="ignore")

    task: str
    id: str
    cluster: str
    status: Status
    response: str | None = None
    answer: Any = None
    target: Any = None
    scores: dict[str, float] = {}
    groups: Groups = {}
    frames: _Frames | None = None
    usage: dict[str, int] = {}
    seconds: dict[str, float] = {}
    error: Failure | None = None


def read(path: Path) -> pd.DataFrame:
    """The samples of the run in folder `path`, by task and id; a torn last line is left out.

    Raises:
        ViubenchError: a line that is not the last one cannot be read.
    """
    return table(record_log.read(path, _Line))


def table(records: Iterable[Record | _Line]) -> pd.DataFrame:
    """The samples of these records, by task and id."""
    names: dict[str, str] = {}  # equal clusters are one object
    rows = []
    keyed: dict[tuple[str, str], tuple[list[int], list[Any]]] = defaultdict(lambda: ([], []))
    for line, record in enumerate(records):
        mappings = ("usage.", record.usage), ("seconds.", record.seconds), ("group.", record.groups)
        for prefix, values in (*mappings, ("score.", record.scores if record.status == "ok" else {})):
            for key, value in values.items():
                places, column = keyed[prefix, key]
                places.append(line)
                column.append(value)
        frames = record.frames
        rows.append((
            record.task,
            record.id,
            names.setdefault(record.cluster, record.cluster),
            record.status,
            record.answer,
            record.target,
            record.error.fault if record.error else None,
            None if record.response is None else hash(record.response),
            *((None,) * 4 if frames is None else (hash(frames.hash), *_shown(frames.times), frames.videos)),
        ))  # fmt: skip
    frame = pd.DataFrame(rows, columns=[*_OBJECTS, *_NUMBERS], dtype=object)
    frame = frame.astype({"response": "Int64", "frames": "Int64"} | dict.fromkeys(_NUMBERS, "float64"))
    frame["task"], frame["status"] = frame["task"].astype("category"), pd.Categorical(frame["status"], STATUSES)
    added: dict[str, Any] = {"line": np.arange(len(frame))}
    for (prefix, key), (places, values) in keyed.items():
        column = np.full(len(frame), np.nan, object if prefix == "group." else np.float64)
        column[places] = pd.Series(values, dtype=column.dtype)
        added[prefix + key] = column
    frame = pd.concat(
        [frame, *(pd.Series(column, name=name, dtype=column.dtype) for name, column in added.items())], axis=1
    )
    return frame.sort_values(["task", "id"], kind="stable", ignore_index=True)


def records(path: Path, lines: Iterable[int]) -> dict[int, Record]:
    """The whole records on these lines of a run's file, by line."""
    requested = set(lines)
    if not requested:
        return {}
    with (path / record_log.FILE).open("rb") as file:
        return {k: Record.model_validate_json(line) for k, line in enumerate(file) if k in requested}


def _shown(times: list[float]) -> tuple[int, float | None]:
    return len(times), times[-1] - times[0] if times else None
