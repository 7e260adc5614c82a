"""What the runs took: seconds a sample in each stage, tokens in and out, and how much of a prompt came from a cache.

Example:
    >>> first = speeds(runs, names)[0]
    >>> first.stages["engine"].mean, first.stages["engine"].late, first.cached
    (0.83, 1.9, 0.41)

All of it is added up from the records. Requests run side by side, so the seconds of a stage are what one sample waits,
and their sum is no time by the clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from reports.data.runs import Run


@dataclass(frozen=True)
class Stage:
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
    stages: Mapping[str, Stage]
    prompt: float | None
    completion: float | None
    cached: float | None
    tokens: int


def speeds(runs: Sequence[Run], names: Sequence[str]) -> list[Speed]:
    """One line per run whose records tell times, baselines aside: they answer from a table."""
    made = [_speed(run, name) for run, name in zip(runs, names, strict=True) if run.kind == "model"]
    return [speed for speed in made if speed.n]


def _speed(run: Run, label: str) -> Speed:
    seconds: dict[str, list[float]] = defaultdict(list)
    usage: dict[str, int] = defaultdict(int)
    counted = 0
    for record in run.records:
        for name, count in record.usage.items():
            usage[name] += count
        counted += "prompt_tokens" in record.usage
        for stage, value in record.seconds.items():
            seconds[stage].append(value)
    told = "cached_tokens" in usage
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    return Speed(
        label,
        max(map(len, seconds.values()), default=0),
        {name: _stage(seconds[name]) for name in sorted(seconds)},
        prompt / counted if counted else None,
        completion / counted if counted else None,
        usage["cached_tokens"] / prompt if prompt and told else None,
        prompt + completion,
    )


def _stage(values: Sequence[float]) -> Stage:
    ordered = sorted(values)
    late = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return Stage(fsum(ordered) / len(ordered), late, fsum(ordered))
