"""Extraction of one time interval in seconds from prose, clocks, ranges, brackets and labelled values.

Example:
    >>> from evaluators.extraction import Passage
    >>> text = "from 00:12 to 0:19.5"
    >>> [(c.value, c.rule) for c in find_intervals(Passage(text, 0, len(text), "whole"))]
    [([12.0, 19.5], 'clock')]

Every time in the passage becomes a token; two neighbours make an interval when what stands between them says so
("-", "to", "and" after "between", an end label). Longer chains are listings and make none.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from evaluators.extraction import Candidate, Passage, counts_a_noun, is_wordless, tokens

STYLES = ("clock", "minutes", "seconds", "number")
MAX_SECONDS = 360_000.0  # times beyond 100 hours are no times of a video

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,20})?(?![0-9]|\.[0-9])"
_TIME = re.compile(
    rf"""(?<![\w.:])(?<![0-9],)
    (?:(?P<clock>(?:[0-9]{{1,3}}:)?[0-9]{{1,3}}:[0-9]{{2}}(?:[.,][0-9]{{1,6}})?)(?![0-9:])
      |(?:(?P<h>[0-9]{{1,3}})\s?(?:hours?|hrs?|h)(?![a-z])[\s,]{{0,3}}(?:and\s)?)?
       (?P<m>{_NUMBER})\s?(?:minutes?|mins?|m(?=\s?[0-9]))(?![a-z])
       (?:[\s,]{{0,3}}(?:and\s)?(?P<ms>{_NUMBER})\s?(?:seconds?|secs?|s)(?![a-z]))?
      |(?P<s>{_NUMBER})(?:\s?(?P<unit>seconds?|secs?|s)(?![a-z]))?)
    (?![\w%°])(?!\s?%)(?!,[0-9]{{3}}(?![0-9.]))""",
    re.VERBOSE | re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?:-+>?|[–—~〜→…]|=+>|\.{2,3}|(?:mark\s)?(?:up\s)?to|until|till|through|thru)(?:\s(?:the|about|around|second))?",
    re.I,
)
_LIST = re.compile(r"(?:[,;/&|]|(?:,\s*)?and|(?:,\s*)?then|[\])]\s*,?\s*[\[(])", re.I)
_BETWEEN = re.compile(r"\bbetween\b[^0-9\n]{0,30}$", re.I)
_STARTS = re.compile(r"\b(?:start|begin|began|from|onset|appear|occur|enter)\w*\b[^0-9]{0,40}$", re.I)
_ENDS = re.compile(r"\b(?:end|stop|finish|until|disappear|offset|revert|return)\w*\b[^0-9]*$", re.I)
_LEAD = re.compile(r"(?:\b(?:from|between|at|about|approximately|around)\s+|[\[(]\s*)+$", re.I)
_NOT_TIME_BEFORE = re.compile(
    r"\b(?:frame|clip|video|step|scene|shot|option|page|figure|part|question|channel|score|confidence|chapter|number)s?"
    r"\s*(?:no\.?|numbers?|index|indices|is|are|of|[:=])?\s*(?:from|between)?\s*[(\[]?$",
    re.I,
)
_MAY_PRECEDE = re.compile(
    r"(?:^|[:=(\[\n]"
    r"|\b(?:at|during|in|around|about|approximately|from|between|is|was|segment|interval|span|range|window))\s*$",
    re.I,
)
_REACH = 90  # characters between the two ends, or before the first, in which a label still belongs to them


class _Time(NamedTuple):
    seconds: float | None
    style: str  # one of STYLES
    start: int
    end: int


def find_intervals(passage: Passage) -> list[Candidate]:
    """Every interval written in the passage, in order, as [start, end] seconds.

    A reversed interval, a negative time and one above `MAX_SECONDS` give a candidate without a value: they are stated,
    so nothing else may be taken instead, but they are not corrected.
    """
    text = passage.text
    times = [_parse_time(match) for match in tokens(_TIME, passage)]
    links = ["", *(_link(passage, a, b) for a, b in pairwise(times)), ""]
    intervals = []
    for (a, b), before, kind, after in zip(pairwise(times), links, links[1:], links[2:], strict=False):
        if kind == "list":  # a bare pair of times; in prose, or in a longer list, they are just two moments
            alone = (before, after) == ("", "") and _fills(passage, a, b)
        else:
            alone = "range" not in (before, after)
        if kind and alone and _is_time(text, a, b, passage):
            lead = _LEAD.search(text, max(passage.start, a.start - 40), a.start)
            rule = next(style for style in STYLES if style in (a.style, b.style))
            intervals.append(Candidate(_value(text, a, b), rule, lead.start() if lead else a.start, b.end))
    return intervals


def _parse_time(match: re.Match[str]) -> _Time:
    seconds: float | None
    if clock := match["clock"]:
        *larger, last = clock.replace(",", ".").split(":")
        parts = [*(float(part) for part in larger), float(last)]
        valid = all(part < 60 for part in parts[1:])
        seconds, style = sum(part * 60.0**k for k, part in enumerate(reversed(parts))) if valid else None, "clock"
    elif match["m"]:
        seconds = float(match["h"] or 0) * 3600 + float(match["m"]) * 60 + float(match["ms"] or 0)
        style = "minutes"
    else:
        seconds, style = float(match["s"]), "seconds" if match["unit"] else "number"
    return _Time(seconds, style, match.start(), match.end())


def _link(passage: Passage, a: _Time, b: _Time) -> str:
    """What the text between two neighbouring times makes of them: a "range", a "list" or nothing, ""."""
    text = passage.text
    if b.start - a.end > _REACH:
        return ""
    gap = text[a.end : b.start].strip()
    if _RANGE.fullmatch(gap):
        return "range"
    before = text[max(passage.start, a.start - _REACH) : a.start]
    if gap.lower() == "and" and _BETWEEN.search(before):
        return "range"
    if gap == "," and before.rstrip().endswith(("[", "(")) and text[b.end : b.end + 3].lstrip().startswith(("]", ")")):
        return "range"
    if _ENDS.search(gap) and _STARTS.search(before):
        return "range"
    united = a.style != "number" and b.style != "number"
    return "list" if (gap == "," or united) and _LIST.fullmatch(gap) else ""


def _fills(passage: Passage, a: _Time, b: _Time) -> bool:
    """Whether the passage is nothing but these two; "3,8" without a space may be a decimal comma and does not count."""
    text = passage.text
    apart = text[a.end : b.start] != "," or "." in text[a.start : a.end] + text[b.start : b.end]
    return apart and is_wordless(text, passage.start, a.start) and is_wordless(text, b.end, passage.end)


def _is_time(text: str, a: _Time, b: _Time, passage: Passage) -> bool:
    """Whether the pair speaks of time: it has a unit or a clock, or nothing beside it says what else it counts."""
    if a.style != "number" or b.style != "number":
        return True
    if _NOT_TIME_BEFORE.search(text[max(passage.start, a.start - 40) : a.start]):
        return False
    if passage.kind == "whole" and "." not in text[a.start : b.end] and "-" in text[a.end : b.start]:
        stated = _MAY_PRECEDE.search(text[max(passage.start, a.start - 40) : a.start])
        if stated is None:  # "room 12-14"
            return False
    return not counts_a_noun(text, b.end, passage.end)


def _value(text: str, a: _Time, b: _Time) -> list[float] | None:
    """[start, end] in seconds, or None for ends that no interval of a video has."""
    negative = text[a.start - 1 : a.start] == "-" and not text[max(0, a.start - 2) : a.start - 1].isalnum()
    if a.seconds is None or b.seconds is None or negative:
        return None
    start, end = a.seconds, b.seconds
    if a.style == "number" and b.style == "minutes":  # "1.5 to 2 minutes": the unit stands once for both
        start *= 60
    return [start, end] if start <= end <= MAX_SECONDS else None
