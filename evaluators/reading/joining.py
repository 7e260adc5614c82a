"""What may stand between two things said of an answer: fillers, "and" and "or", a "yes" of its own.

Example:
    >>> from evaluators.reading.language import spoken
    >>> linking(spoken("A or B")).fullmatch(" or ") is not None
    True
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from evaluators.reading.language import Language, any_of

ALL_OF = re.compile(
    r"(?:(?:(?:\A|[.:!?\n])\s*(?:the\s)?|\b(?:the|across|over)\s)[0-9]{1,4}"
    r"|\b(?:all|these)(?:\s(?:the|of the))?(?:\s[0-9]{1,4})?)\s\Z",
    re.IGNORECASE,
)
"""Before "frames": not one of them, but all."""


@cache
def filling(languages: tuple[Language, ...]) -> re.Pattern[str]:
    """What may stand between a cue and the answer it declares: pauses and the languages' fillers."""
    return re.compile(rf"(?:[\W_]|{_any_word(languages, 'fillers')})*", re.IGNORECASE)


@cache
def naming(languages: tuple[Language, ...]) -> re.Pattern[str]:
    """What may stand between a noun and the numbers that it is the name of: "the scores are: 3, 1, 2"."""
    return re.compile(rf"(?:[\W_]|{_any_word(languages, 'fillers')}|{_any_word(languages, 'copulas')})*", re.IGNORECASE)


@cache
def affirming(languages: tuple[Language, ...]) -> re.Pattern[str]:
    """A sentence of nothing but "yes", or "yes, it is"."""
    are = _any_word(languages, "copulas")
    short = rf"(?:,?\s[^\W\d_]{{2,4}}\s(?:{are}))?"
    return re.compile(rf"\s*(?:{_any_word(languages, 'yes')}){short}\s*(?:[.!。\n]|\Z)", re.IGNORECASE)


@cache
def verdicts(languages: tuple[Language, ...]) -> re.Pattern[str]:
    """A "yes" or "no" written after a label: "A: no", "| B | yes |", "A? No" alone, "A) no" to the line's end."""
    yes, no = _any_word(languages, "yes"), _any_word(languages, "no")
    label = r"\s*[)\]]?\s*(?:(?P<dash>[–—-]|->|→|(?P<asked>[?]))|(?P<item>[).])|[:|(=])\s*"
    return re.compile(
        rf"{label}(?:(?P<yes>{yes})|(?P<no>{no}))"
        r"(?(item)(?=[.]?[^\S\n]*(?:\n|\Z))|(?=\s*(?:[.;|)\n]|\Z)|(?(dash)(?!)|(?:,|\s[–—-]\s))))",
        re.IGNORECASE,
    )


@cache
def linking(languages: tuple[Language, ...]) -> re.Pattern[str]:
    """What joins two answers into one of several: commas, "and", "or" and their like."""
    words = f"{_any_word(languages, 'or')}|{_any_word(languages, 'labels')}"
    return re.compile(rf"(?:[ ,/&|)(\[\]'+→>]|->|{words})+", re.IGNORECASE)


def _any_word(languages: Sequence[Language], name: str) -> str:
    """A pattern of the words listed under `name`; those of languages written without spaces may join others."""
    spaced = {word.replace("_", " ") for one in languages if one.starts for word in one.words(name)}
    joined = {word for language in languages if not language.starts for word in language.words(name)}
    return rf"(?<![^\W\d_])(?:{any_of(spaced)})(?![^\W\d_])|(?:{any_of(joined)})"
