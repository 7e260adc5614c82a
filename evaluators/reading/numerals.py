"""Numbers in words, of every language at once.

Example:
    >>> number("seven"), number("十二"), number("deux"), ordinal("third"), number("thirty-five")
    (7, 12, 2, 3, 35)
"""

from __future__ import annotations

import re
from functools import cache

from evaluators.reading.language import ALPHABETS, any_of, languages

_JOIN = r"(?:-(?:et-)?|\s(?:(?:y|e|et)\s)?)"
"""What joins the tens and the ones: "thirty-five", "treinta y cinco"."""
_CJK_DIGITS = "零一二三四五六七八九"


def number(word: str) -> int | None:
    """The value of a number in digits or words; None for no number."""
    if word.isascii() and word.isdigit():
        return int(word)
    said = word.lower()
    if (value := _words("numerals").get(said)) is not None:
        return value
    tens = _begun().match(said)
    if tens is None:
        return _cjk(word)
    ones = _words("numerals").get(said[tens.end() :], 0)
    return _tens()[tens[1]] + ones if ones < 10 else None


def ordinal(word: str) -> int | None:
    """The value of "third"; None for no such word."""
    return _words("ordinals").get(word.lower())


@cache
def words_pattern(names: str) -> str:
    """A pattern of every word for a number in the lists `names` ("numerals", "numerals ordinals")."""
    words = {word for name in names.split() for word in _words(name)}
    latin = sorted((word for word in words if word[0] < ALPHABETS), key=len, reverse=True)
    single = "|".join(map(re.escape, latin))
    ones = any_of(word for word, value in _words("numerals").items() if 0 < value < 10 and word[0] < ALPHABETS)
    compound = rf"(?:{any_of(_tens())})(?:{_JOIN}(?:{ones})(?![^\W_]))?"
    alone = r"(?<![^\W_])(?<![^\W\d_]-)"  # of a compound of more words no part is a number
    return (
        rf"(?:{alone}(?:{compound}|{single})(?![^\W_])(?!-(?:{ones}|{any_of(_tens())}))|[{_CJK_DIGITS}两兩十]{{1,3}})"
    )


@cache
def _begun() -> re.Pattern[str]:
    """The tens that a number in words begins with."""
    return re.compile(rf"({any_of(_tens())})(?:{_JOIN}(?=[^\W\d_])|\Z)")


@cache
def _tens() -> dict[str, int]:
    """Word -> value of the tens from twenty on, of all languages."""
    listed = [str(language.data.get("tens") or "").split() for language in languages()]
    return {word: 10 * tens for words in listed for tens, word in enumerate(words, start=2)}


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
