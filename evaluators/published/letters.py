"""Extraction of an option letter as published scripts do it, and what else several of them share.

Example:
    >>> shared_letter("A man enters. The answer is B", "ABCD")
    'A'
    >>> first_capital("Best guess: C", "ABCD")
    'B'

The evaluators of this package do not extract so: see `evaluators.reading`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

from evaluators.base import Gradable, grouped
from evaluators.published.base import Rule, RuleVerdict, answered_mean, mean

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
        forms = (f"{letter} ", f"{letter})", f"{letter}:", f"{letter}.", f"({letter})")
        matches += [(rank, text.rfind(form), letter) for rank, form in enumerate(forms, 2) if form in text]
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


def letter_rule(
    name: str,
    extract: Callable[[str], str],
    unread: float | None = 0.0,
    aggregate: Callable[[Sequence[RuleVerdict]], float | None] = answered_mean,
) -> Rule:
    """Right when the letter extracted is the target; `unread` is the verdict on a text in which it is ""."""

    def verdict(text: str, item: Gradable) -> float | None:
        letter = extract(text)
        return float(letter == item.target) if letter else unread

    return Rule(name, verdict, aggregate)


def pair_rules(where: str) -> tuple[Rule, Rule, Rule]:
    """Vinoground's text, video and group score: an answer is right when its first character is the letter, in either
    case."""

    def verdict(text: str, item: Gradable) -> float:
        return float(text[:1].lower() == str(item.target).lower())

    return (
        Rule(f"{where}/vinoground", verdict, _pairs_right("text")),
        Rule(f"{where}/vinoground_video", verdict, _pairs_right("video")),
        Rule(f"{where}/vinoground_group", verdict, _pairs_right("text", "video")),
    )


def _pairs_right(*kinds: str) -> Callable[[Sequence[RuleVerdict]], float | None]:
    """Share of the clusters in which both questions of every kind (`groups["question"]`) are right."""

    def aggregate(rows: Sequence[RuleVerdict]) -> float | None:
        pairs = grouped((row.cluster, row) for row in rows).values()
        return mean(
            [
                all([row.value for row in pair if row.groups.get("question") == kind] == [1.0, 1.0] for kind in kinds)
                for pair in pairs
            ]
        )

    return aggregate
