"""Verdicts written right after the label of an option: "A: no", "B. ✗", a line "C. correct".

Example:
    >>> from evaluators.reading.joining import verdicts
    >>> from evaluators.reading.language import spoken
    >>> text = "A: no, B: yes"
    >>> label_verdicts(text, [(0, 1, "letter"), (7, 8, "letter")], [], verdicts(spoken(text)))
    ({0: False, 7: True}, [(1, 5), (8, 13)])
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from evaluators.reading.cues import Cue
from evaluators.reading.language import Kind

_DOTTED = re.compile(r"[)\]]?\.\s{1,3}(?=[✓✔☑✅✗✘✕✖❌❎])")
_ITEM, _LINE_END = re.compile(r"[)\]]?[.:)]?\s{1,3}"), re.compile(r"[.!]?[^\S\n]*(?:\n|\Z)")
_WORD = re.compile(r"[^\W_]")


def label_verdicts(
    text: str, mentions: Iterable[tuple[int, int, str]], cues: Sequence[Cue], said: re.Pattern[str]
) -> tuple[dict[int, bool], list[tuple[int, int]]]:
    """Start of a mention -> whether a verdict right after accepts it; and where a "yes" or "no" said so.

    Args:
        mentions: (start, end, how) of each.
        said: a "yes" or "no" after a label.
    """
    found, spans = dict[int, bool](), []
    kinds: dict[int, tuple[Kind, int]] = {
        cue.start: (cue.kind, cue.end) for cue in cues if cue.kind in ("declared", "rejected")
    }
    for start, end, how in mentions:
        match = said.match(text, end) if how in ("letter", "text") else None
        if match and (how == "letter" or match["asked"]):
            found[start] = match["yes"] is not None
            spans.append(match.span())
        elif how == "letter":
            mark = _DOTTED.match(text, end)
            kind = kinds.get(mark.end(), ("", 0))[0] if mark else _line_verdict(text, start, end, kinds)
            if kind:
                found[start] = kind == "declared"
    return found, spans


def _line_verdict(text: str, start: int, end: int, kinds: dict[int, tuple[Kind, int]]) -> str:
    """The verdict of a line that is a letter and nothing else, as in "A. wrong"; "" for none."""
    label = _ITEM.match(text, end)
    if label is None or _WORD.search(text, text.rfind("\n", 0, start) + 1, start):
        return ""
    kind, stop = kinds.get(label.end(), ("", 0))
    return kind if kind and _LINE_END.match(text, stop) else ""
