"""Numbers in words, of every language at once.

Example:
    >>> number("seven"), number("十二"), number("deux"), ordinal("third")
    (7, 12, 2, 3)
"""

from __future__ import annotations

import re
from functools import cache

from evaluators.reading.language import languages

_CJK_DIGITS = "零一二三四五六七八九"


def number(word: str) -> int | None:
    """The value of a number in digits or words; None for no number."""
    if word.isascii() and word.isdigit():
        return int(word)
    return _words("numerals").get(word.lower(), _cjk(word))


def ordinal(word: str) -> int | None:
    """The value of "third"; None for no such word."""
    return _words("ordinals").get(word.lower())


@cache
def words_pattern(names: str) -> str:
    """A pattern of every word for a number in the lists `names` ("numerals", "numerals ordinals")."""
    words = {word for name in names.split() for word in _words(name)}
    latin = sorted((word for word in words if word[0] < "\u0370"), key=len, reverse=True)
    return rf"(?:(?<![^\W_])(?:{'|'.join(map(re.escape, latin))})(?![^\W_])|[{_CJK_DIGITS}两兩十]{{1,3}})"


@cache
def _words(name: str) -> dict[str, int]:
    """Word -> value, of the lists `name` of all languages: each counts from zero on."""
    return {
        word: value
        for language in languages()
        for value, word in enumerate(str(language.data.get(name) or "").split())
        if len(word) > 1 or not language.starts
    }


def _cjk(word: str) -> int | None:
    """Chinese numerals up to 99: 十二 is 12."""
    if not word or any(digit not in _CJK_DIGITS + "两兩十" for digit in word):
        return None
    tens, ten, ones = word.replace("两", "二").replace("兩", "二").rpartition("十")
    if len(tens) > 1 or len(ones) > 1:
        return None
    return (10 * (_CJK_DIGITS.index(tens) if tens else 1) if ten else 0) + (_CJK_DIGITS.index(ones) if ones else 0)
