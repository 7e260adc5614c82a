"""The units of a headline from the samples of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from evaluators import Evaluator, Scored
from viubench.scoring import aggregate
from viubench.stats.estimates import Floats, Part


def units_frame(frame: pd.DataFrame, evaluator: Evaluator) -> pd.DataFrame:
    if type(evaluator).units is Evaluator.units:
        return frame
    units = evaluator.units(scored_rows(frame))
    return pd.DataFrame([
        {"cluster": u.cluster} | {f"score.{k}": v for k, v in u.scores.items()} | {f"group.{k}": v for k, v in u.groups.items()}
        for u in units
    ])  # fmt: skip


def scored_rows(frame: pd.DataFrame) -> list[Scored]:
    scores, groups = _mappings(frame, "score."), _mappings(frame, "group.")
    return list(map(Scored, scores, frame["cluster"], groups))


def score_of(units: pd.DataFrame, metric: str) -> Floats:
    column = f"score.{metric}"
    return units[column].fillna(0.0).to_numpy(np.float64) if column in units else np.zeros(len(units))


def headline_parts(units: pd.DataFrame, evaluator: Evaluator, average: str) -> Sequence[Part]:
    if not average:
        return [(1.0, score_of(units, evaluator.unit_metric), units["cluster"].tolist())]
    return aggregate.headline_parts(scored_rows(units), evaluator, average)


def _mappings(frame: pd.DataFrame, prefix: str) -> list[dict[str, Any]]:
    columns = [str(name) for name in frame.columns if str(name).startswith(prefix)]
    keys = [name.removeprefix(prefix) for name in columns]
    return [
        {key: value for key, value in zip(keys, row[1:], strict=True) if value == value}
        for row in frame[columns].itertuples(name=None)
    ]
