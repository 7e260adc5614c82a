"""The log of a training run, `train.jsonl`: one JSON object a step, with TRL's names, and `TASK/reward` and the like.

Example:
    log = MetricsLog(Path("runs/train"))
    log.write({"step": 0, "reward": 0.41})
    read(Path("runs/train"))   # [{"step": 0, "reward": 0.41}]
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viubench.errors import ViubenchError
from viubench.storage import atomic

NAME = "train.jsonl"


class MetricsLog:
    """Appends to `folder/train.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def cut(self, step: int) -> None:
        """Drop the lines from `step` on, which a resumed run writes again. Comes before `write`."""
        kept = [line for line in read(self.path.parent) if line["step"] < step]
        if self.path.exists():
            atomic.write(self.path, "".join(json.dumps(line) + "\n" for line in kept).encode(), lasting=True)

    def write(self, metrics: Mapping[str, Any]) -> None:
        """Append one line. Raises ViubenchError for a number that is not finite."""
        for key, value in metrics.items():
            if isinstance(value, float) and not math.isfinite(value):
                hint = "lower learning_rate or max_grad_norm; the last checkpoint is from before this step"
                raise ViubenchError(f"step {metrics.get('step')}: {key} is {value}", where=str(self.path), hint=hint)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(metrics), allow_nan=False) + "\n")


def read(folder: Path) -> list[dict[str, Any]]:
    """The complete lines of a run's log, without a torn last one."""
    path = folder / NAME
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def validation_scores(line: Mapping[str, Any], measure: str = "reward") -> dict[str, float]:
    """Task -> a measure of the step's validation; empty for a step without one."""
    own = [key for key in line if key.startswith("validation/") and key.endswith(f"/{measure}")]
    return {key.removeprefix("validation/").removesuffix(f"/{measure}"): line[key] for key in own}


def summary(line: Mapping[str, Any]) -> str:
    """For a progress bar: `order 0.41 (constant 0.39)`, each task's mean reward and constant baseline, or the loss."""
    parts = []
    for task in (key.removeprefix("floor/") for key in line if key.startswith("floor/")):
        reward = line.get(f"{task}/reward", line.get(f"validation/{task}/reward"))
        parts += [] if reward is None else [f"{task} {reward:.2f} (constant {line[f'floor/{task}']:.2f})"]
    return "  ".join(parts) or f"loss {line['loss']:.3f}"
