"""Extraction of an option letter as published scripts do it, and pairs of questions scored as by Vinoground.

Example:
    >>> shared_letter("A man enters. The answer is B", "ABCD")
    'A'
    >>> first_capital("Best guess: C", "ABCD")
    'B'

The evaluators of this package do not extract so: see `evaluators.extraction`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import product

from evaluators.base import Gradable
from evaluators.published.base import Rule, RuleVerdict

_THE = ("the ", "")
ANSWER_PHRASES = (
    *map("".join, product(_THE, ("", "correct ", "best "), ("answer is",))),
    *map("".join, product(_THE, ("correct ", "best "), ("option is",))),
    *map("".join, product(_THE, ("", "correct "), ("choice is",))),
    *("i choose", "i select", "i pick", "my answer is", "my choice is"),
    *("옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)
"""What lmms-eval's shared extractor takes for the announcement of an answer."""

OPENINGS = (
    *map("The {} is".format, ("best answer", "correct answer", "answer")),
    "The answer",
    *map("The {} option is".format, ("best", "correct")),
    *map("Best {}:".format, ("answer", "option")),
)
"""What several scripts cut out of a response before they search for a letter, in their order."""


def shared_letter(text: str, letters: Iterable[str]) -> str:
    """The letter that lmms-eval's shared extractor takes, "" for none.

    A letter counts by how it stands, best first: at the start, at the end, after an announcement, as (A), A., A:, A)
    or "A "; among equals the later one counts. Where none stands so, the last one anywhere does. Case matters.
    """
    letters = tuple(letters)
    text = text.strip()
    for mark in ",.!?;:'\"":
        text = text.strip(mark)
    bare = text.strip()
    text = f" {text} "
    matches: list[tuple[int, int, str]] = []  # rank, position, letter
    for letter in letters:
        for rank, form in (
            (6, f"({letter})"),
            (5, f"{letter}."),
            (4, f"{letter}:"),
            (3, f"{letter})"),
            (2, f"{letter} "),
        ):
            if form in text:
                matches.append((rank, text.rfind(form), letter))
        if bare.startswith(letter) and not bare[1:2].isalpha():
            matches.append((10, 0, letter))
        if bare.endswith(letter) and not bare[-2:-1].isalpha():
            matches.append((9, len(text) - 1, letter))
    lower = text.lower()
    for phrase in ANSWER_PHRASES:
        at = lower.find(phrase)
        after = ((text.find(letter, at + len(phrase)), letter) for letter in letters if at >= 0)
        matches += [(7, position, letter) for position, letter in after if position >= 0]
    matches = matches or [(0, text.rfind(letter), letter) for letter in letters if letter in text]
    return max(matches)[2] if matches else ""


def without_openings(text: str) -> str:
    """The text without every one of `OPENINGS`, wherever it stands."""
    text = text.strip()
    for opening in OPENINGS:
        text = text.replace(opening, "")
    return text


def first_capital(text: str, letters: str) -> str:
    """The first character that is one of `letters`, be it the initial of a word; "" for none."""
    return next((char for char in text if char in letters), "")


def gold(item: Gradable) -> str:
    """The data's own answer text, where the item's params hold it (`gold`), else its target."""
    return str(item.params.get("gold", item.target))


def first_is_letter(text: str, item: Gradable) -> float:
    """Right when the first character is the letter, in either case."""
    return float(text[:1].lower() == str(item.target).lower())


def pair_rules(where: str) -> tuple[Rule, Rule, Rule]:
    """Vinoground's text, video and group score, named `<where>/vinoground`, `..._video` and `..._group`."""
    name = f"{where}/vinoground"
    return (
        Rule(name, first_is_letter, _pairs_right("text")),
        Rule(f"{name}_video", first_is_letter, _pairs_right("video")),
        Rule(f"{name}_group", first_is_letter, _pairs_right("text", "video")),
    )


def _pairs_right(*kinds: str) -> Callable[[Sequence[RuleVerdict]], float | None]:
    """Share of the clusters in which both questions of every kind (`groups["question"]`) are right."""

    def aggregate(rows: Sequence[RuleVerdict]) -> float | None:
        pairs: dict[str, list[RuleVerdict]] = defaultdict(list)
        for row in rows:
            pairs[row.cluster].append(row)
        right = [
            all([row.value for row in pair if row.groups.get("question") == kind] == [1.0, 1.0] for kind in kinds)
            for pair in pairs.values()
        ]
        return sum(right) / len(right) if right else None

    return aggregate
