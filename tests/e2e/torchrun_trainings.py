"""Several trainings in the processes of one torchrun, by the command line, with rewards that a random model earns.

Example:
    plan = [{"name": "full", "arguments": ["train", "--config", ...]}, {"name": "wrong", "wrong_at": [1, 2, 0], ...}]
    torchrun --nproc-per-node 2 torchrun_trainings.py PLAN.json   # a line "NAME RANK EXIT-CODE" after each training

A training that fails is the last. A question is rewarded by one process alone. In a validation every answer passes any
threshold, so that a warm start ends after two.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from evaluators.temporal_iou import TemporalIoU
from trainer.rewards import Reward, Rewarder
from viubench import cli

evaluated = Rewarder.__call__


def vowels(wrong_at: list[int] | None = None, still_at: list[int] | None = None) -> Callable[..., Reward]:
    """A replacement of `Rewarder.__call__` by the share of vowels in the answer.

    Args:
        wrong_at: step, question and answer at which the evaluator returns 1.5, which the real rewarder must refuse.
        still_at: step, question and answer at which the process stands still until it is killed.
    """

    def reward(self: Rewarder, sample: Any, text: str, finish_reason: str, turn: Any = None) -> Reward:
        turned = list(turn or ())
        if turned and turned == still_at:
            time.sleep(3600)
        wrong = turned and turned == wrong_at
        with patch.object(TemporalIoU, "reward", lambda *_: 1.5) if wrong else nullcontext():
            evaluated(self, sample, text, finish_reason, turn)
        share = sum(letter in "aeiou" for letter in text) / max(len(text), 1)
        return Reward(share if turn is not None else 0.9 + share / 10, 1.0, True, text)

    return reward


def run(name: str, arguments: list[str], **turns: Any) -> int:
    """The exit code of one training."""
    with patch.object(sys, "argv", ["viubench", *arguments]), patch.object(Rewarder, "__call__", vowels(**turns)):
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


def main(plan: Path) -> None:
    for training in json.loads(plan.read_text()):
        code = run(**training)
        print(training["name"], os.environ["RANK"], code, flush=True)
        if code:
            sys.exit(code)  # the others wait for this process: torchrun ends them


if __name__ == "__main__":
    main(Path(sys.argv[1]))
