"""Options that are numbers, "2", "three", "50%": what a text counts says which one it is.

Example:
    >>> from evaluators.reading.language import spoken
    >>> text = "In frame 2 there are three dogs."
    >>> values = option_values((("A", "two"), ("B", "three")))
    >>> found = counted(text, values, spoken(text), []) if values else []
    >>> [(mention.value, text[mention.start : mention.end]) for mention in found]
    [('B', 'three')]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from evaluators.reading.cues import Cue
from evaluators.reading.discourse import Mention, Standing
from evaluators.reading.language import Language, any_of, languages, words_of
from evaluators.reading.numbers import find_numbers
from evaluators.reading.numerals import number

_DIGITS = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?")
_PERCENT, _LETTERS = re.compile(r"\s?(?:%|per\s?cent\b)", re.IGNORECASE), re.compile(r"[^\W\d_]")
_SHARE = re.compile(r"\s?(?:%|°|fps\b|frames?\b|/\s?[0-9])", re.IGNORECASE)
_PLACE = re.compile(
    r"(?:\b(?:scene|shot|second|minute|number|no\.|part|player|person|chapter|row|room|jersey|page)s?\s|[#:@]|[0-9]/)\Z",
    re.IGNORECASE,
)


class Values(NamedTuple):
    """Value -> letter of options, and whether they are percentages."""

    letters: Mapping[float, str]
    shares: bool


@lru_cache(maxsize=256)
def option_values(options: tuple[tuple[str, str], ...]) -> Values | None:
    """The values of options that are each a number of its own, or each a percentage; None where one is not."""
    shares = {text.strip(" .").endswith("%") for _, text in options}
    values = {value: letter for letter, text in options if (value := _value(text)) is not None}
    return Values(values, shares.pop()) if options and len(values) == len(options) and len(shares) == 1 else None


def counted(text: str, options: Values, spoken: Sequence[Language], cues: Sequence[Cue]) -> list[Mention]:
    """The numbers of a text that may count something; one that no option is has no value, so that no other is taken
    for the answer beside it."""
    labels, units = _labels(tuple(spoken)), _units()
    bare = _LETTERS.search(text) is None
    found = []
    for mention in find_numbers(text, spoken, cues):
        start, end = mention.start, mention.end
        if options.shares:
            if not (bare or _PERCENT.match(text, end)):
                continue
        elif units.match(text, end) or _PLACE.search(text, max(0, start - 16), start):
            continue
        letter = None if mention.value is None else options.letters.get(mention.value)
        if labels.search(text, max(0, start - 16), start) and letter != _placed(options.letters, mention.value):
            letter = None  # "option 3": the third, or the one that says 3
        sure = mention.standing == Standing.DECLARED  # "2 + 2 = 4"
        found.append(Mention(letter, start, end, Standing.DECLARED if sure else Standing.TEXT, "number"))
    return found


def _value(text: str) -> float | None:
    plain = text.strip(" .").removesuffix("%").strip()
    if _DIGITS.fullmatch(plain):
        return float(plain)
    value = number(plain.lower())
    return None if value is None else float(value)


def _placed(options: Mapping[float, str], place: float | None) -> str | None:
    """The letter of the option at a place, from 1 on."""
    letters = list(options.values())
    return letters[int(place) - 1] if place and 1 <= place <= len(letters) and place == int(place) else None


@cache
def _labels(spoken: tuple[Language, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W\d_])(?:{any_of(words_of(spoken, 'labels'))})\s?[#(]?\Z", re.IGNORECASE)


@cache
def _units() -> re.Pattern[str]:
    """What makes the number before it a time or a share."""
    names = ("seconds", "minutes", "hours")
    units = any_of(word for one in languages() for name in names for word in str(one.data["times"][name]).split())
    return re.compile(rf"[\s-]?(?:{units})(?![a-zà-ÿ])|{_SHARE.pattern}", re.IGNORECASE)
