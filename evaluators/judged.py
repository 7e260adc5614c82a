"""Open-ended answers: rules read nothing in them, a judge scores them, and its verdict is worth what is said here.

Example:
    >>> evaluator = Judged(form="rating", criteria={"accuracy": "it is true", "relevance": "it is to the point"})
    >>> verdict = Answer({"accuracy": 5, "relevance": 3}, "judge", (0, 0))
    >>> evaluator.score(verdict, Question("A man repairs a bicycle."))
    {'accuracy': 1.0, 'relevance': 0.6, 'rating': 0.8}

Until there are verdicts such an answer is `unjudged`: it has no score, which is not a score of 0.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from evaluators.base import Answer, Blind, Evaluator, Gradable, Question, one_of

POINTS = 5
"""The best of a rating, whose worst is 1."""

__all__ = ["Judged", "Question"]


class Judged(Evaluator):
    """Scores verdicts of a judge.

    Args:
        form: `caption`: the judge answers a multiple-choice question, {"question", "answer"} of the target, from the
            response alone; accuracy. `correct`: whether the response says what the target says; accuracy. `rating`:
            from 1 to 5 by each of the `criteria` (name -> meaning), against the target; the mean share of the best.
        published: the task of lmms-eval whose judge is the published one, "" where there is none.
    """

    name: ClassVar[str] = "judged"
    needs_judge: ClassVar[bool] = True

    def __init__(self, *, form: str, criteria: Mapping[str, str] | None = None, published: str = "") -> None:
        self.published = published
        self.form = one_of("form", form, ("caption", "correct", "rating"))
        self.criteria = dict(criteria or {})
        if (form == "rating") != bool(self.criteria):
            raise ValueError("criteria are what a rating has, and nothing else")

    @property
    def metric(self) -> str:  # type: ignore[override]  # here it depends on a parameter
        return "rating" if self.form == "rating" else "accuracy"

    @property
    def task_metric(self) -> str:  # type: ignore[override]
        return self.metric

    def parse(self, text: str, item: Gradable) -> Answer | None:
        """The whole response, which is for the judge to read; None where there is none."""
        return Answer(text.strip(), "whole", (0, len(text))) if text.strip() else None

    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        """The scores of a verdict: `answer.value` are the fields of it."""
        said: Mapping[str, Any] = answer.value
        if self.form == "rating":
            shares = {name: said[name] / POINTS for name in self.criteria}
            return shares | {"rating": sum(shares.values()) / len(shares)}
        if self.form == "correct":
            return {"accuracy": float(said["correct"])}
        return {"accuracy": float(said["answer"] == item.target["answer"])}

    def canonical(self, target: Any) -> str:
        """The true answer itself; ValueError for a target that is not as the form needs it."""
        if self.form == "caption" and not (isinstance(target, dict) and {"question", "answer"} <= set(target)):
            raise ValueError("a caption needs the question and the answer that the judge is to find")
        return str(target["answer"] if isinstance(target, dict) else target)

    def target(self, text: str) -> str:
        if not text.strip():
            raise ValueError("the reference is empty")
        return text.strip()

    def guess(self, item: Gradable, rng: random.Random) -> str:
        raise NotImplementedError("an open-ended answer has no random rule")

    def chance(self, item: Gradable) -> float:
        raise NotImplementedError("an open-ended answer has no random rule")

    def blind(self, items: Sequence[Gradable]) -> Blind:
        raise NotImplementedError("open-ended: what a constant answer scores is for a judge to say")
