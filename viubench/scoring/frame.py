"""Records and results as pandas tables: one row a sample, one row a task.

Example:
    frame = records_frame(read_records(Path("runs/a")))
    frame.groupby("group.strength")["score.iou"].mean()
    # group.strength
    # high    0.21
    # low     0.34

Each key of a mapping is a column of its own too, named with the prefix in `PREFIXES`: `score.iou`, `seconds.engine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from evaluators import Scored
from viubench.schema import Failure, FrameInfo, Record, Results, ScoredRecord, ShownMedia
from viubench.schema.base import canonical_json, task_frame

PREFIXES = {
    "scores": "score.",
    "rules": "rule.",
    "groups": "group.",
    "usage": "usage.",
    "seconds": "seconds.",
    "frames": "frames.",
    "shown": "shown.",
    "error": "error.",
}
"""Field of a record -> what the columns of its keys begin with."""

NESTED: dict[str, type[BaseModel]] = {"frames": FrameInfo, "shown": ShownMedia, "error": Failure}
BATCH = 20_000


def records_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Every field of the records, one row an answer, in the order given. What a record does not have is missing.

    `tokens_per_second` are the tokens of the answer over the seconds since its first one, or since the request where
    the engine does not say when that came.
    """
    rows = []
    keys: dict[str, set[str]] = {field: set(model.model_fields) for field, model in NESTED.items()}
    for record in records:
        row: dict[str, Any] = dict(record)
        for field, prefix in PREFIXES.items():
            own = dict(row[field] or {})
            keys.setdefault(field, set()).update(own)
            row.update(_prefixed(prefix, own))
        rows.append(row)
    columns: list[str] = []
    for field in Record.model_fields:
        order = list(NESTED[field].model_fields) if field in NESTED else sorted(keys.get(field, ()))
        columns += [field, *(PREFIXES[field] + key for key in order)]
    frame = pd.DataFrame(rows, columns=columns)
    if {"usage.completion_tokens", "seconds.engine"} <= set(columns):
        first = frame.reindex(columns=["seconds.first_token"]).iloc[:, 0].astype(float)
        seconds = frame["seconds.engine"] - first.fillna(0.0)
        tokens = frame["usage.completion_tokens"] - first.notna()
        frame["tokens_per_second"] = tokens / seconds.where(seconds > 0)
    return frame


def results_frame(results: Results) -> pd.DataFrame:
    """One row a task, then one a suite: value, interval, baselines, `metrics.r@0.5`, `statuses.ok` and so on."""
    frame = task_frame([*results.tasks.items(), *results.suites.items()])
    sizes = [sum(results.tasks[task].n for task in suite.tasks) for suite in results.suites.values()]
    frame["n"] = [*(task.n for task in results.tasks.values()), *sizes]
    return frame


def scores_frame(rows: Iterable[Scored]) -> pd.DataFrame:
    """Scored samples or units as `cluster`, `score.*` and `group.*`."""
    plain = (_scored_row(row.cluster, row.scores, row.groups) for row in rows)
    frames = [pd.DataFrame(batch) for batch in iter(lambda: list(islice(plain, BATCH)), [])]
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0] if frames else pd.DataFrame()


def scored_rows(frame: pd.DataFrame) -> list[Scored]:
    """The rows of such a frame, for evaluators that make units of several samples."""
    scores, groups = mappings(frame, "score."), mappings(frame, "group.")
    return list(map(Scored, scores, frame["cluster"], groups))


def mappings(frame: pd.DataFrame, prefix: str) -> list[dict[str, Any]]:
    """What each row has under the columns of one prefix; equal ones are one dictionary."""
    columns = keyed(frame, prefix)
    rows = list(frame[list(columns.values())].itertuples(index=False, name=None)) if columns else [()] * len(frame)
    made = {
        row: {key: value for key, value in zip(columns, row, strict=True) if value == value}  # NaN where it has none
        for row in set(rows)
    }
    return [made[row] for row in rows]


def keyed(frame: pd.DataFrame, prefix: str) -> dict[str, str]:
    """Key -> column, of the columns that begin with `prefix`, sorted."""
    return {
        column.removeprefix(prefix): column for column in sorted(map(str, frame.columns)) if column.startswith(prefix)
    }


def averaged(by_number: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Units with the mean of each score over several answers, where no score counts 0, and all else as of the first.

    Args:
        by_number: of each number of answer the units, in the same order.

    Raises:
        ValueError: they are not of the same samples.
    """
    first = by_number[0]
    if len(by_number) == 1:
        return first
    clusters = first["cluster"].tolist()
    if any(units["cluster"].tolist() != clusters for units in by_number):
        raise ValueError("some samples lack some of their answers")
    columns = sorted({column for units in by_number for column in keyed(units, "score.").values()})
    scores = [units.reindex(columns=columns).fillna(0.0).to_numpy(np.float64) for units in by_number]
    means = pd.DataFrame(np.mean(scores, axis=0), columns=columns)
    return pd.concat([first.drop(columns=columns, errors="ignore").reset_index(drop=True), means], axis=1)


def voted(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each sample the row of its most frequent answer, ordered by id: the first of equals, and of those that give
    it. What was not answered does not vote; a sample without any answer keeps a row without scores."""
    rows = frame.assign(votes=frame.groupby(["id", "answer"])["id"].transform("size").fillna(0))  # none: no vote
    best = rows.sort_values(["id", "votes", "number"], ascending=[True, False, True]).drop_duplicates("id")
    return best.drop(columns="votes").reset_index(drop=True)


class TaskRows:
    """The records of one task, added one by one and then read as a frame with `id`, `status`, `cluster` and the columns
    of scores, rules and groups; where there are `several` answers to a sample, with `number` and `answer` as well.
    Frames of `BATCH` rows are held, since a million dictionaries would take gigabytes."""

    def __init__(self, several: bool = False) -> None:
        self.several = several
        self._rows: list[dict[str, Any]] = []
        self._frames: list[pd.DataFrame] = []

    def add(self, record: Record | ScoredRecord) -> None:
        scores = record.scores if record.status == "ok" else {}
        row = _scored_row(record.cluster, scores, record.groups)
        row["id"], row["status"] = record.id, record.status
        if self.several:
            row["number"], row["answer"] = (
                record.number,
                canonical_json(record.answer) if record.status == "ok" else None,
            )
        for rule, value in record.rules.items():
            if value is not None:
                row["rule." + rule] = value
        self._rows.append(row)
        if len(self._rows) == BATCH:
            self._flush()

    def frame(self) -> pd.DataFrame:
        """All rows, ordered by id, and by number."""
        self._flush()
        order = ["id", "number"] if self.several else "id"
        return pd.concat(self._frames, ignore_index=True).sort_values(order, ignore_index=True)

    def _flush(self) -> None:
        if self._rows:
            self._frames.append(pd.DataFrame(self._rows))
            self._rows = []


def _scored_row(cluster: str, scores: Mapping[str, float], groups: Mapping[str, Any]) -> dict[str, Any]:
    return {"cluster": cluster, **_prefixed("score.", scores), **_prefixed("group.", groups)}


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {prefix + key: value for key, value in values.items()}
