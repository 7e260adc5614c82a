"""The metrics of a training run: one JSON line a step, and the same numbers as TensorBoard event files.

Example:
    log = MetricsLog(Path("runs/train"))
    log.write({"step": 0, "reward": 0.41})  # to train.jsonl and tensorboard/

The event files are written from the JSON lines anew at each start, so that no step is in them twice after a kill.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from viubench.errors import ViubenchError
from viubench.storage import atomic

NAME = "train.jsonl"
EVENTS = "tensorboard"


def print_warning(text: str) -> None:
    """Print a warning beside the progress bar."""
    print(text, file=sys.stderr)


class MetricsLog:
    """Appends to `folder/train.jsonl`, and to the event files in `folder/tensorboard`; warns without TensorBoard."""

    def __init__(self, folder: Path, warn: Callable[[str], None] = print_warning) -> None:
        self.path = folder / NAME
        self._warn = warn
        self._board: Any = None
        self._opened = False

    def cut(self, step: int) -> None:
        """Drop the lines from `step` on, which a resumed run writes again. Comes before `write`."""
        kept = [line for line in read(self.path.parent) if line["step"] < step]
        if self.path.exists():
            atomic.write(self.path, "".join(map(_line, kept)).encode(), lasting=True)

    def write(self, metrics: Mapping[str, Any]) -> None:
        """Append one line. Raises ViubenchError for a number that is not finite."""
        wrong = [key for key, value in metrics.items() if isinstance(value, float) and not math.isfinite(value)]
        if wrong:
            raise ViubenchError(
                f"step {metrics.get('step')}: {wrong[0]} is {metrics[wrong[0]]}",
                where=str(self.path),
                hint="lower learning_rate or max_grad_norm; the last checkpoint is from before this step",
            )
        if not self._opened:
            self._board, self._opened = _board(self.path.parent, self._warn), True
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(metrics))
        if self._board is not None:
            _draw(self._board, metrics)
            self._board.flush()

    def close(self) -> None:
        """Finish the event file; safe to call twice, and not needed for what was written to be there."""
        if self._board is not None:
            self._board.close()


class NoLog(MetricsLog):
    """The log of every process but the main one: nothing is written."""

    def cut(self, step: int) -> None: ...
    def write(self, metrics: Mapping[str, Any]) -> None: ...


def read(folder: Path) -> list[dict[str, Any]]:
    """The complete lines of a run's log, without a torn last one."""
    path = folder / NAME
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def validation_scores(line: Mapping[str, Any], measure: str = "reward") -> dict[str, float]:
    """Task -> a measure of the step's validation; empty for a step without one."""
    parts = {key: key.split("/") for key in line if key.startswith("validation/")}
    return {"/".join(names[1:-1]): line[key] for key, names in parts.items() if names[-1] == measure}


def summary(line: Mapping[str, Any]) -> str:
    """For a progress bar: `order 0.41 (constant 0.39)`, each task's mean reward and constant baseline, or the loss."""
    parts = []
    for task in (key.removeprefix("floor/") for key in line if key.startswith("floor/")):
        reward = line.get(f"{task}/reward", line.get(f"validation/{task}/reward"))
        parts += [] if reward is None else [f"{task} {reward:.2f} (constant {line[f'floor/{task}']:.2f})"]
    return "  ".join(parts) or f"loss {line['loss']:.3f}"


def _board(folder: Path, warn: Callable[[str], None]) -> Any:
    """A TensorBoard writer whose files hold the lines of the log so far; None without TensorBoard."""
    for old in (folder / EVENTS).glob("events.out.tfevents.*"):
        old.unlink()
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        warn("TensorBoard is not installed: the metrics go to train.jsonl alone (pip install tensorboard)")
        return None
    # A viewer that is open has the old points in memory: purging from step 0 on makes it drop them.
    board = SummaryWriter(str(folder / EVENTS), purge_step=0)
    for line in read(folder):
        _draw(board, line)
    return board


def _draw(board: Any, metrics: Mapping[str, Any]) -> None:
    for key, value in metrics.items():
        if isinstance(value, str):
            board.add_text(key, value, metrics["step"])
        elif key != "step":
            board.add_scalar(key, value, metrics["step"])


def _line(metrics: Mapping[str, Any]) -> str:
    return json.dumps(dict(metrics), allow_nan=False) + "\n"
