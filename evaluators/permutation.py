"""Ordering n clips: the whole order right or not, with the share of right places and a smooth displacement reward.

Example:
    >>> from evaluators.base import Question
    >>> Permutation().parse("The correct order is clip 3, clip 1, clip 2.", Question(target=[3, 1, 2])).value
    [3, 1, 2]

The target is a list of the numbers 1..n; n is its length (or `params["n"]`).
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from functools import cache, partial
from itertools import combinations, permutations
from typing import Any, ClassVar

from evaluators.base import Answer, Blind, Constraint, Evaluator, Gradable, one_of
from evaluators.reading.orders import find_orders
from evaluators.reading.read import Find, read

MOST_CHOICES = 120
MOST_WRITTEN = 8


class Permutation(Evaluator):
    """Accuracy of the whole order; as a reward, how near each clip is to its place.

    Args:
        parse: `robust`, or `whole_string`: the text must be the canonical answer and nothing else.
        separator: what stands between the numbers of an answer as the task asks for it; empty: nothing up to n = 9, a
            comma from 10 on.
    """

    name: ClassVar[str] = "permutation"
    metric: ClassVar[str] = "exact"
    task_metric: ClassVar[str] = "accuracy"

    def __init__(self, *, parse: str = "robust", separator: str = "") -> None:
        self.rule = one_of("parse", parse, ("robust", "whole_string"))
        self.separator = separator

    def parse(self, text: str, item: Gradable) -> Answer | None:
        """A permutation of 1..n; a list with a clip missing or named twice is unparsed."""
        n = _length(item)
        if self.rule == "robust":
            return read(text, _finder(n), "order")
        try:
            order = self.target(text)
        except ValueError:
            return None
        return Answer(order, "whole_string", (0, len(text))) if len(order) == n else None

    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        predicted, true = answer.value, _order(item.target)
        if len(predicted) != len(true):
            return {"exact": 0.0, "step": 0.0}
        return {"exact": float(predicted == true), "step": sum(map(int.__eq__, predicted, true)) / len(true)}

    def reward(self, answer: Answer | None, item: Gradable) -> float:
        """1 - sum over clips of |predicted place - true place| / floor(n^2 / 2), the sum of the reversed order (paper,
        section on smooth rewards)."""
        true = _order(item.target)
        if answer is None or sorted(answer.value) != sorted(true):
            return 0.0
        place = {clip: at for at, clip in enumerate(true)}
        moved = sum(abs(at - place[clip]) for at, clip in enumerate(answer.value))
        return 1.0 - moved / max(1, len(true) ** 2 // 2)

    def guess(self, item: Gradable, rng: random.Random) -> str:
        """One of the n! orders, each as likely."""
        n = _length(item)
        return self.canonical(rng.sample(range(1, n + 1), n))

    def chance(self, item: Gradable) -> float:
        return 1 / math.factorial(_length(item))

    def blind(self, items: Sequence[Gradable]) -> Blind:
        """The order as shown; where orders are drawn uniformly, no constant does better than 1/n!."""
        lengths = sorted({_length(item) for item in items})
        odds = ", ".join(f"1/{n}! = {1 / math.factorial(n):.2g}" for n in lengths)
        statement = f"always the order shown (any constant order is right with probability {odds})"
        expected = sum(map(self.chance, items)) / len(items)
        return Blind(statement, tuple(self.canonical(list(range(1, _length(item) + 1))) for item in items), expected)

    def canonical(self, target: Any) -> str:
        """The numbers in order, with the task's separator between them."""
        order = _order(target)
        return (self.separator or ("" if len(order) <= 9 else ",")).join(map(str, order))

    def target(self, text: str) -> list[int]:
        parts = text.split(",") if "," in text else list(text.strip())
        if not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
            raise ValueError(f"not an order such as 341562: {text!r}")
        return _order([int(part) for part in parts])

    def constraint(self, item: Gradable) -> Constraint | None:
        """Every order, up to n = 5 each by itself; from n = 9 on they are too many to write down."""
        n = _length(item)
        clips = tuple(range(1, n + 1))
        if n > MOST_WRITTEN:
            return None
        if math.factorial(n) <= MOST_CHOICES:
            return Constraint(choices=tuple(self.canonical(order) for order in permutations(clips)))
        return Constraint(regex=_any_order(clips, re.escape(self.separator)))


def _order(target: Any) -> list[int]:
    """The order as ints; ValueError where it is no permutation of 1..n."""
    order = [int(clip) for clip in target]
    if not order or sorted(order) != list(range(1, len(order) + 1)):
        raise ValueError(f"not a permutation of 1 to {len(order)}: {target!r}")
    return order


@cache
def _any_order(clips: tuple[int, ...], separator: str) -> str:
    """The regular expression of all orders of `clips`: by which half comes first, so that it stays short."""
    if len(clips) == 1:
        return str(clips[0])
    ways = []
    for first in combinations(clips, len(clips) // 2):
        last = tuple(clip for clip in clips if clip not in first)
        ways.append(f"{_any_order(first, separator)}{separator}{_any_order(last, separator)}")
    return f"(?:{'|'.join(ways)})"


@cache
def _finder(n: int) -> Find:
    """Finds orders of `n` clips; the same one for the same n, so that terse answers are remembered."""
    return partial(find_orders, n=n)


def _length(item: Gradable) -> int:
    n = item.params.get("n")
    return int(n) if n is not None else len(item.target)
