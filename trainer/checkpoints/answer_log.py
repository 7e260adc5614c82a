"""Some answers of each step, as parquet: what the model says while it is trained.

Example:
    write(Path("runs/train"), 40, answered, config)   # runs/train/answers/step-000040.parquet
    read(Path("runs/train"))                          # a DataFrame with one row an answer
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trainer.config import TrainConfig
from trainer.rewards import Reward
from viubench.schema import Sample, canonical_json

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "answers"


class Answered(Protocol):
    """A question with its answers (see `trainer.rollouts.sampler`)."""

    @property
    def sample(self) -> Sample: ...
    @property
    def rewards(self) -> list[Reward]: ...
    @property
    def rollouts(self) -> Any: ...


def write(out: Path, step: int, answered: Sequence[Answered], config: TrainConfig) -> None:
    """Write answers to questions of a step (from 0), at most `log_completions`, all those of a question together."""
    import pandas as pd

    rows = [
        {
            "step": step, "task": one.sample.task, "sample": one.sample.id, "question": one.sample.question,
            "target": one.sample.answer_text, "answer": text, "parsed": reward.parsed,
            "read_as": canonical_json(reward.answer) if reward.parsed else "", "reward": reward.value,
            "exact": reward.strict == 1, "tokens": int(kept.sum()), "stopped": stopped,
        }
        for one in answered[: -(-config.log_completions // config.num_generations)]
        for reward, text, stopped, kept in zip(
            one.rewards, one.rollouts.texts, one.rollouts.stopped, one.rollouts.mask, strict=True
        )
    ]  # fmt: skip
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows[: config.log_completions]).to_parquet(folder / f"step-{step:06d}.parquet", index=False)


def read(out: Path) -> pd.DataFrame:
    """All logged answers of a training, by step; empty where there are none."""
    import pandas as pd

    files = sorted((out / FOLDER).glob("step-*.parquet"))
    return pd.concat(map(pd.read_parquet, files), ignore_index=True) if files else pd.DataFrame()
