"""Multiple choice: one of the item's letters, extracted where it is stated, never from a letter seen somewhere.

Example:
    >>> from evaluators.base import Question
    >>> Choice().parse("A red car.", Question(target="B", options=("a blue car", "a red car"))).value
    'B'

Letters come from `item.params["letters"]` (["yes", "no"] for such a question), else one per option, else A to D.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from string import ascii_uppercase
from typing import Any, ClassVar

from evaluators.base import Answer, Blind, Constraint, Evaluator, Gradable, one_of
from evaluators.reading.choices import Choices
from evaluators.reading.read import read

MOST_TRIVIAL = 5
_LETTERED = re.compile(r"\s*[(\[]?([A-Za-z0-9])[)\].:]\s+(.*)", re.DOTALL)
_BARE = re.compile(r"\s*[(\[]?[A-Za-z][)\].]?\s*")
_LONG = re.compile(r"\b(?!(?:the|an)\b)[^\W_]{2}", re.IGNORECASE)
_NAMED = re.compile(r"[A-Za-z0-9]+")


class Choice(Evaluator):
    """Accuracy over lettered options, or over yes and no; `parse` is `robust`, or `first_char`: the first character of
    the text and nothing else (the paper's script)."""

    name: ClassVar[str] = "choice"
    metric: ClassVar[str] = "accuracy"
    task_metric: ClassVar[str] = "accuracy"

    def __init__(self, *, parse: str = "robust") -> None:
        self.rule = one_of("parse", parse, ("robust", "first_char"))

    def parse(self, text: str, item: Gradable) -> Answer | None:
        """One of the item's letters. Two letters offered at once ("A or B") are unparsed."""
        letters = _letters(item)
        if self.rule == "robust":
            # A bare letter names no option by its text, unless that is as short: then it is read alike for all items.
            options = () if _BARE.fullmatch(text) and all(map(_LONG.search, item.options)) else tuple(item.options)
            return read(text, _choices(letters, options).find, "choice")
        return Answer(text[0], "first_char", (0, 1)) if text[:1] in letters else None

    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        return {"accuracy": float(str(answer.value).casefold() == str(item.target).casefold())}

    def guess(self, item: Gradable, rng: random.Random) -> str:
        """One of the letters, each as likely."""
        return rng.choice(_letters(item))

    def chance(self, item: Gradable) -> float:
        return 1 / len(_letters(item))

    def blind(self, items: Sequence[Gradable]) -> Blind:
        """The most frequent true letter of the items; where an item lacks it, the most frequent of its own."""
        counts = Counter(str(item.target) for item in items)
        texts = [max(letters, key=lambda letter: counts[letter]) for letters in map(_letters, items)]
        if not texts:
            return Blind("no items", ())
        letter = max(sorted(counts), key=lambda key: counts[key])
        share = f"{counts[letter] / len(items):.1%} of {len(items)} items"
        return Blind(f"always {letter}, the most frequent true answer ({share})", tuple(texts))

    def trivial(self, items: Sequence[Gradable]) -> dict[str, tuple[str, ...]]:
        """Always the same letter: each of the (at most five) that most items offer; an item without it, its first."""
        offered = [_letters(item) for item in items]
        common = Counter(letter for letters in offered for letter in letters).most_common(MOST_TRIVIAL)
        return {
            f"always {letter}": tuple(letter if letter in letters else letters[0] for letters in offered)
            for letter, _ in common
        }

    def canonical(self, target: Any) -> str:
        return str(target)

    def target(self, text: str) -> str:
        if not _NAMED.fullmatch(text.strip()):
            raise ValueError(f"not an option letter such as B: {text!r}")
        return text.strip()

    def constraint(self, item: Gradable) -> Constraint:
        """One of the letters."""
        return Constraint(choices=_letters(item))


def _letters(item: Gradable) -> tuple[str, ...]:
    """The letters an item may be answered with; ValueError unless they are distinct and at least two."""
    letters = item.params.get("letters") or ascii_uppercase[: len(item.options) or 4]
    return _named(tuple(letters), len(item.options))


@lru_cache(maxsize=256)
def _named(letters: tuple[object, ...], options: int) -> tuple[str, ...]:
    if len(letters) < 2 or len(set(letters)) != len(letters) or options > len(letters):
        raise ValueError(f"letters {list(letters)!r} do not name {options} options")
    return tuple(str(letter) for letter in letters)


@lru_cache(maxsize=256)
def _choices(letters: tuple[str, ...], options: tuple[str, ...]) -> Choices:
    """The ways to name each option: its letter and its text, without the letter where the text brings it."""
    named = []
    for letter, option in zip(letters, options, strict=False):
        lettered = _LETTERED.fullmatch(option)
        own = lettered is not None and lettered[1].casefold() == letter.casefold()
        named.append((letter, lettered[2] if own and lettered else option))
    return Choices(letters, named)
