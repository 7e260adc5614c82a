"""The metrics log of a training run: one JSON line a step, read again by pages and by a resumed run.

Example:
    log = Log(Path("runs/train"))
    log.write({"step": 0, "reward": 0.41})
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viubench import atomic
from viubench.errors import ViubenchError

NAME = "train.jsonl"


class Log:
    """Appends to `folder/train.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def cut(self, step: int) -> None:
        """Forget what was written from `step` on: a resumed run does those steps again."""
        kept = [line for line in read(self.path.parent) if line["step"] < step]
        if self.path.exists():
            atomic.write(self.path, "".join(map(_line, kept)).encode(), lasting=True)

    def write(self, metrics: Mapping[str, Any]) -> None:
        """One line; it is on disk, for this machine's other processes, when this returns.

        Raises:
            ViubenchError: a number that is not finite: the run has gone wrong.
        """
        wrong = [key for key, value in metrics.items() if isinstance(value, float) and not math.isfinite(value)]
        if wrong:
            raise ViubenchError(
                f"step {metrics.get('step')}: {wrong[0]} is {metrics[wrong[0]]}",
                where=str(self.path),
                hint="lower lr or max_grad_norm; the last checkpoint is from before this step",
            )
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(metrics))


def read(folder: Path) -> list[dict[str, Any]]:
    """Every whole line of a run's log; a torn last one is left out."""
    path = folder / NAME
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = lines if not lines or lines[-1].endswith("\n") else lines[:-1]
    return [json.loads(line) for line in whole]


def _line(metrics: Mapping[str, Any]) -> str:
    return json.dumps(dict(metrics), allow_nan=False) + "\n"
