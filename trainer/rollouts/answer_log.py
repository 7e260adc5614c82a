"""Some answers of each step, as parquet: what the model says while it is trained.

Example:
    write(Path("runs/train"), 40, answered, config)   # runs/train/answers/step-000040.parquet, a row an answer
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.config import TrainConfig
from trainer.rollouts.sampler import Answered
from viubench.schema import canonical_json

FOLDER = "answers"


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
