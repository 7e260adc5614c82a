"""Options named by their place: "the second option", "option 3", "第二个选项".

Example:
    >>> from evaluators.reading.language import spoken
    >>> text = "It must be the second option."
    >>> [(place, text[start:end]) for place, start, end in find_places(text, spoken(text))]
    [(2, 'second option')]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from evaluators.reading.language import Language, any_of, words_of
from evaluators.reading.numerals import number, words_pattern

_WORD = re.compile(r"[^\W_]+")


def find_places(text: str, languages: Sequence[Language]) -> Iterator[tuple[int, int, int]]:
    """(place, start, end) of each option that is named by its place, from 1 on; -1 for the last."""
    words, pattern = _pattern(tuple(languages))
    for match in pattern.finditer(text):
        said = (match["named"] or match["numbered"] or match["counted"] or match["chosen"]).lower()
        place = words.get(said) or number(said)
        if place:
            yield place, *match.span()


def are_numbers(options: Iterable[str]) -> bool:
    """Whether an option holds a number, so that "option 3" may mean its text."""
    return any(number(word[0]) is not None for option in options for word in _WORD.finditer(option))


@cache
def _pattern(languages: tuple[Language, ...]) -> tuple[dict[str, int], re.Pattern[str]]:
    words = {form: place for one in languages for form, place in one.ranks().items()}
    words |= dict.fromkeys(words_of(languages, "lasts"), -1)
    named, labels = any_of(words), any_of(words_of(languages, "labels"))
    return words, re.compile(
        rf"(?<![A-Za-z\u00c0-\u024f0-9])(?<!\b[Aa]\s)(?P<named>{named})(?:个|個|の|\s)?\s?(?:{labels}|项|項)(?![A-Za-z\u00c0-\u024f])"
        rf"|(?<![A-Za-z\u00c0-\u024f])(?:{labels})\s{{0,2}}(?:(?:no|number|nr|nummer|número|numéro)\b\.?\s?|#|n[°º]\s?)?"
        rf"(?P<numbered>[1-9]|{words_pattern('numerals')})"
        r"(?![A-Za-z\u00c0-\u024f0-9%]|\s?[.:,]\s?[0-9]|\s?[-–]\s?[0-9])"
        r"|(?<![A-Za-z0-9.,])(?P<counted>[1-9])(?:번|番)(?=\s?(?:[.,!。]|\Z|\n|입니다|이다|이에요|예요|이\s|을\s|이|です|だ|が))"
        rf"|(?P<chosen>第[一二三四五六1-6])(?:个|個)(?=\s*(?:[.,!。]|\Z|\n))",
        re.IGNORECASE,
    )
