"""What the runs took: seconds a sample in each stage, tokens in and out, and how much of a prompt came from a cache.

Example:
    first = speeds(runs, names)[0]
    first["stages"]["engine"], first["cached"]
    # ({'mean': 0.83, 'late': 1.9, 'total': 1245.0}, 0.41)

All of it is added up from the records. Requests run side by side, so the seconds of a stage are what one sample waits,
and their sum is no time by the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any

import pandas as pd

from reports.data.runs import RunData


def speeds(runs: Sequence[RunData], names: Sequence[str]) -> list[dict[str, Any]]:
    """One line per run whose records have times, baselines aside: they answer from a table.

    Returns:
        `n`, the samples with a time; `stages` by name, such as "frames" (waiting for decoded frames) and "engine" (from
        request to answer), each with the `mean`, the 95th percentile (`late`) and the `total` of its seconds; `prompt`
        and `completion` tokens a sample, None where the engine does not count them; the share of the prompt tokens that
        it took from its cache (`cached`), None where it does not say; and all `tokens`.
        `first`: the seconds to the first token, which a half and nine tenths of the samples stay below; None where no
        engine says. `rate`: tokens a second of the middle sample, after its first token where that is known.
    """
    made = [_speed(run) | {"label": name} for run, name in zip(runs, names, strict=True) if run.kind == "model"]
    return [speed for speed in made if speed["n"]]


def _speed(run: RunData) -> dict[str, Any]:
    usage, seconds = (
        run.samples.filter(regex=rf"^{part}\.").rename(columns=lambda name: name.split(".", 1)[1])
        for part in ("usage", "seconds")
    )
    first = seconds.pop("first_token") if "first_token" in seconds else pd.Series(dtype=float)
    total = usage.sum().astype(int)
    prompt, completion = (int(total.get(name, 0)) for name in ("prompt_tokens", "completion_tokens"))
    counted = int(usage["prompt_tokens"].count()) if "prompt_tokens" in usage else 0
    late = seconds.quantile(0.95, interpolation="nearest")
    return {
        "n": int(seconds.count().max()) if len(seconds.columns) else 0,
        "stages": {
            stage: {"mean": seconds[stage].mean(), "late": late[stage], "total": fsum(seconds[stage].dropna())}
            for stage in sorted(map(str, seconds))
        },
        "prompt": prompt / counted if counted else None,
        "completion": completion / counted if counted else None,
        "cached": int(total["cached_tokens"]) / prompt if prompt and "cached_tokens" in usage else None,
        "tokens": prompt + completion,
        "first": tuple(first.quantile([0.5, 0.9], interpolation="nearest")) if first.count() else None,
        "rate": _rate(usage, seconds, first),
    }


def _rate(usage: pd.DataFrame, seconds: pd.DataFrame, first: pd.Series[float]) -> float | None:
    """Tokens a second of the middle sample; the first one comes at the end of the prompt's time."""
    if "completion_tokens" not in usage or "engine" not in seconds:
        return None
    streamed = first.reindex(seconds.index).notna()
    generated = usage["completion_tokens"] - streamed
    took = seconds["engine"] - first.reindex(seconds.index).fillna(0)
    rates = (generated / took)[(generated > 0) & (took > 0)]
    return float(rates.median()) if len(rates) else None
