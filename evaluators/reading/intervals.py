"""Every time interval in a text, in seconds, however it is written.

Example:
    >>> from evaluators.reading.language import spoken
    >>> text = "from 00:12 to 0:19.5, and not for 3 to 5 seconds"
    >>> [(m.value, m.standing.name) for m in find_intervals(text, spoken(text), [])]
    [([12.0, 19.5], 'STATED'), ([3.0, 5.0], 'STATED')]

Every time becomes a token; two neighbours make an interval when what stands between them says so ("-", "to", "and"
after "between", an end label). Longer chains are listings and make none.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import islice, pairwise
from typing import Any, NamedTuple

from evaluators.reading.cues import Cue
from evaluators.reading.discourse import Mention, Standing
from evaluators.reading.joining import filling
from evaluators.reading.language import Language, any_of, grammar_words, languages, words_of
from evaluators.reading.numerals import number, ordinal, words_pattern

STYLES = ("clock", "minutes", "seconds", "millis", "number")
MAX_SECONDS = 360_000.0  # times beyond 100 hours are no times of a video
MAX_TIMES = 2000
"""A text with more times than this is a listing, not an answer."""

_LIST = re.compile(r"(?:[,;/&|]|(?:,\s*)?and|(?:,\s*)?then|[\])]\s*,?\s*[\[(])", re.I)
_TIGHT = re.compile(
    r"(?<=[(\[])\s?[0-9]{1,6}(?:\.[0-9]{1,9})?,[0-9]{1,6}(?:\.[0-9]{1,9})?(?=\s?[)\]])|(?<![0-9.,])[0-9]{1,6}\.[0-9]{1,9},[0-9]{1,6}\.[0-9]{1,9}(?![0-9.,])"
)
"""A pair written without a space, which is no decimal comma: "(3.0,8.0)"."""
_ASIDE = re.compile(r"\([^()\n]{0,40}\)")
_BRACKETS = re.compile(r"\s?\([^()\n]{0,40}\)")
_NOT_TIME_BEFORE = re.compile(
    r"(?:\b(?:person|player|camera|object|speaker|event|action|occurrence|scene|frame|clip|video|step|scene|shot|option|page|figure|part|question|channel|score|confidence|chapter|number|"
    r"fotograma|bild|image|escena)s?"
    r"\s*(?:no\.?|numbers?|index|indices|is|are|of|[:=])?\s*(?:from|between)?|第?[\s0-9]*(?:帧|幀|フレーム|프레임))[^\S\n]*[(\[]?\Z",
    re.I,
)
_NEXT_ROW = re.compile(r"[^\n]{0,200}\n[^\n]{0,200}[0-9]")
_POINTS = frozenset({"mark", "marks", "point", "points", "timestamp", "timestamps", "interval"})
_NEXT = re.compile(r"[^\S\n]*([^\W\d_]+|%)")
_LAST = re.compile(r"([^\W\d_]+)[^\S\n]*\Z")
_RANGES = re.compile(r"\s*(?:[-–—~]|to\b)")
_OUT_OF = re.compile(r"\s{0,3}(?:out\sof|of|/)\s(?:the\s)?[0-9.]{1,12}\s{0,3}([^\W\d_]+)", re.I)
_OF_FRAMES = re.compile(r"\s?\((?:the\s)?(?:frames?|images?|fotogramas?|bilder|clips?|shots?)\b[^()0-9\n]*\)", re.I)
_CLOCK_TIME = re.compile(r"\s?(?:o'clock|[ap]\.?m\b)", re.I)
_STOPS = re.compile(r"[.!?\n](?=\s|\Z)")
_WORD = re.compile(r"[^\W_]")
_REACH = 90  # characters between the two ends, or before the first, in which a label still belongs to them


class _Time(NamedTuple):
    seconds: float | None
    style: str  # one of STYLES
    start: int
    end: int
    word: bool = False  # written as a word: a time only beside a unit


def find_intervals(text: str, languages: Sequence[Language], cues: Sequence[Cue]) -> list[Mention]:
    """Every interval in order, as [start, end] seconds.

    A reversed interval, a negative time and one above `MAX_SECONDS` give a mention without a value: they are stated, so
    nothing else may be taken instead, but they are not corrected.
    """
    words = _Words.of(tuple(languages))
    if not any("decimal" in one.data for one in languages):
        text = _TIGHT.sub(lambda pair: pair[0].replace(",", ";"), text)
    matches = list(islice(words.time.finditer(text), MAX_TIMES + 1))
    if len(matches) > MAX_TIMES:
        return []
    parsed = [time for match in matches if (time := _parse_time(match, text)) is not None]
    times = _without_asides(text, parsed, cues)
    pairs = _Pairs(text, words, [cue for cue in cues if cue.kind != "ignore"], tuple(languages))
    links = ["", *(pairs.link(a, b) for a, b in pairwise(times)), ""]
    found: list[Mention] = []
    following = [*times[2:], None]
    for (a, b), c, before, kind, after in zip(pairwise(times), following, links, links[1:], links[2:], strict=False):
        # a bare pair of times; in prose, or in a longer list, they are just two moments
        pair = kind == "list" and (before, after) == ("", "") and pairs.fills(a, b)
        alone = pair or (kind in ("range", "turned") and "range" not in (before, after))
        if kind and alone and pairs.is_time(a, b) and (not found or a.start >= found[-1].end):
            mention = pairs.mention(a, b)
            if kind == "turned":
                mention = replace(mention, value=_value(text, b, a))
            found.append(replace(mention, value=None) if c and pairs.is_onset(b, c) else mention)
    return found


class _Words(NamedTuple):
    """The words for times in some languages, as patterns."""

    time: re.Pattern[str]
    to: re.Pattern[str]
    pair: re.Pattern[str]
    between: re.Pattern[str]
    shared: re.Pattern[str]
    starts: re.Pattern[str]
    ends: re.Pattern[str]
    header: re.Pattern[str]
    opening: re.Pattern[str]
    closing: re.Pattern[str]
    begun: re.Pattern[str]
    over: re.Pattern[str]
    clips: re.Pattern[str]
    lead: re.Pattern[str]
    long: re.Pattern[str]
    anchor: re.Pattern[str]
    units: frozenset[str]
    labels: frozenset[str]

    @staticmethod
    @cache
    def of(languages: tuple[Language, ...]) -> _Words:
        def words(name: str, spoken: Sequence[Language] = languages) -> str:
            listed = {word for one in spoken for word in str(one.data["times"].get(name) or "").split()}
            return any_of(word.replace("_", " ") for word in listed)

        spaced = [one for one in languages if one.starts]
        unspaced = [one for one in languages if not one.starts]  # where the verb follows its time

        beside = rf"(?:[\s,~约]|(?:{words('beside')})(?![^\W\d_]{{2}})|t\s?=|第)*"
        either = any_of(words_of(languages, "or"))
        it = rf"[\s,:(–—-]{{0,3}}(?:(?:{words('it')})(?![^\W\d_])[\s,]{{0,2}}){{0,4}}"
        mark = r"-+>?|[–—~〜～→…]|=+>|\.{2,3}"
        brackets = r"[\s<>\[\]()'{}|]*"
        return _Words(
            _time_pattern("," if any("decimal" in one.data for one in languages) else ""),
            re.compile(
                rf"{brackets},?{brackets}(?:{mark}|(?:mark\s)?(?:up\s)?(?:{words('to')})(?:\s*:)?){brackets}{beside}{brackets}",
                re.I,
            ),
            re.compile(rf"{brackets}(?:mark\s)?(?:{words('and')}){brackets}{beside}{brackets}", re.I),
            re.compile(rf"(?<![^\W\d_])(?:{words('between')})[^0-9\n]{{0,30}}$", re.I),
            re.compile(
                rf"(?<![^\W\d_])(?:{words('between')})[^0-9\n]{{0,30}}[0-9.:]{{1,9}}[^0-9\n]{{1,24}}[0-9.:]{{1,9}}"
                rf"[^0-9\n]{{0,20}}(?<![^\W\d_])(?:{either})(?![^\W\d_])[^0-9\n]{{0,24}}$",
                re.I,
            ),
            re.compile(rf"(?:{words('starts')})[^0-9]{{0,40}}$", re.I),
            re.compile(rf"(?:{words('ends')})[^0-9]*$", re.I),
            re.compile(rf"(?:{words('starts')})[^0-9\n]{{1,20}}(?:{words('ends')})[^0-9]{{0,60}}$", re.I),
            re.compile(rf".{{0,5}}(?:{words('starts', unspaced)})"),
            re.compile(rf".{{0,5}}(?:{words('ends', unspaced)})"),
            re.compile(rf"{it}(?:{words('begun', spaced)})(?![^\W\d_])", re.I),
            re.compile(rf"{it}(?:{words('over', spaced)})(?![^\W\d_])", re.I),
            re.compile(rf"(?<![^\W_])(?:{any_of(words_of(languages, 'clips'))})", re.I),
            re.compile(rf"(?:(?<![^\W\d_])(?:{words('from')})\s*(?:(?:{words('beside')})\s*)*|[\[(<]\s*)+$", re.I),
            re.compile(rf"\s*(?:{any_of(p for one in languages for p in one.phrases['measure'])})(?![a-z])", re.I),
            re.compile(rf"(?:{words('anchor')})", re.I),
            frozenset(
                w for one in languages for name in ("seconds", "minutes") for w in one.data["times"][name].split()
            ),
            frozenset(w for one in languages for w in str(one.data["times"].get("starts") or "").split()),
        )


def _listed(name: str, joined: bool | None = None) -> str:
    """Any of the words listed under `name` in any language, or in those whose words are `joined` to what is beside."""
    some = [one for one in languages() if joined is None or joined is not bool(one.starts)]
    return any_of(word.replace("_", " ") for word in words_of(some, name))


@cache
def _frame() -> re.Pattern[str]:
    """A frame named beside its time: "frame 30 (3.0 s) to frame 81 (8.1 s)"."""
    apart, joined = _listed("frames", False), _listed("frames", True)
    number = r"(?:#|no\.?\s|nr\.?\s)?[0-9]{1,7}"
    return re.compile(rf"\b(?:{apart})\s?{number}\b|第?[0-9]{{1,7}}(?:{joined})", re.I)


@cache
def _millis_before() -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W\d_])(?:{_listed('milliseconds')})(?![^\W\d_])[^\w\n]{{0,6}}\Z", re.I)


@cache
def _time_pattern(comma: str) -> re.Pattern[str]:
    """A time of any language; `comma` where figures have a decimal comma."""

    def unit(name: str) -> str:
        return any_of({word for one in languages() for word in str(one.data["times"][name]).split()})

    figure = rf"[0-9]{{1,9}}(?:[.{comma}][0-9]{{1,20}})?(?![0-9]|\.[0-9])"
    amount = rf"(?:{figure}|{words_pattern('numerals ordinals')})"
    order = r"(?:st|nd|rd|th|ère|ème|er|e|ª|º|\.)?"
    seconds = rf"(?:-|\s{{0,10}}){order}\s?(?:{unit('seconds')})(?:\.(?=\s[a-zà-ÿ–—-]))?(?![a-zà-ÿ])"
    thousands = "" if comma else "(?!,[0-9]{3}(?![0-9.]))"
    return re.compile(
        rf"""
    (?<![A-Za-z\u00c0-\u024f0-9_.±])(?<![0-9],)(?<![0-9]:)
    (?:(?P<clock>(?:[0-9]{{1,3}}:)?[0-9]{{1,3}}:[0-9]{{2}}(?:[.,][0-9]{{1,6}})?)(?![0-9]|:[0-9])
      |(?:(?P<h>{amount})\s?(?:{unit("hours")})(?![a-z])[\s,]{{0,3}}(?:and\s|und\s|y\s|et\s)?)?
       (?P<m>{amount})\s?(?:{unit("minutes")}|m(?=\s?[0-9]))(?![a-zà-ÿ])
       (?:[\s,]{{0,3}}(?:and\s|und\s|y\s|et\s)?(?P<ms>{amount})\s?(?:{unit("seconds")})(?![a-zà-ÿ]))?
      |(?P<s>{amount})(?:\s{{0,3}}(?P<millis>{_listed("milliseconds")})(?![a-zà-ÿ])|(?P<unit>{seconds})|(?:st|nd|rd|th|ère|ème|er|e|ª|º|\.(?=\sbis\b))?))
    (?![A-Za-z\u00c0-\u024f0-9_%°])(?!\s?%){thousands}""",
        re.VERBOSE | re.IGNORECASE,
    )


def _amount(text: str | None) -> float:
    if not text:
        return 0.0
    if text[0].isdigit() and text[0].isascii():
        return float(text.replace(",", "."))
    value = number(text)
    return float(ordinal(text) or 0) if value is None else float(value)


def _parse_time(match: re.Match[str], text: str) -> _Time | None:
    """The time of a match; None for the number of a frame or clip."""
    start, end = match.span()
    if clock := match["clock"]:
        *larger, last = clock.replace(",", ".").split(":")
        parts = [*(float(part) for part in larger), float(last)]
        valid = all(part < 60 for part in parts[1:])
        return _Time(sum(p * 60.0**k for k, p in enumerate(reversed(parts))) if valid else None, "clock", start, end)
    if match["m"]:
        seconds = _amount(match["h"]) * 3600 + _amount(match["m"]) * 60 + _amount(match["ms"])
        return _Time(seconds, "minutes", start, end)
    word = not match["s"][0].isdigit()
    if match["millis"] or (not match["unit"] and _millis_before().search(text[max(0, start - 24) : start])):
        return _Time(_amount(match["s"]) / 1000, "millis", start, end, word)
    if word and not match["unit"] and match["s"][0] > "\u3000":
        return None  # 一个人
    numbers_else = _NOT_TIME_BEFORE.search(text[max(0, start - 40) : start]) and not _RANGES.match(text, end)
    if not match["unit"] and (numbers_else or (word and ordinal(match["s"]))):
        return None
    return _Time(_amount(match["s"]), "seconds" if match["unit"] else "number", start, end, word)


def _without_asides(text: str, times: Sequence[_Time], cues: Sequence[Cue]) -> list[_Time]:
    """The times without those in brackets right after another, which say it again, "0:03 (3 s) to 0:07", or doubt it,
    "3 s (maybe 4 s) to 7 s": then it has no value."""
    kept: list[_Time] = []
    hedges = [cue.start for cue in cues if cue.kind == "hedge"]
    for time in times:
        aside = _BRACKETS.match(text, kept[-1].end) if kept else None
        if aside is None or time.end > aside.end():
            kept.append(time)
        elif bisect_left(hedges, aside.start()) < bisect_left(hedges, aside.end()):
            kept[-1] = kept[-1]._replace(seconds=None)
        elif time.seconds != kept[-1].seconds:
            kept.append(time)
    return kept


class _Pairs:
    """Two neighbouring times of one text, and what it makes of them."""

    def __init__(self, text: str, words: _Words, cues: Sequence[Cue], languages: tuple[Language, ...]) -> None:
        self.text, self.words = text, words
        self._fill = filling(languages)
        self._cues = sorted((cue.end, cue.kind) for cue in cues if cue.kind != "plain")
        self._starts = {
            cue.start for cue in cues if cue.kind not in ("part", "total", "other", "naming", "lasting", "revise")
        }

    def link(self, a: _Time, b: _Time) -> str:
        """A "range", a "list" or nothing, ""."""
        text, words = self.text, self.words
        if b.start - a.end > _REACH:
            return ""
        gap = _frame().sub("", _ASIDE.sub("", text[a.end : b.start])).strip()
        if words.to.fullmatch(gap):
            return "range"
        before = text[max(0, a.start - _REACH) : a.start]
        if words.pair.fullmatch(gap) and (words.between.search(before) or words.shared.search(before)):
            return "range"
        after = text[b.end : b.end + 3].lstrip()
        if gap in (",", ";") and before.rstrip().endswith(("[", "(")) and after.startswith(("]", ")")):
            return "range"
        if words.ends.search(gap) and words.starts.search(before):
            return "range"
        if words.opening.match(gap) and words.closing.match(text, b.end):  # "3秒に始まり8秒に終わる"
            return "range"
        if words.begun.match(text, a.end, b.start) and words.over.match(text, b.end):
            return "range"  # "at 3 s it begins, at 8 s it is over"
        if gap in (",", ";", "|", "") and words.header.search(before) and not _NEXT_ROW.match(text, b.end):
            return "range"  # "| start | end |" over the two
        if words.starts.search(gap) and words.ends.search(before) and not words.clips.search(gap):
            return "turned" if a.seconds and b.seconds is not None and a.seconds > b.seconds else ""
        united = a.style != "number" and b.style != "number"
        return "list" if (gap in (",", ";") or united) and _LIST.fullmatch(gap) else ""

    def is_onset(self, b: _Time, c: _Time) -> bool:
        """Whether a range up to `b` is when something starts, since it ends at `c`: "from 4 to 5 s until 9 s"."""
        gap = self.text[b.end : c.start]
        later = b.seconds is None or c.seconds is None or c.seconds > b.seconds
        ends = later and len(gap) <= _REACH and self.words.ends.search(gap) is not None
        return ends and not _STOPS.search(gap) and not self.words.clips.search(gap)

    def fills(self, a: _Time, b: _Time) -> bool:
        """Whether nothing else is said; "3,8" without a space may be a decimal comma and does not count."""
        text = self.text
        apart = text[a.end : b.start] != "," or "." in text[a.start : a.end] + text[b.start : b.end]
        apart = apart or (a.style != "number" and b.style != "number")
        line = text.rfind("\n", 0, a.start) + 1
        stop = text.find("\n", b.end)
        alone = not _WORD.search(text, line, a.start) or self._told(a.start) in ("answer", "declare", "final")
        return apart and alone and not _WORD.search(text, b.end, len(text) if stop < 0 else stop)

    def is_time(self, a: _Time, b: _Time) -> bool:
        """Whether the pair speaks of time: it has a unit or a clock, or nothing beside it says what else it counts."""
        text = self.text
        if a.style != "number" or b.style != "number":
            unsaid = b.word and b.style == "number"  # "three seconds to eight and a half"
            return not (unsaid or (a.word and a.style == "number" and b.style not in ("seconds", "minutes")))
        if a.word or b.word or _NOT_TIME_BEFORE.search(text[max(0, a.start - 40) : a.start]):
            return False
        last = _LAST.search(text[max(0, a.start - 40) : a.start])
        labels = grammar_words() | self.words.labels
        if last and last[1].lower() not in labels and not self._told(a.start):
            return False  # "room 12-14"
        following = _NEXT.match(text, b.end)
        return following is None or following.start(1) in self._starts or following[1].lower() in grammar_words()

    def mention(self, a: _Time, b: _Time) -> Mention:
        text = self.text
        lead = self.words.lead.search(text[max(0, a.start - 40) : a.start])
        start = max(0, a.start - 40) + lead.start() if lead else a.start
        rule = next(style for style in STYLES if style in (a.style, b.style))
        anchored = lead is not None and self.words.anchor.search(lead[0]) is not None
        headed = self.words.header.search(text[max(0, a.start - _REACH) : a.start]) is not None
        lasting = not (anchored or headed) and self._told(start) == "lasting"
        other = lasting or self.words.long.match(text, b.end) or self._is_other(b)
        return Mention(_value(text, a, b), start, b.end, Standing.OTHER if other else Standing.STATED, rule)

    def _is_other(self, b: _Time) -> bool:
        """Whether a noun says what was measured: "a 3-5 second clip", "3 to 7 out of 48 frames"."""
        if _CLOCK_TIME.match(self.text, b.end) or _OF_FRAMES.match(self.text, b.end):
            return True
        whole = _OUT_OF.match(self.text, b.end)
        if whole:
            return whole[1].lower() not in self.words.units
        following = _NEXT.match(self.text, b.end)
        adjective = self.text[b.start : b.end].endswith(("second", "minute")) and following is not None
        return adjective and following is not None and following[1].lower() not in grammar_words() | _POINTS

    def _told(self, start: int) -> str:
        """The kind of the cue right before a place; "" where there is none."""
        at = bisect_right(self._cues, (start, "~")) - 1
        near = at >= 0 and start - self._cues[at][0] <= _REACH
        return self._cues[at][1] if near and self._fill.fullmatch(self.text, self._cues[at][0], start) else ""


def _value(text: str, a: _Time, b: _Time) -> list[Any] | None:
    """[start, end] in seconds, or None for ends that no interval of a video has."""
    negative = text[a.start - 1 : a.start] == "-" and not text[max(0, a.start - 2) : a.start - 1].isalnum()
    if a.seconds is None or b.seconds is None or negative:
        return None
    start, end = a.seconds, b.seconds
    if a.style == "number" and b.style == "minutes":  # "1.5 to 2 minutes": the unit stands once for both
        start *= 60
    if a.style == "number" and b.style == "millis":
        start /= 1000
    return [start, end] if start <= end <= MAX_SECONDS else None
