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
from evaluators.extraction import Candidate, Passage, chains, counts_a_noun, declaration, extract, is_wordless, tokens

_PHRASES = declaration(r"(?:order|ordering|sequence|permutation|arrangement)")
_CLIP = r"(?:clip|video|segment|part)s?\s{0,3}"
_TOKEN = re.compile(rf"(?<![\w.+])(?P<clip>{_CLIP})?(?P<number>[0-9]{{1,4}})(?![\w%]|\.[0-9])", re.IGNORECASE)
_THEN = r"(?:then|next|after|afterwards|followed|finally|lastly)"
_SEPARATOR = rf"[\s,;>→|/&.()\[\]–—~-]|=>|\b{_THEN}\b|\b(?:and|that|by|comes|is)\b"
_PLACE = (
    r"\b[0-9]{1,4}[:.)]|\b(?:position|place|slot|step)\s[0-9]{1,4}\b|:|\bthe\b"
    r"|\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|[0-9]{1,2}(?:st|nd|rd|th))\b"
)
_GAP = re.compile(rf"(?:{_SEPARATOR})+", re.IGNORECASE)
_CLIP_GAP = re.compile(rf"(?:{_SEPARATOR}|{_PLACE})+", re.IGNORECASE)
_ORDERED = re.compile(rf">|→|\b{_THEN}\b", re.IGNORECASE)
_LISTED = re.compile(rf"^\s{{0,8}}(?P<place>[0-9]{{1,4}})[.):]\s{{0,4}}{_CLIP}(?P<number>[0-9]{{1,4}})\b", re.I | re.M)
_ORDINAL = re.compile(r"\b[0-9]{1,4}[.):]\s{1,4}\Z")
_DIGITS = re.compile(r"(?<![\w.,-])[0-9]{1,9}(?![\w%]|[.,-][0-9])")
MOST_CHOICES = 120
MOST_WRITTEN = 8
_REACH = 80  # characters between two clips of one order


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
            return extract(text, partial(_find_orders, n=n), _PHRASES)
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
        return Blind(statement, tuple(self.canonical(list(range(1, _length(item) + 1))) for item in items))

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


def _length(item: Gradable) -> int:
    n = item.params.get("n")
    return int(n) if n is not None else len(item.target)


def _find_orders(passage: Passage, n: int) -> list[Candidate]:
    """Every run of exactly n clip numbers: clips named as such, else a numbered list, else bare numbers."""
    numbers = tokens(_TOKEN, passage)
    clips = [match for match in numbers if match["clip"]]
    if ordered := _runs(passage, clips, _CLIP_GAP, n, "clips") or _listed(passage, n):
        return ordered
    bare = [*_runs(passage, numbers, _GAP, n, "numbers"), *_joined(passage, n)]
    return sorted(bare, key=lambda candidate: candidate.start)


def _runs(
    passage: Passage, numbers: Sequence[re.Match[str]], gap: re.Pattern[str], n: int, rule: str
) -> list[Candidate]:
    """Chains of numbers with only separators between them that are exactly n long."""
    candidates = []
    for chain in chains(numbers, gap, _REACH) if n > 1 else []:
        order = [int(number["number"]) for number in chain]
        ordinal = _ORDINAL.search(passage.text, max(passage.start, chain[0].start() - 12), chain[0].start())
        start, end = ordinal.start() if ordinal else chain[0].start(), chain[-1].end()
        if len(order) != n or not all(1 <= clip <= n for clip in order):
            continue
        # "Clips 1, 2 and 3 show a kitchen" names the clips; it does not order them.
        text = passage.text
        prose = not (is_wordless(text, passage.start, start) and is_wordless(text, end, passage.end))
        if passage.kind == "whole" and prose and order == sorted(order) and not _ORDERED.search(text, start, end):
            continue
        candidates.append(_candidate(order, rule, start, end))
    return candidates


def _listed(passage: Passage, n: int) -> list[Candidate]:
    """A numbered list of n clips, each with its description; only where an order was announced."""
    lines = tokens(_LISTED, passage) if passage.kind in ("tag", "phrase") else []
    if [int(line["place"]) for line in lines] != list(range(1, n + 1)):
        return []
    return [_candidate([int(line["number"]) for line in lines], "list", lines[0].start("place"), lines[-1].end())]


def _joined(passage: Passage, n: int) -> list[Candidate]:
    """n digits in one: in running text only from n = 4 on, since "12" and "321" are more often quantities."""
    if n > 9:
        return []
    candidates = []
    for match in tokens(_DIGITS, passage):
        if len(match[0]) != n or counts_a_noun(passage.text, match.end(), passage.end):
            continue
        alone = passage.kind != "whole" and is_wordless(passage.text, passage.start, match.start())
        order = [int(digit) for digit in match[0]]
        if alone or (n >= 4 and sorted(order) == list(range(1, n + 1))):
            candidates.append(_candidate(order, "digits", *match.span()))
    return candidates


def _candidate(order: list[int], rule: str, start: int, end: int) -> Candidate:
    return Candidate(order if sorted(order) == list(range(1, len(order) + 1)) else None, rule, start, end)
