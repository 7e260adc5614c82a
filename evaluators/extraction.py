"""Extraction of the answer that a response states, without ever guessing one.

Example:
    >>> import re
    >>> def digits(passage):
    ...     found = re.compile("[0-9]+").finditer(passage.text, passage.start, passage.end)
    ...     return [Candidate(int(m[0]), "digits", m.start(), m.end()) for m in found]
    >>> extract("<think>7 or 8</think>It may be 4. **The answer is 5.** Not 6.", digits, declaration("number"))
    Answer(value=5, rule='phrase/digits', span=(50, 51))

An evaluator brings a *finder*, which lists every answer written in a passage; `extract` decides which one counts:

1. Thinking is not an answer: `<think>` blocks, closed or not, are blanked.
2. Declarations are tried from the last to the first: a tag (`<answer>`, `\\boxed{}`), a phrase ("the answer is",
   "Actually,"), or a first or last line that is nothing but an answer. A filled tag is final, readable or not.
3. Without one, the only answer in the text counts; among several, the last one a "so" or "therefore" introduces.
4. Anything else is ambiguous and gives None.

Blanking and cleaning keep every character's place, so a span found in the cleaned text is one in the response.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Literal

from evaluators.base import Answer

MAX_TOKENS = 2000
"""A passage with more numbers than this is a listing, not an answer; it also bounds the work on hostile text."""


@dataclass(frozen=True)
class Passage:
    """The characters [start, end) of the cleaned response, and what makes them a place for an answer."""

    text: str
    start: int
    end: int
    kind: Literal["tag", "phrase", "line", "whole"]


@dataclass(frozen=True)
class Candidate:
    """One answer as written; `value` None when it is stated but unacceptable, such as a reversed interval."""

    value: Any
    rule: str
    start: int
    end: int


Finder = Callable[[Passage], Sequence[Candidate]]

_THINKING = re.compile(
    r"(?P<close></(?:think|thinking|thought|reasoning)>|◁/think▷|\[/THINK\])"
    r"|<(?:think|thinking|thought|reasoning)>|◁think▷|\[THINK\]",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"(?P<box>\\f?boxed\s*\{)|(?P<brace>\{)|(?P<unbrace>\})"
    r"|(?P<open><answer>|<\|begin_of_box\|>)|(?P<close></answer>|<\|end_of_box\|>)",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|</?[a-z][a-z0-9]{0,15}>|\\(?:f?boxed|(?:text|math)?(?:bf|rm|it|tt)?)(?=\{)", re.IGNORECASE
)
_ARROW = re.compile(r"\\(?:long)?(?:rightarrow|to)\b")
_PLAIN = str.maketrans(
    {
        **dict.fromkeys('*_`$#{}"“”„\\\r\u00a0\u2007\u2009\u202f\u3000\u200b\u200c\u200d\u2060\ufeff', " "),
        **dict.fromkeys("\u2212\u2010\u2011", "-"),
        **{chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)},  # full-width forms
        "’": "'",
        "‘": "'",
        "、": ",",
        "。": ".",
    }
)
_VERB = r"(?:\s*(?:is|are|was|were|would\s+be|should\s+be|must\s+be)\b(?!\s+not\b)\s*:?|\s*[:=])"
_RETHINK = r"(?:wait|actually|correction|oops|sorry|scratch\s+that|on\s+second\s+thought)\b"
_CORRECTION = rf"\b{_RETHINK}\s*[,.:;!-]|(?<=[.!?]\s){_RETHINK}"
_CONCLUSION = re.compile(r"\b(?:so|thus|therefore|hence|overall|in\s+conclusion|in\s+summary)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\n|(?<=[\w)\]])[.!?](?=\s)")
_LINE = re.compile(r"[^\n]+")
_VISIBLE = re.compile(r"\S")
_WORD = re.compile(r"[^\W_]")
_NEXT_WORD = re.compile(r"[^\S\n]*([a-z%]+)", re.IGNORECASE)
_FUNCTION_WORDS = """a actually and answer are as at based because but correction during each explanation final for he
here i if in inclusive instead into is it mark marks no not note of on or oops reasoning respectively shown since so
sorry that the then there these they this thus time timestamp timestamps wait was we were when where whereas which while
with"""
_MAY_FOLLOW = frozenset(_FUNCTION_WORDS.split())


def declaration(nouns: str, extra: str = r"(?!)") -> re.Pattern[str]:
    """The phrases that declare an answer: "answer" or one of `nouns` (a regex) with a verb or colon, or `extra`."""
    noun = rf"\b(?:answer|result|prediction|{nouns})\b\s*(?:\([^()\n]{{0,60}}\))?"
    return re.compile(rf"{noun}{_VERB}|{_CORRECTION}|{extra}", re.IGNORECASE)


def tokens(pattern: re.Pattern[str], passage: Passage) -> list[re.Match[str]]:
    """Every match of `pattern` in the passage; none at all when there are more than `MAX_TOKENS`."""
    matches = list(islice(pattern.finditer(passage.text, passage.start, passage.end), MAX_TOKENS + 1))
    return [] if len(matches) > MAX_TOKENS else matches


def chains(matches: Sequence[re.Match[str]], gap: re.Pattern[str], reach: int) -> list[list[re.Match[str]]]:
    """The matches of one text, joined where nothing but a `gap` of at most `reach` characters stands between them."""
    joined = [[match] for match in matches[:1]]
    for before, match in pairwise(matches):
        near = match.start() - before.end() <= reach
        if near and gap.fullmatch(match.string, before.end(), match.start()):
            joined[-1].append(match)
        else:
            joined.append([match])
    return joined


def is_wordless(text: str, start: int, end: int) -> bool:
    """Whether the characters [start, end) hold no letter and no digit."""
    return _WORD.search(text, start, end) is None


def counts_a_noun(text: str, at: int, end: int) -> bool:
    """Whether the word after a number, on its line, is a noun that the number counts, as in "3 - 5 people"."""
    word = _NEXT_WORD.match(text, at, end)
    return word is not None and word[1].lower() not in _MAY_FOLLOW


def extract(text: str, find: Finder, phrases: re.Pattern[str]) -> Answer | None:
    """The last answer that `text` declares, as the module docstring orders it; None for none or an ambiguous one.
    `find` lists the candidates of a passage in order, `phrases` are those of `declaration`."""
    shown = _hide_thinking(text)
    clean = _ARROW.sub(lambda m: "→".ljust(len(m[0])), _MARKUP.sub(lambda m: " " * len(m[0]), shown)).translate(_PLAIN)
    tags = _tags(shown)
    outside = _blank(clean, ((tag.start, tag.end) for tag in tags))
    places = sorted([*tags, *_phrases(outside, phrases), *_bare_lines(outside, find)], key=lambda p: (p.start, p.end))
    for place in reversed(places):
        if place.kind != "tag":
            if (candidates := _first_sentence(place, find)) is not None:
                return _only(candidates, place.kind)
        elif not is_wordless(clean, place.start, place.end):
            inside = " " * place.start + clean[place.start : place.end]
            tag = Passage(inside, len(inside) - len(inside.lstrip()), len(inside), "tag")
            return _only_or_last(tag, [*_phrases(inside, phrases), *_bare_lines(inside, find)[-1:]], find, "tag")
    whole = Passage(outside, 0, len(outside), "whole")
    return _only_or_last(whole, _phrases(outside, _CONCLUSION), find, "conclusion")


def _only_or_last(passage: Passage, places: Sequence[Passage], find: Finder, kind: str) -> Answer | None:
    """The only answer of a passage, else that of the last of its `places` that has any."""
    if answer := _only(find(passage), passage.kind):
        return answer
    stated = (_first_sentence(place, find) for place in reversed(places))
    return _only(next(filter(None, stated), ()), kind)


def _only(candidates: Sequence[Candidate], kind: str) -> Answer | None:
    """The one value that all candidates agree on, at its last mention; None if they differ or it is unacceptable."""
    last = candidates[-1] if candidates else None
    if last is None or last.value is None or any(other.value != last.value for other in candidates):
        return None
    return Answer(last.value, f"{kind}/{last.rule}", (last.start, last.end))


def _first_sentence(place: Passage, find: Finder) -> Sequence[Candidate] | None:
    """Candidates that begin in the place's first sentence (they may go on below it, as lists do); None for none."""
    visible = _VISIBLE.search(place.text, place.start, place.end)
    if visible is None:
        return None
    stop = _SENTENCE_END.search(place.text, visible.start(), place.end)
    limit = stop.start() if stop else place.end
    return [candidate for candidate in find(place) if candidate.start <= limit] or None


