"""Where a text says how its answers are meant: "the answer is", "not", "wait", "if" and their like in every language.

Example:
    >>> from evaluators.reading.language import spoken
    >>> text = "The answer is B. Wait, B is out."
    >>> [(cue.kind, text[cue.start : cue.end]) for cue in find_cues(text, spoken(text), "choice")]
    [('answer', 'answer is'), ('correct', 'Wait'), ('plain', 'is'), ('rejected', 'out')]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evaluators.reading.language import WORD, Kind, Language, declarations

_WORD = re.compile(r"[^\W_]")
_BEGINS = re.compile(r"[.,;:!?…\n。(—–~|-]\s*\Z|\A\s*\Z")
_MARKS: Mapping[str, tuple[Kind, Kind]] = {
    **dict.fromkeys("✓✔☑✅○〇◯", ("declared", "declare")), **dict.fromkeys("✗✘✕✖❌❎×", ("rejected", "reject")),
}  # fmt: skip
MARK = re.compile(r"[✓✔☑✅✗✘✕✖❌❎]|[○〇◯×](?=\s*(?:[,;|)\n。]|\Z))")
_LEAD = 12
"""Characters before a cue in which a clause must begin for the cue to begin it."""


class Cue(NamedTuple):
    """The characters [start, end) and what they say."""

    kind: Kind
    start: int
    end: int


def find_cues(text: str, languages: Sequence[Language], nouns: str) -> list[Cue]:
    """The cues of `text` in order of their start, none overlapping another of its language; `nouns` names what an
    answer of this kind is called ("choice", "interval", "counts", "order")."""
    cues: list[Cue] = []
    for language in languages:
        cues += _of_words(text, language, nouns) if language.starts else _of_strings(text, language)
    return sorted([*cues, *_of_marks(text)], key=lambda cue: cue.start)


def _of_marks(text: str) -> list[Cue]:
    """Ticks and crosses: of what follows in a line that begins with one, of what they follow elsewhere."""
    cues, line, leads = [], -1, False
    for mark in MARK.finditer(text):
        begin = text.rfind("\n", 0, mark.start()) + 1
        if begin != line:
            line, leads = begin, not _WORD.search(text, begin, mark.start())
        cues.append(Cue(_MARKS[mark[0]][leads], *mark.span()))
    return cues


def _of_words(text: str, language: Language, nouns: str) -> list[Cue]:
    cues: list[Cue] = []
    declared, at, key = declarations(language, nouns), 0, ""
    several = language.words("ordinals")  # "the first event is" announces more than one
    for word in WORD.finditer(text):
        start = word.start()
        before, key = key, word[0].lower()
        if start < at:
            continue
        found = [
            (match.end(), kind)
            for kind, pattern in language.starts.get(key, ())
            if (match := pattern.match(text, start))
            and (kind != "correct" or _corrects(text, match, cues))
            and (kind != "inverted" or _begins(text, start, cues))
        ]
        pattern = declared.get(key.removesuffix("'s"))
        if pattern and before not in several and (match := pattern.match(text, start)):
            found.append((match.end(), "answer"))
        if found:
            at = max(end for end, _ in found)
            kinds = [kind for end, kind in found if end == at]
            kinds = ["suppose" if kind == "inverted" else kind for kind in kinds]  # "Were it red, ..."
            cues += [Cue(kind, start, at) for kind in kinds if kind == "correct" or "correct" not in kinds]
    return cues


def _of_strings(text: str, language: Language) -> list[Cue]:
    cues: list[Cue] = []
    if language.strings is None:
        return cues
    for match in language.strings.finditer(text):
        kinds = language.kinds[match[0]]
        if "correct" in kinds:
            kinds = ("correct",) if _begins(text, match.start(), cues) else tuple(k for k in kinds if k != "correct")
        cues += [Cue(kind, *match.span()) for kind in kinds]
    return cues


def _corrects(text: str, match: re.Match[str], before: Sequence[Cue]) -> bool:
    """Whether words take back what was said: several words or a capital do, a single one where a clause begins."""
    return " " in match[0] or match[0][0].isupper() or _begins(text, match.start(), before)


def _begins(text: str, at: int, before: Sequence[Cue]) -> bool:
    """Whether a clause begins here: nothing but a pause, or another cue that opens one, stands before."""
    if _BEGINS.search(text[max(0, at - _LEAD) : at]):
        return True
    last = before[-1] if before else None
    return last is not None and last.kind in ("but", "correct", "conclude") and not text[last.end : at].strip()
