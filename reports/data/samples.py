"""The answers of a run as a table: of each line of `records.jsonl` what pages add up, and whole records on demand.

Example:
    samples = read(Path("runs/tiny"))
    samples.groupby("task", observed=True)["score.iou"].mean()

Half a million records of ten runs fit into some hundred megabytes: the text of questions and responses and the frames
stay in the file. Columns:

- `offset`: where in the file the record begins, in bytes.
- `task`, `id`, `cluster`, `status`, `answer`, `target`, `rule`: as recorded.
- `number`: which of several answers to its question this is; only where some question has several.
- `fault`: the word of the error, None without one.
- `response`, `frames`: hashes to compare by within this process, missing without a response or frames.
- `shown`, `span`, `videos`: number of frames, seconds from the first to the last, and videos they are of.
- `score.KEY` of answered samples, `group.KEY`, `usage.KEY`, `seconds.STAGE`: missing where the record does not have it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from viubench.errors import ViubenchError
from viubench.schema import STATUSES, Groups, Record, Status
from viubench.storage import record_log

V = TypeVar("V")

_OBJECTS = ["task", "id", "number", "cluster", "status", "answer", "target", "rule", "fault", "response", "frames"]
_NUMBERS = ["shown", "span", "videos"]
_PREFIXES = ("usage.", "seconds.", "group.", "score.")
_NULL = msgspec.Raw(b"null")


Keyed = dict[tuple[str | None, ...], tuple[list[int], list[tuple[Any, ...]]]]
"""Keys of the mappings of `_PREFIXES`, None between two of these: the lines that have them, and their values."""


class _Frames(msgspec.Struct, gc=False):
    times: list[float]
    hash: str
    videos: int = 1


class _Error(msgspec.Struct, gc=False):
    fault: str


class _Line(msgspec.Struct, gc=False):
    """What is read of a line; the rest of it is passed over. What many runs have in common is left as JSON."""

    task: str
    id: str
    cluster: str
    status: Status
    number: int = 0
    response: str | None = None
    rule: str | None = None
    answer: msgspec.Raw = _NULL
    target: msgspec.Raw = _NULL
    scores: dict[str, float] = {}
    groups: Groups = {}
    frames: msgspec.Raw = _NULL
    usage: dict[str, int] = {}
    seconds: dict[str, float] = {}
    error: _Error | None = None


_line = msgspec.json.Decoder(_Line).decode
_frames = msgspec.json.Decoder(_Frames | None).decode


def read(path: Path, shared: dict[Hashable, Any] | None = None) -> pd.DataFrame:
    """The answers of the run in folder `path`, by task, id and number; a torn last line is left out.

    Args:
        shared: values that several runs have in common, to be used and added to.

    Raises:
        ViubenchError: a line that is not the last one cannot be read.
    """
    file = path / record_log.FILE
    if not file.exists():
        return table([])
    with file.open("rb") as lines:
        return table(lines, str(file), shared)


def table(lines: Iterable[bytes], where: str = "", shared: dict[Hashable, Any] | None = None) -> pd.DataFrame:
    """The samples of these lines of a `records.jsonl`; as `read`, with the place that an error names."""
    shared = {} if shared is None else shared
    rows: list[tuple[Any, ...]] = []
    sizes: list[int] = []
    keyed: Keyed = defaultdict(lambda: ([], []))
    for number, text in enumerate(lines):
        try:
            line = _line(text)
            rows.append(_row(line, shared))
        except (msgspec.MsgspecError, ValueError):
            if not text.endswith(b"\n"):
                break
            raise ViubenchError("a record cannot be read", where=f"{where}:{number + 1}") from None
        sizes.append(len(text))
        scores = line.scores if line.status == "ok" else {}
        places, values = keyed[*line.usage, None, *line.seconds, None, *line.groups, None, *scores]
        places.append(len(rows) - 1)
        values.append((*line.usage.values(), *line.seconds.values(), *line.groups.values(), *scores.values()))
    frame = pd.DataFrame(rows, columns=[*_OBJECTS, *_NUMBERS], dtype=object)
    frame = frame.astype({"response": "Int64", "frames": "Int64"} | dict.fromkeys(_NUMBERS, "float64"))
    frame["task"], frame["status"] = frame["task"].astype("category"), pd.Categorical(frame["status"], STATUSES)
    frame["offset"] = np.cumsum([0, *sizes[:-1]]) if sizes else []
    frame = pd.concat([frame, _columns(keyed, len(frame))], axis=1)
    if not frame["number"].any():
        frame = frame.drop(columns="number")
    order = [key for key in ("task", "id", "number") if key in frame]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def _columns(keyed: Keyed, length: int) -> pd.DataFrame:
    """What stands under keys, a column a key."""
    columns: dict[str, NDArray[Any]] = {}
    for keys, (places, values) in keyed.items():
        prefixes = iter(_PREFIXES)
        prefix, parts = next(prefixes), zip(*values, strict=True)
        for key in keys:
            if key is None:
                prefix = next(prefixes)
                continue
            kind = object if prefix == "group." else np.float64
            column = columns.setdefault(prefix + key, np.full(length, np.nan, kind))
            column[places] = pd.Series(next(parts), dtype=kind)
    return pd.DataFrame(columns, range(length))


def _row(line: _Line, shared: dict[Hashable, Any]) -> tuple[Any, ...]:
    """The columns that every line has."""
    answer, target, frames = bytes(line.answer), bytes(line.target), hash(bytes(line.frames))
    if answer not in shared:
        shared[answer] = json.loads(answer)
    if target not in shared:
        shared[target] = json.loads(target)
    if frames not in shared:
        shared[frames] = _shown(_frames(line.frames))
    return (
        shared.setdefault(line.task, line.task),
        shared.setdefault(line.id, line.id),
        line.number,
        shared.setdefault(line.cluster, line.cluster),
        line.status,
        shared[answer],
        shared[target],
        shared.setdefault(line.rule, line.rule),
        line.error.fault if line.error else None,
        None if line.response is None else hash(line.response),
        *shared[frames],
    )


def _shown(frames: _Frames | None) -> tuple[int | None, int | None, float | None, int | None]:
    if frames is None:
        return None, None, None, None
    times = frames.times
    return hash(frames.hash), len(times), times[-1] - times[0] if times else None, frames.videos


def records(path: Path, offsets: Iterable[int]) -> dict[int, Record]:
    """The whole records that begin at these bytes of a run's file."""
    requested = sorted(set(offsets))
    if not requested:
        return {}
    with (path / record_log.FILE).open("rb") as file:
        return {at: Record.model_validate_json(file.readline()) for at in requested if file.seek(at) == at}


def each(values: pd.Series[Any], function: Callable[[Any], V]) -> list[V]:
    """`function` of every value, called once for all that are one object, as most equal answers and targets are."""
    results = {key: function(value) for key, value in {id(value): value for value in values}.items()}
    return [results[id(value)] for value in values]
