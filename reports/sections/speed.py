"""What the runs took: seconds a sample in each stage, tokens in and out, and how much of a prompt came from a cache.

Example:
    >>> first = speeds(runs, names)[0]
    >>> first.stages["engine"].mean, first.stages["engine"].late, first.cached
    (0.83, 1.9, 0.41)

All of it is added up from the records. Requests run side by side, so the seconds of a stage are what one sample waits,
and their sum is no time by the clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

import pandas as pd

from reports.data.runs import Run


@dataclass(frozen=True)
class StageSeconds:
    """Seconds a sample spends in a stage: the mean, the 95th percentile, and the sum over all samples."""

    mean: float
    late: float
    total: float


@dataclass(frozen=True)
class Speed:
    """One run.

    Attributes:
        n: samples with a time.
        stages: by name, such as "frames" (waiting for decoded frames) and "engine" (from request to answer).
        prompt, completion: tokens a sample, None where the engine does not count them.
        cached: share of the prompt tokens that the engine took from its cache; None where it does not say.
        tokens: all prompt and completion tokens.
    """

    label: str
    n: int
    stages: Mapping[str, StageSeconds]
    prompt: float | None
    completion: float | None
    cached: float | None
    tokens: int


def speeds(runs: Sequence[Run], names: Sequence[str]) -> list[Speed]:
    """One line per run whose records have times, baselines aside: they answer from a table."""
    made = [_speed(run, name) for run, name in zip(runs, names, strict=True) if run.kind == "model"]
    return [speed for speed in made if speed.n]


def _speed(run: Run, label: str) -> Speed:
    usage, seconds = (
        run.samples.filter(regex=rf"^{part}\.").rename(columns=lambda name: name.split(".", 1)[1])
        for part in ("usage", "seconds")
    )
    total = usage.sum().astype(int)
    prompt, completion = (int(total.get(name, 0)) for name in ("prompt_tokens", "completion_tokens"))
    counted = int(usage["prompt_tokens"].count()) if "prompt_tokens" in usage else 0
    return Speed(
        label,
        int(seconds.count().max()) if len(seconds.columns) else 0,
        {name: _stage(seconds[name].dropna()) for name in sorted(map(str, seconds))},
        prompt / counted if counted else None,
        completion / counted if counted else None,
        int(total["cached_tokens"]) / prompt if prompt and "cached_tokens" in usage else None,
        prompt + completion,
    )


def _stage(values: pd.Series[float]) -> StageSeconds:
    return StageSeconds(values.mean(), float(values.quantile(0.95, interpolation="nearest")), fsum(values))
