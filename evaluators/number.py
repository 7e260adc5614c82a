"""A number that should be near the true one: counts, sizes, distances.

Example:
    >>> from evaluators.base import Question
    >>> evaluator, item = Number(), Question(target=10.0)
    >>> evaluator.score(evaluator.parse("The room is about 12 square meters.", item), item)
    {'mra': 0.7}
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from evaluators.base import Answer, Blind, Constraint, Evaluator, Gradable, NotKnown
from evaluators.reading.numbers import find_numbers
from evaluators.reading.read import read

TOLERANCES = tuple(step / 20 for step in range(10, 0, -1))
"""Relative errors that are still allowed: 0.5, 0.45 ... 0.05."""

_ROUNDING = 1e-9  # an error of just a tolerance is within it, whatever the last bit says
_MEASURED = re.compile(r"\b(?:room|size|building|row|section)\b(?!\s{0,3}[#0-9])|(?<=[0-9]\s)right\b", re.IGNORECASE)
"""What is measured or counted in; with a number behind it, it would be a name ("room 12"). "1 right" is no verdict."""
_WHOLE = re.compile(r"\s*(-?[0-9]{1,12}(?:\.[0-9]{1,12})?)\s*")


class Number(Evaluator):
    """Mean relative accuracy: the share of ten tolerances, 50 % to 5 %, that the relative error is within (arXiv
    2412.14171, section on metrics). As a reward, 1 minus the relative error.

    `item.params["drawn_from"]`, where it is given, holds the numbers that the true one was drawn from, each as likely.
    """

    name: ClassVar[str] = "number"
    metric: ClassVar[str] = "mra"
    task_metric: ClassVar[str] = "mra"

    def parse(self, text: str, item: Gradable) -> Answer | None:
        """The number that the response stands by; a range is none."""
        return read(_MEASURED.sub(lambda noun: "x" * len(noun[0]), text), find_numbers, "counts")

    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        return {"mra": relative_accuracy(answer.value, item.target)}

    def reward(self, answer: Answer | None, item: Gradable) -> float:
        return 0.0 if answer is None else max(0.0, 1.0 - _error(answer.value, item.target))

    def equal(self, target: Any, other: Any) -> bool:
        """Whether `other` is near enough to `target` to score as much."""
        return relative_accuracy(other, target) == 1

    def guess(self, item: Gradable, rng: random.Random) -> str:
        return self.canonical(rng.choice(_drawn_from(item)))

    def chance(self, item: Gradable) -> float:
        drawn_from = _drawn_from(item)
        return sum(relative_accuracy(value, item.target) for value in drawn_from) / len(drawn_from)

    def blind(self, items: Sequence[Gradable]) -> Blind:
        """The number that scores best over what the true ones were drawn from; else over the true ones themselves."""
        ranges = {tuple(item.params.get("drawn_from", ())) for item in items}
        if len(ranges) == 1 and (values := ranges.pop()):
            scores = {value: sum(relative_accuracy(value, true) for true in values) / len(values) for value in values}
            best = max(sorted(scores), key=lambda value: scores[value])
            text = self.canonical(best)
            listed = ", ".join(map(self.canonical, values))
            return Blind(
                f"always {text} (expected {scores[best]:.3f} where {listed} are as likely)", (text,) * len(items)
            )
        targets = [float(item.target) for item in items]
        if not targets:
            return Blind("no items", ())
        best = max(sorted(set(targets)), key=lambda value: sum(relative_accuracy(value, true) for true in targets))
        text = self.canonical(best)
        return Blind(f"always {text}, the best of the true numbers of these {len(items)} items", (text,) * len(items))

    def canonical(self, target: Any) -> str:
        text = format(Decimal(repr(float(target))), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text

    def target(self, text: str) -> float:
        stated = _WHOLE.fullmatch(text)
        if stated is None:
            raise ValueError(f"not a number such as 2.5: {text!r}")
        return float(stated[1])

    def constraint(self, item: Gradable) -> Constraint:
        """A number with up to six digits on either side of the point."""
        return Constraint(regex=r"-?(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,6})?")


def _drawn_from(item: Gradable) -> Sequence[float]:
    """The numbers that the true one may be."""
    if not (values := item.params.get("drawn_from")):
        raise NotKnown("a number has no random rule: the benchmark does not say what it may be")
    return [float(value) for value in values]


def relative_accuracy(value: float, true: float) -> float:
    """Share of `TOLERANCES` that the error of `value` is within, in [0, 1]; a true 0 allows no error."""
    return sum(_error(value, true) <= allowed + _ROUNDING for allowed in TOLERANCES) / len(TOLERANCES)


def _error(value: float, true: float) -> float:
    """|value - true| / |true|."""
    return abs(value - true) / abs(true) if true else float(value != true)
