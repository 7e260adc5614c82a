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
_AFTER = rf"(?!:[0-9])(?={_UNIT}|[{_JOINED}]|(?![\w^/]|[.,][0-9]))"
_BEFORE = rf"(?<![^\W{_JOINED}])(?<![.,/^])(?<![0-9]:)-?"
_DIGITS = _BEFORE + _WHOLE + _AFTER
_DECIMAL_COMMA = _BEFORE + r"[0-9]{1,12}(?:[.,][0-9]{1,20})?" + _AFTER
_THOUSANDS = re.compile(r"-?[0-9]{1,3}[.,][0-9]{3}")
"""In a language with a decimal comma, either a thousand or a fraction."""
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
    r"|\s?\+(?!\s?[0-9])|[\s-](?:dozen|hundred|thousand|million|cien(?:tos)?|mil|cent|mille|hundert|tausend)\b|\sor\s(?:more|less|fewer)\b",
    re.IGNORECASE,
)
"""What makes the number before it another one, or a bound: "2 1/2", "1.5 x 10^2", "3+"."""
_PLACE = re.compile(r"\b(?:frames?|images?|clips?|steps?|timestamps?)\s(?:no\.?\s|number\s|#)?\Z", re.IGNORECASE)
"""Before the number of a place in the video, which counts nothing."""
_TOTAL = re.compile(
    r"\s(?:[^\W\d_]{2,20}\s){0,2}(?:in\s(?:total|all)|altogether|overall|insgesamt|en\stotal|au\stotal)\b",
    re.IGNORECASE,
)
_FRAMES = re.compile(r"\s?(?:(?:video|sampled|given)\s)?(?:frames?|fps)\b", re.IGNORECASE)
_POINTED_OUT = re.compile(r"\b(?:the|these|all|of|from|in|at)\s$", re.IGNORECASE)
_FIRST = re.compile(r"[^\S\n]{0,2}(?:[^\W\d_]{1,12}[²³]?)?[^\S\n]*(?:\.\s|\n)")
_BROKEN_DOWN = re.compile(r"[^\S\n]{0,2}(?:[^\W\d_]{2,20}[^\S\n]){0,2}[^\S\n]?(?:[^\W\d_]{2,20})?(?:\(|:\s)")
_SECOND_ITEM = re.compile(r"^\s*2[.):]", re.MULTILINE)
_ARTICLES = frozenset({"one", "uno", "una", "ein", "eine", "un", "une"})
"""Words for 1 that are articles and pronouns, too."""
_ONE_WORD = re.compile(r"一[共起样樣些直下般定致旦边邊时時切]|[第唯之统統]一")
"""Words that 一 is a part of."""
_COUNTED = re.compile(
    r"[^\S\n](?!(?:of|on|in|at|by|to|is|that|who|which|with|near|can|could|has|would)\b)[^\W\d_]{2}", re.I
)
_POINTED = re.compile(r"\b(?:the|this|that|which|any|each|every|no|another|other|the\sonly)\s$", re.I)


def find_numbers(text: str, spoken: Sequence[Language], cues: Sequence[Cue]) -> list[Mention]:
    """Every number in order. The two ends of a range ("2-3", "2 or 3") are one mention, and no value."""
    comma = any("decimal" in one.data for one in spoken)
    digits = _DECIMAL_COMMA if comma else _DIGITS
    pattern = re.compile(rf"(?P<digits>{digits})|(?P<word>{words_pattern('numerals')})", re.IGNORECASE)
    matches = list(islice(pattern.finditer(text), MAX_NUMBERS + 1))
    if len(matches) > MAX_NUMBERS:
        return []
    found: list[Mention] = []
    for match in matches:
        if found and _RANGE.fullmatch(text, found[-1].end, match.start()):
            found[-1] = Mention(None, found[-1].start, match.end(), Standing.STATED, "range")
        elif found and _AGAIN.fullmatch(text, found[-1].end, match.start()):
            continue
        elif mention := _mention(text, match, comma):
            found.append(mention)
    if found and (_leads(text, found[0]) or _is_sum(text, matches)):
        found[0] = replace(found[0], standing=max(found[0].standing, Standing.LEADING))
    return found


def _leads(text: str, first: Mention) -> bool:
    """Whether a response begins with its number and then explains it, and is no numbered list."""
    begun = re.search(r"[^\W_]", text[: first.start]) is None and _FIRST.match(text, first.end) is not None
    return begun and _SECOND_ITEM.search(text) is None


def _is_sum(text: str, matches: Sequence[re.Match[str]]) -> bool:
    """Whether a response begins with a number and then with the parts that make it: "5 (2 here and 3 there)"."""
    begun = re.search(r"[^\W_]", text[: matches[0].start()]) is None and _BROKEN_DOWN.match(text, matches[0].end())
    whole, *parts = (number(match[0].replace(",", "")) for match in matches)
    return bool(begun) and len(parts) > 1 and None not in parts and sum(part or 0 for part in parts) == whole


def _mention(text: str, match: re.Match[str], comma: bool) -> Mention | None:
    before = text[max(0, match.start() - 24) : match.start()]
    if _PLACE.search(before) or (_POINTED_OUT.search(before) and _FRAMES.match(text, match.end())):
        return None
    unsure = comma and _THOUSANDS.fullmatch(match[0]) is not None
    if unsure or _BOUND.search(before) or _GOES_ON.match(text, match.end()):
        return Mention(None, *match.span(), Standing.STATED, "bound")
    if match[0] == "一" and _ONE_WORD.search(text, max(0, match.start() - 1), match.end() + 1):
        return None
    if match["digits"]:
        value = float(match[0].replace(",", "." if comma else ""))
        result = text[: match.start()].rstrip().endswith("=")
        return Mention(value, *match.span(), _standing(text, match, result), "digits")
    counted = number(match[0])
    if counted is None:
        return None
    if match[0].lower() in _ARTICLES and not _is_one(text, match):
        return None
    return Mention(float(counted), *match.span(), _standing(text, match, False), "word")


def _standing(text: str, match: re.Match[str], result: bool) -> Standing:
    """A result and a total are declared."""
    return Standing.DECLARED if result or _TOTAL.match(text, match.end()) else Standing.STATED


def _is_one(text: str, match: re.Match[str]) -> bool:
    """Whether a word for 1 says how many: it is all there is, or English "one" before what it counts."""
    if not text[: match.start()].strip(" *") and not text[match.end() :].strip(" .*"):
        return True
    pointed = _POINTED.search(text[max(0, match.start() - 9) : match.start()])
    return match[0].lower() == "one" and not pointed and _COUNTED.match(text, match.end()) is not None
