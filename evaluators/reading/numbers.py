"""Every number in a text: "3", "2.5 m", "about 1,200", "seven chairs".

Example:
    >>> from evaluators.reading.language import spoken
    >>> [(m.value, m.how) for m in find_numbers("Seven chairs, 2.5 m (8 feet) apart", spoken(""), [])]
    [(7.0, 'word'), (2.5, 'digits')]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from evaluators.reading.cues import Cue
from evaluators.reading.discourse import Mention, Standing
from evaluators.reading.language import HAN, HANGUL, KANA, Language
from evaluators.reading.numerals import number, words_pattern

MAX_NUMBERS = 500
"""A text with more numbers than this is a listing, not an answer."""

_UNIT = r"(?:mm|cm|km|m|ft|in|sqm|sq|kg|g|s|°)(?:[²³23]|\^[23])?(?![^\W_])"
_WHOLE = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,12})(?:\.[0-9]{1,20})?"
_JOINED = f"{HAN}{KANA}{HANGUL}"  # written onto a number without a space
_DIGITS = rf"(?<![^\W{_JOINED}])(?<![.,/^])(?<![0-9]:)-?{_WHOLE}(?!:[0-9])(?={_UNIT}|[{_JOINED}]|(?![\w^/]|[.,][0-9]))"
_RANGE = re.compile(r"\s{0,3}(?:[-–—~]|to\b|or\b)\s{0,3}")
_AGAIN = re.compile(r"\s?[^\W\d_]{0,12}(?:\^?[²³23])?\s?\([^\W\d_.≈~ ]{0,14}[.≈~ ]{0,2}")
"""What stands before the same number in another unit: "1.8 m (about 6 feet)"."""
_BOUND = re.compile(
    r"(?:[≥≤<>]|\b(?:at\s(?:least|most)|(?:more|fewer|less|greater)\sthan|up\sto|minus|mindestens|höchstens|mehr\sals"
    r"|weniger\sals|al\smenos|más\sde|menos\sde|au\s(?:moins|plus)|plus\sde|moins\sde)\b|至少|最多|超过)[=\s]*\Z",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"\s(?:and\s(?:a|one|two|three)\s(?:half|thirds?|quarters?)\b|[0-9]{1,2}/[0-9])|\s?[x×·*]\s?10\s?(?:\^|[⁰¹²³⁴-⁹])"
    r"|\s?\+(?!\s?[0-9])|\sor\s(?:more|less|fewer)\b",
    re.IGNORECASE,
)
"""What makes the number before it another one, or a bound: "2 1/2", "1.5 x 10^2", "3+"."""
_PLACE = re.compile(r"\b(?:frames?|images?|clips?|steps?|timestamps?)\s(?:no\.?\s|number\s|#)?\Z", re.IGNORECASE)
"""Before the number of a place in the video, which counts nothing."""
_FIRST = re.compile(r"[^\S\n]{0,2}(?:[^\W\d_]{1,12}[²³]?)?[^\S\n]*(?:\.\s|\n)")
_SECOND_ITEM = re.compile(r"^\s*2[.):]", re.MULTILINE)
_ARTICLES = frozenset({"one", "uno", "una", "ein", "eine", "un", "une"})
"""Words for 1 that are articles and pronouns, too."""
_COUNTED = re.compile(
    r"[^\S\n](?!(?:of|on|in|at|by|to|is|that|who|which|with|near|can|could|has|would)\b)[^\W\d_]{2}", re.I
)
_POINTED = re.compile(r"\b(?:the|this|that|which|any|each|every|no|another|other|only)\s$", re.I)


def find_numbers(text: str, spoken: Sequence[Language], cues: Sequence[Cue]) -> list[Mention]:
    """Every number in order. The two ends of a range ("2-3", "2 or 3") are one mention, and no value."""
    pattern = re.compile(rf"(?P<digits>{_DIGITS})|(?P<word>{words_pattern('numerals')})", re.IGNORECASE)
    matches = list(islice(pattern.finditer(text), MAX_NUMBERS + 1))
    if len(matches) > MAX_NUMBERS:
        return []
    found: list[Mention] = []
    for match in matches:
        if found and _RANGE.fullmatch(text, found[-1].end, match.start()):
            found[-1] = Mention(None, found[-1].start, match.end(), Standing.STATED, "range")
        elif found and _AGAIN.fullmatch(text, found[-1].end, match.start()):
            continue
        elif mention := _mention(text, match):
            found.append(mention)
    if found and _leads(text, found[0]):
        found[0] = replace(found[0], standing=max(found[0].standing, Standing.LEADING))
    return found


def _leads(text: str, first: Mention) -> bool:
    """Whether a response begins with its number and then explains it, and is no numbered list."""
    begun = re.search(r"[^\W_]", text[: first.start]) is None and _FIRST.match(text, first.end) is not None
    return begun and _SECOND_ITEM.search(text) is None


def _mention(text: str, match: re.Match[str]) -> Mention | None:
    before = text[max(0, match.start() - 24) : match.start()]
    if _PLACE.search(before):
        return None
    if _BOUND.search(before) or _GOES_ON.match(text, match.end()):
        return Mention(None, *match.span(), Standing.STATED, "bound")
    if match["digits"]:
        value = float(match[0].replace(",", ""))
        result = text[: match.start()].rstrip().endswith("=")
        return Mention(value, *match.span(), Standing.DECLARED if result else Standing.STATED, "digits")
    counted = number(match[0])
    if counted is None:
        return None
    if match[0].lower() in _ARTICLES and not _is_one(text, match):
        return None
    return Mention(float(counted), *match.span(), Standing.STATED, "word")


def _is_one(text: str, match: re.Match[str]) -> bool:
    """Whether a word for 1 says how many: it is all there is, or English "one" before what it counts."""
    if not text[: match.start()].strip(" *") and not text[match.end() :].strip(" .*"):
        return True
    pointed = _POINTED.search(text[max(0, match.start() - 9) : match.start()])
    return match[0].lower() == "one" and not pointed and _COUNTED.match(text, match.end()) is not None
