"""The reward of an answer, as GRPO is given it: the evaluator's, smooth or strict.

Example:
    reward("2134", "stop", sample, evaluators.get("permutation"))  # the true order is 1234
    # Reward(value=0.75, strict=0.0, parsed=True, answer=[2, 1, 3, 4])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evaluators import Evaluator
from viubench.errors import ViubenchError
from viubench.schema import Sample
from viubench.scoring.grade import grade

FULL = 1 - 1e-9  # rewards from here on count as 1: an IoU of equal intervals may be a rounding error below it


@dataclass(frozen=True)
class Reward:
    """The reward of one answer: `value` to train on, in [0, 1]; `strict`, 1.0 for the true answer, else 0.0; `parsed`,
    whether an answer (JSON data) was extracted, False where the token limit cut it."""

    value: float
    strict: float
    parsed: bool
    answer: Any


def reward(text: str, finish_reason: str | None, sample: Sample, evaluator: Evaluator) -> Reward:
    """The smooth reward of one answer; 0 where none can be extracted and where the token limit cut it (`length`).
    Raises ViubenchError for a reward that is no number in [0, 1]."""
    answer = grade(text, finish_reason, sample, evaluator).answer
    smooth = evaluator.reward(answer, sample)
    if not 0 <= smooth <= 1:  # NaN fails it too
        said = f"the reward of task {sample.task!r} for sample {sample.id!r} is {smooth}, not a number in [0, 1]"
        where = f"evaluator {evaluator.name}, answer {text[:80]!r}"
        raise ViubenchError(said, where=where, hint="check the sample's target, or the evaluator's reward()")
    return Reward(smooth, float(smooth >= FULL), answer is not None, None if answer is None else answer.value)