def _phrases(text: str, pattern: re.Pattern[str]) -> list[Passage]:
    """One passage per phrase, from its end to where the next one begins."""
    matches = list(pattern.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)]
    return [Passage(text, match.end(), end, "phrase") for match, end in zip(matches, ends, strict=False)]


def _bare_lines(text: str, find: Finder) -> list[Passage]:
    """The first and the last line, where they are nothing but an answer and their neighbour is not another one."""
    lines = [line.span() for line in _LINE.finditer(text) if line[0].strip()]
    ends = sorted({0, len(lines) - 1} if lines else set())
    bare = {at: _is_bare(text, *lines[at], find) for at in {*ends, 1, len(lines) - 2} if 0 <= at < len(lines)}
    neighbour = {0: 1, len(lines) - 1: len(lines) - 2}
    return [Passage(text, *lines[at], "line") for at in ends if bare[at] and not bare.get(neighbour[at], False)]


def _is_bare(text: str, start: int, end: int, find: Finder) -> bool:
    candidates = find(Passage(text, start, end, "line"))
    return (
        len(candidates) == 1
        and is_wordless(text, start, candidates[0].start)
        and is_wordless(text, candidates[0].end, end)
    )


def _hide_thinking(text: str) -> str:
    """Blanks what was thought: before a closing mark without an opening one, and after an opening one never closed."""
    blocks: list[tuple[int, int]] = []
    opened: int | None = None
    for mark in _THINKING.finditer(text):
        if mark["close"]:
            blocks.append((0 if opened is None else opened, mark.end()))
            opened = None
        elif opened is None:
            opened = mark.start()
    if opened is not None:
        blocks.append((opened, len(text)))
    return _blank(text, sorted(blocks))


def _blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` with the ascending, possibly nested `spans` overwritten by spaces."""
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        if end > at:
            start = max(start, at)
            pieces += [text[at:start], " " * (end - start)]
            at = end
    return "".join([*pieces, text[at:]])


def _tags(text: str) -> list[Passage]:
    """Contents of answer tags in order of their start; an unclosed `<answer>` runs to the end of the text."""
    spans: list[tuple[int, int]] = []
    braces: list[tuple[bool, int]] = []
    opened: int | None = None
    for mark in _TAG.finditer(text):
        if mark["open"]:
            opened = mark.end()
        elif mark["close"]:
            if opened is not None:
                spans.append((opened, mark.start()))
            opened = None
        elif mark["unbrace"]:
            boxed, start = braces.pop() if braces else (False, 0)
            if boxed:
                spans.append((start, mark.start()))
        else:
            braces.append((mark["box"] is not None, mark.end()))
    if opened is not None:
        spans.append((opened, len(text)))
    return [Passage(text, start, end, "tag") for start, end in sorted(spans)]
