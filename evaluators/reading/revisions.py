"""An answer that a text puts in the place of another: "change A to B", "AをBに変更します".

Example:
    >>> from evaluators.reading.cues import find_cues
    >>> from evaluators.reading.language import spoken
    >>> text = "Change A to B."
    >>> mentions = [Mention("A", 7, 8, Standing.STATED, "letter"), Mention("B", 12, 13, Standing.STATED, "letter")]
    >>> [m.standing.name for m in revised(text, mentions, find_cues(text, spoken(text), "choice"), spoken(text))]
    ['REJECTED', 'DECLARED']
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

from evaluators.reading.cues import Cue
from evaluators.reading.discourse import Mention, Standing
from evaluators.reading.joining import filling
from evaluators.reading.language import Language, any_whole, words_of

_NEAR = 12
"""Characters between a "not" and the word it is said of: "no need to change A to B"."""


def revised(
    text: str, mentions: Sequence[Mention], cues: Sequence[Cue], languages: Sequence[Language]
) -> list[Mention]:
    """The mentions; of two that a word such as "change" puts one in the other's place, the first is rejected."""
    found = list(mentions)
    before = {cue.end: cue.start for cue in cues if cue.kind == "revise"}
    after = {cue.start for cue in cues if cue.kind == "revise"}
    denied = {cue.end for cue in cues if cue.kind == "reject"}
    if not before:
        return found
    fill, into = filling(tuple(languages)), putting_into(tuple(languages))
    for k, (one, other) in enumerate(pairwise(mentions)):
        if one.slot != other.slot or not into.fullmatch(text, one.end, other.start):
            continue
        near = range(max(0, one.start - 20), one.start + 1)
        at = next((before[at] for at in near if at in before and fill.fullmatch(text, at, one.start)), None)
        if other.end not in after and at is None:
            continue
        kept = at is not None and any(at - gap in denied for gap in range(_NEAR + 1))
        found[k] = replace(found[k], standing=Standing.CONSIDERED if kept else Standing.REJECTED)
        found[k + 1] = replace(found[k + 1], standing=Standing.CONSIDERED if kept else Standing.DECLARED)
    return found


@cache
def putting_into(languages: tuple[Language, ...]) -> re.Pattern[str]:
    """What stands between an answer and the one that takes its place."""
    labels = any_whole(words_of(languages, "labels"))
    return re.compile(rf"[)\]']?\s?{any_whole(words_of(languages, 'into'))}\s?(?:{labels}\s)?[(\['<]?", re.IGNORECASE)
