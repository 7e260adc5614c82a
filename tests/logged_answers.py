"""The answers that a training logged."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from trainer.rollouts.sampler import ANSWERS


def read(out: Path) -> pd.DataFrame:
    """All of them, by step; empty where there are none."""
    files = sorted((out / ANSWERS).glob("step-*.parquet"))
    return pd.concat(map(pd.read_parquet, files), ignore_index=True) if files else pd.DataFrame()
