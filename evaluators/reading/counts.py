"""Every count of a shape in a text: "3 red circles", "squares: 1", a sum and its addends, three bare numbers.

Example:
    >>> from evaluators.reading.language import spoken
    >>> text = "Circles: 2 + 1 = 3, no squares and 4 triangles"
    >>> [(m.slot, m.value, m.standing.name) for m in find_counts(text, spoken(text), [])]
    [('circles', 3, 'DECLARED'), ('squares', 0, 'STATED'), ('triangles', 4, 'STATED')]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import NamedTuple

from evaluators.reading.cues import Cue
from evaluators.reading.discourse import Mention, Standing
from evaluators.reading.language import Language, any_of, any_whole, grammar_words, languages, words_of
from evaluators.reading.numerals import number, words_pattern

SHAPES = ("circles", "squares", "triangles")
MAX_COUNT = 1000  # a larger count is no count of shapes in a video
MAX_MENTIONS = 2000
"""A text with more counts than this is a listing, not an answer."""

_TRIPLE_GAP = re.compile(
    r"\s*[,;/|]\s*(?:and\s+|y\s+|und\s+|et\s+)?|[^\S\n]+|[^\S\n]*\n[^\S\n]*|\s+(?:and|y|und|et)\s+|\s*-\s*|和",
    re.IGNORECASE,
)
_LIST_NUMBER = re.compile(
    r"(?<![A-Za-z\u00c0-\u024f0-9_.-])(?<![0-9],)[0-9]{1,9}(?![A-Za-z0-9_%]|\.[0-9])|(?<=[0-9],)[0-9]{1,9}(?![\w%]|\.[0-9])"
)
_WORD = re.compile(r"[^\W_]")
_LATIN_WORD = re.compile(r"[^\W\d_]+")
_REACH = 90


class _Words(NamedTuple):
    """The words for shapes and their numbers, as patterns, and shape by word."""

    counted: re.Pattern[str]
    vague_before: re.Pattern[str]
    vague_after: re.Pattern[str]
    header: re.Pattern[str]
    footer: re.Pattern[str]
    total: re.Pattern[str]
    bare: re.Pattern[str]
    row: re.Pattern[str]
    shape: re.Pattern[str]
    whole: re.Pattern[str]
    shapes: dict[str, str]
    values: dict[str, int]


def find_counts(text: str, spoken: Sequence[Language], cues: Sequence[Cue]) -> list[Mention]:
    """Every count in order; its slot is the shape. One that is not exact ("2 or 3 circles") has no value."""
    words = _words(tuple(spoken))
    matches = list(islice(words.counted.finditer(text), MAX_MENTIONS + 1))
    if len(matches) > MAX_MENTIONS:
        return []
    found: list[Mention] = []
    looks: list[tuple[Mention, str]] = []
    for match in matches:
        if mention := _mention(text, match, words):
            found.append(mention)
            if match["count"] and mention.value == 0:
                found += _also_absent(text, mention, words)
            if match["label"]:
                found += _totals(text, mention, words)
            looks += [(mention, match["look"].strip().lower())] if match["look"] else []
    found = _corrected(text, _unsummed(found, looks), words, cues)
    triples = _triples(text, words, cues)
    headed = [mention for mention in triples if mention.how == "header"]
    found = _outside(found, headed)
    return sorted([*found, *_outside(triples, found)], key=lambda mention: mention.start)


def _unsummed(mentions: Sequence[Mention], looks: Sequence[tuple[Mention, str]]) -> list[Mention]:
    """The mentions; counts of one shape by different looks ("1 red circle, 1 blue circle") are no count of the shape,
    though they be equal."""
    several = set[int]()
    for slot in SHAPES:
        told = [(mention, look) for mention, look in looks if mention.slot == slot]
        alone = len(told) == sum(mention.slot == slot for mention in mentions)
        if alone and len(told) > 1 and len({look for _, look in told}) == len(told):
            several |= {mention.start for mention, _ in told}
    return [replace(one, value=None) if one.start in several else one for one in mentions]


def _corrected(text: str, found: list[Mention], words: _Words, cues: Sequence[Cue]) -> list[Mention]:
    """The mentions, and those of a number right after a correction, as in "Circles: 3. Actually 4" and no more."""
    more = []
    for cue in cues:
        if cue.kind == "correct" and (bare := words.bare.match(text, cue.end)):
            before = [mention for mention in found if mention.end <= cue.start]
            if before:
                start, end = bare.span("number")
                value = _value(bare["number"], words)
                more.append(Mention(value, start, end, Standing.STATED, "labelled", before[-1].slot))
    return sorted([*found, *more], key=lambda mention: mention.start)


def _outside(mentions: Sequence[Mention], others: Sequence[Mention]) -> list[Mention]:
    """The mentions that share no character with any of the others."""
    taken = {at for other in others for at in range(other.start, other.end)}
    return [mention for mention in mentions if taken.isdisjoint(range(mention.start, mention.end))]


def _mention(text: str, match: re.Match[str], words: _Words) -> Mention | None:
    start, end = match.span()
    shape = words.shapes[(match["shape"] or match["none"] or match["label"]).lower()]
    if match["none"]:
        return Mention(0, start, end, Standing.STATED, "labelled", shape)
    if match["count"]:
        look = [word[0].lower() for word in _LATIN_WORD.finditer(match["look"] or "")]
        linked = len(look) == 1 and look[0] in words_of(languages(), "for")  # "3 for circles"
        if not linked and any(word in grammar_words() for word in look):
            return None  # "3 and the circle"
        scaled = any(word in words_of(languages(), "scales") for word in (match["look"] or "").lower().split())
        exact = not scaled and not _is_vague(text, start, end, words)
        value = _value(match["count"], words) if exact else None
        return Mention(value, start, end, Standing.STATED, "labelled", shape)
    parts = [_value(part.strip(), words) for part in re.split(r"\+", match["stated"] or match["apart"])]
    if len(parts) > 1 or match["sum"]:  # of a sum, only the result that it gives is a count
        right = (
            match["sum"] is not None and None not in parts and _value(match["sum"], words) == sum(p or 0 for p in parts)
        )
        return Mention(sum(p or 0 for p in parts) if right else None, start, end, Standing.DECLARED, "sum", shape)
    value = None if _is_vague(text, match.start("stated" if match["stated"] else "apart"), end, words) else parts[0]
    total = words.whole.search(text, max(0, start - 40), start) is not None
    return Mention(value, start, end, Standing.DECLARED if total else Standing.STATED, "labelled", shape)


def _also_absent(text: str, first: Mention, words: _Words) -> list[Mention]:
    """The shapes that one "no" is said of besides the first: "no circles, squares or triangles"."""
    row = words.row.match(text, first.end)
    if row is None:
        return []
    return [
        Mention(0, *name.span(), Standing.STATED, "labelled", words.shapes[name[0].lower()])
        for name in words.shape.finditer(text, *row.span())
    ]


def _totals(text: str, label: Mention, words: _Words) -> list[Mention]:
    """Totals further on the line of a shape that begins it: "Circles: 2 here and 1 there (3 in total)"."""
    line, stop = text.rfind("\n", 0, label.start) + 1, text.find("\n", label.end)
    stop = len(text) if stop < 0 else stop
    if _WORD.search(text, line, label.start) or words.counted.search(text, label.end, stop):
        return []
    return [
        Mention(_value(m["first"] or m["last"], words), *m.span(), Standing.DECLARED, "total", label.slot)
        for m in words.total.finditer(text, label.end, min(stop, label.end + 400))
    ]


def _triples(text: str, words: _Words, cues: Sequence[Cue]) -> list[Mention]:
    """Three numbers and nothing else, or declared; or after the names of the shapes, in the order of the names."""
    found: list[Mention] = []
    told = [cue.end for cue in cues if cue.kind in ("answer", "declare", "final", "total", "correct", "conclude")]
    numbers = list(islice(_numbers(text, words), MAX_MENTIONS + 1))
    for run in _runs(text, numbers) if len(numbers) <= MAX_MENTIONS else ():
        start, end = run[0][1], run[-1][2]
        values = [_exact(value) for value, _, _ in run]
        order = list(SHAPES)
        header = words.header.search(text[max(0, start - _REACH) : start].rstrip("([ "))
        if header := header or words.footer.match(text, end):
            order = [words.shapes[name.lower()] for name in header.groups()]
        elif not (
            _alone(text, start, end) or any(0 <= start - at <= 60 and not _WORD.search(text, at, start) for at in told)
        ):
            continue
        if sorted(order) == sorted(SHAPES):
            how = "header" if header else "triple"
            found += [
                Mention(value, a, b, Standing.STATED, how, shape)
                for value, (_, a, b), shape in zip(values, run, order, strict=True)
            ]
    return found


def _numbers(text: str, words: _Words) -> Iterable[tuple[int, int, int]]:
    for match in re.finditer(rf"{_LIST_NUMBER.pattern}|{words_pattern('numerals')}", text, re.IGNORECASE):
        value = number(match[0])
        if value is not None:
            yield value, match.start(), match.end()


def _runs(text: str, numbers: Sequence[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """Rows of exactly three numbers with nothing but separators between."""
    rows: list[list[tuple[int, int, int]]] = []
    for one in numbers:
        near = bool(rows) and one[1] - rows[-1][-1][2] <= 12
        if near and _TRIPLE_GAP.fullmatch(text, rows[-1][-1][2], one[1]):
            rows[-1].append(one)
        else:
            rows.append([one])
    return [row for row in rows if len(row) == 3]


def _alone(text: str, start: int, end: int) -> bool:
    line, stop = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    return not _WORD.search(text, line, start) and not _WORD.search(text, end, len(text) if stop < 0 else stop)


def _is_vague(text: str, start: int, end: int, words: _Words) -> bool:
    before = text[max(0, start - 24) : start]
    return words.vague_before.search(before) is not None or words.vague_after.match(text, end) is not None


def _value(text: str, words: _Words) -> int | None:
    lower = text.lower()
    value = words.values.get(lower)
    return _exact(number(lower) if value is None else value)


def _exact(value: int | None) -> int | None:
    return value if value is not None and value <= MAX_COUNT else None


def _shapes() -> dict[str, str]:
    """Word -> shape, of all languages."""
    return {
        word.lower().replace("_", " "): shape
        for one in languages()
        for shape in SHAPES
        for word in str(one.data["shapes"][shape]).split()
    }


def _values(spoken: Sequence[Language]) -> dict[str, int]:
    """Word -> the count that it says beside the numerals: "no", "a dozen"."""
    values = dict.fromkeys(words_of(spoken, "ones"), 1) | dict.fromkeys(words_of(spoken, "zeros"), 0)
    values |= dict.fromkeys(words_of(spoken, "dozens"), 12)
    values |= {form: count for one in spoken for form, count in one.ranks("counted").items()}
    return {word.replace("_", " "): value for word, value in values.items()}


@cache
def _words(spoken: tuple[Language, ...]) -> _Words:
    shapes, values = _shapes(), _values(spoken)
    counted = any_of(word.replace("_", " ") for one in spoken if not one.starts for word in one.ranks("counted"))
    absent = any_of(word.replace("_", " ") for word in words_of(spoken, "absent"))
    count = rf"(?:[0-9]{{1,9}}|{any_whole(values)}|{words_pattern('numerals')})"
    shape = any_whole(shapes)
    measure = f"(?:{any_of(words_of(languages(), 'measures'))})"
    look = r"(?:[^\W\d_]{2,}(?:-[^\W\d_]+)?\s{1,3}){0,3}?"
    vague = "|".join(part for one in spoken for part in str(one.data["vague"]).split("|"))
    between, both = (
        any_whole({word for one in spoken for word in str(one.data["times"][name]).split()})
        for name in ("between", "and")
    )
    totals = any_of(word for one in spoken for word in one.phrases["total"] if " " not in word and "/" not in word)
    stated = rf"{count}(?:\s?\+\s?{count}){{0,12}}"
    return _Words(
        re.compile(
            rf"""(?<![A-Za-z\u00c0-\u024f0-9_.-])(?<![0-9],)(?P<count>{count})(?:\s{{0,3}}[x×]|\s{{0,3}}\({count}\))?
             (?:[^\S\n]?{measure}的?|[^\S\n]{{1,3}}|(?<=[x×])|\s?(?=[\u3040-\u9fff\uac00-\ud7af]))\(?(?P<look>{look})(?:[\u4e00-\u9fff]{{1,3}}色的?)?(?P<shape>{shape})
            |(?P<none>{shape})(?:[もはが은는이가도都]?\s?(?:{absent})(?![\u4e00-\u9fff])
               |(?=(?:[もやと도와과和、,]\s?{shape}){{1,3}}[もはが은는이가도都]?\s?(?:{absent})(?![\u4e00-\u9fff])))
            |(?P<label>{shape})'?(?:[\s,:']{{1,6}}(?:count|number|total)'?)?(?:\s?\([^()\n0-9]{{0,20}}\)(?=\s?[:=]))?
             \s{{0,4}}(?:(?:[:=|(]|>(?=\s?[0-9]{{1,9}}\s?</)|-+>|→|[-–—]|[x×](?=\s?[0-9])|(?:is|are|ist|es|son|sind|est|sont)\b|は|が|だけ|有|는|은|이|가|만|:)\s{{0,4}}
                (?P<stated>{stated})(?:\s?=\s?(?P<sum>{count}))?(?![A-Za-z0-9_]|[.,][0-9]|-[0-9]|[^\S\n]{{1,3}}{look}{shape}(?!\s?[:=]))
             |(?P<apart>[0-9]{{1,9}}|{counted}|[一二两三四五六七八九十](?={measure}))(?=\s*(?:[,;|)\n]|and\b|{measure}|\.?\s*$)))""",
            re.VERBOSE | re.IGNORECASE,
        ),
        re.compile(
            rf"(?:[0-9a-z](?<!\by)\s+(?:or|to|o|oder|ou|a|à|bis)\s+|(?:{between})\s+{count}\s+(?:{both})\s+|[0-9]\s*(?:[-–~或か到至]|から|에서)\s*|(?:{vague})\s*)$",
            re.IGNORECASE,
        ),
        re.compile(
            rf"\s*(?:(?:{vague})(?![^\W\d_])|(?:or|to|bis|oder|ou|à|[-–~或到至]|から|에서|~)\s?[0-9]|,\s?[0-9]+\s*(?:[,;.\n]|\Z)"
            rf"|\s{look}[^\W\d_]{{2,}}\s?(?:,|\+|(?:{both})\s)\s?[0-9]+\s(?!(?:[^\W\d_]+[^\S\n]){{0,3}}{shape}))",
            re.IGNORECASE,
        ),
        re.compile(
            rf"({shape})\W{{1,6}}(?:and\s+)?({shape})\W{{1,6}}(?:and\s+)?({shape})\W{{0,3}}(?:[:=\n]|are|is|appear)\s*$",
            re.I,
        ),
        re.compile(rf"\s?[(\[]\s?({shape})\W{{1,6}}(?:and\s+)?({shape})\W{{1,6}}(?:and\s+)?({shape})\s?[)\]]", re.I),
        re.compile(
            rf"(?P<first>{count})\s(?:in\s(?:total|all)|altogether|overall|en\stotal|insgesamt|au\stotal)"
            rf"|(?:total(?:\sof)?|insgesamt|en\stotal|au\stotal|合計|共|총)\s?[:=]?\s?(?P<last>{count})",
            re.IGNORECASE,
        ),
        re.compile(
            rf"[\s,:;.–—-]{{0,6}}(?:it's |it is |there are )?(?P<number>{count})(?=\s*(?:[.;\n]|\Z))", re.IGNORECASE
        ),
        re.compile(
            rf"(?:,\s{{0,2}}{shape}){{0,2}},?\s(?:or|nor|o|ni|ou|nem|oder|noch)\s{shape}(?!\s?[:=])", re.IGNORECASE
        ),
        re.compile(shape, re.IGNORECASE),
        re.compile(rf"(?<![^\W\d_])(?:{totals})\s(?:number\s)?(?:(?:of|de|der|von)\s)?(?:the\s)?\Z", re.IGNORECASE),
        shapes,
        values,
    )
