"""Rewards for commands that train in processes of their own: what a random model says earns something, now and then.

Example:
    environment = os.environ | patched(tmp_path)             # python in it rewards vowels
    environment | {WRONG_AT: "(1, 2, 0)"}                    # step 1, question 2, answer 0: the evaluator goes wrong
    environment | {STILL_AT: "(2, 0, 0)"}                    # the process that rewards this answer stands still there

A turn is asked of one process alone. Looks are told a score past any mark, so that a warm start ends after two.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from evaluators.temporal_iou import TemporalIoU
from trainer.rewards import Reward, Rewarder

WRONG_AT, STILL_AT = "VIUBENCH_TEST_WRONG_AT", "VIUBENCH_TEST_STILL_AT"

graded = Rewarder.__call__


def vowels(self: Rewarder, sample: Any, text: str, finish_reason: str, turn: Any = None) -> Reward:
    """In place of `Rewarder.__call__`, which is called nevertheless: it is what refuses a wrong reward."""
    if os.environ.get(WRONG_AT) == str(turn):
        TemporalIoU.reward = lambda *_: 1.5  # type: ignore[method-assign]
    if os.environ.get(STILL_AT) == str(turn):
        time.sleep(3600)
    graded(self, sample, text, finish_reason, turn)
    share = sum(letter in "aeiou" for letter in text) / max(len(text), 1)
    return Reward(share if turn is not None else 0.9 + share / 10, 1.0, True, text)


def patched(folder: Path) -> dict[str, str]:
    """The environment in which every python starts with `vowels` in its place, through a file in `folder`."""
    (folder / "sitecustomize.py").write_text("import vowel_rewards\nvowel_rewards.install()\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parent)])}


def install() -> None:
    Rewarder.__call__ = vowels  # type: ignore[method-assign]
