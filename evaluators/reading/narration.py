"""Options' words that a text tells of, as stages or descriptions, against those that it answers with.

Example:
    >>> from evaluators.reading.discourse import Mention, Standing
    >>> from evaluators.reading.language import spoken
    >>> text = "He stands still for a while, then walks off."
    >>> stands = Mention("A", 0, 15, Standing.TEXT, "text")
    >>> narrated(text, [stands], spoken(text), [])[0].standing.name
    'RESTATED'
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial

from evaluators.reading.cues import Cue
from evaluators.reading.discourse import Mention, Standing
from evaluators.reading.language import Language, any_of

_CLAUSE_ENDS = re.compile(r"[.!?\n,;。]")
_SENTENCE_ENDS = re.compile(r"[.!?\n。](?=\s|\Z|[^\x00-\x7f])")
_BRACKET_ONLY = re.compile(r"\s*[(\[]\s*")
_IN_TURN = re.compile(r"[^.!?\n]{0,30}\b(?:and|then|or|before)\b[^.!?\n]{0,30}", re.IGNORECASE)
_BLANK = re.compile(r"[\s'\])]*\Z")


def narrated(
    text: str, mentions: Sequence[Mention], languages: tuple[Language, ...], cues: Sequence[Cue]
) -> list[Mention]:
    """The mentions; an option's words that are one stage of what happens are no answer, the claim that a text goes on
    to give its evidence for is a statement."""
    found = _described(text, list(mentions))
    ends = [match.end() for match in _SENTENCE_ENDS.finditer(text)]
    said = defaultdict[int, set[object]](set)
    for mention in found:
        if mention.how == "text":
            said[bisect_right(ends, mention.start)].add(mention.value)
    stages = _last_stages(text, ends, languages)
    proven = {at - 1 for at in map(partial(_begun, text, ends), (c.start for c in cues if c.kind == "evidence")) if at}
    whole = len({mention.value for mention in found if mention.how == "text" and mention.standing == Standing.TEXT})
    for k, mention in enumerate(found):
        sentence = bisect_right(ends, mention.start)
        if mention.how != "text" or mention.standing != Standing.TEXT:
            continue
        if whole == 1 and mention.end <= stages.get(sentence, -1):
            found[k] = replace(mention, standing=Standing.RESTATED)
        elif sentence in proven and len(said[sentence]) == 1:
            found[k] = replace(mention, standing=Standing.STATED)
    return found


def _last_stages(text: str, ends: Sequence[int], languages: tuple[Language, ...]) -> dict[int, int]:
    """Sentence -> where its last "then" stands, in it or at the beginning of the next."""
    last = dict[int, int]()
    for match in _next(languages).finditer(text):
        at = match.start()
        last[bisect_right(ends, at)] = at
        if begun := _begun(text, ends, at):
            last[begun - 1] = at
    return last


def _begun(text: str, ends: Sequence[int], at: int) -> int:
    """The number of the sentence that begins at a place; 0 where none does, or the first."""
    sentence = bisect_right(ends, at)
    return sentence if sentence and _BLANK.fullmatch(text, ends[sentence - 1], at) else 0


def agreeing(text: str, mentions: list[Mention]) -> list[Mention]:
    """The mentions; an option's words with another one's letter right after name none."""
    for k in range(len(mentions) - 1):
        one, other = mentions[k], mentions[k + 1]
        differ = one.how == "text" and other.how == "letter" and one.value != other.value
        if differ and _BRACKET_ONLY.fullmatch(text, one.end, other.start):
            mentions[k], mentions[k + 1] = replace(one, value=None), replace(other, value=None)
    return mentions


def _described(text: str, mentions: list[Mention]) -> list[Mention]:
    """The mentions; an option's words that only say what another letter shows are no answer."""
    for k in range(1, len(mentions)):
        before, one = mentions[k - 1], mentions[k]
        talked = before.standing == Standing.RESTATED and before.value != one.value and one.how == "text"
        if talked and before.how == "letter" and not _CLAUSE_ENDS.search(text, before.end, one.start):
            mentions[k] = replace(one, standing=Standing.RESTATED)
        elif talked and before.how == "text" and _IN_TURN.fullmatch(text, before.end, one.start):
            mentions[k] = replace(one, standing=Standing.RESTATED)  # "up and then down"
    return mentions


@cache
def _next(languages: tuple[Language, ...]) -> re.Pattern[str]:
    """A "then" that goes on to what comes next; one written onto other words has more than one character."""
    spaced = {
        word.replace("_", " ") for one in languages if one.starts for word in one.words("nexts") | one.words("stages")
    }
    joined = {word for one in languages if not one.starts for word in one.words("nexts") if len(word) > 1}
    goes_on = r"(?!\sto\b)(?=[\s,]*[^\W\d_])"
    return re.compile(rf"(?<![^\W_])(?:{any_of(spaced)})(?![^\W_]){goes_on}|(?:{any_of(joined)}){goes_on}", re.I)
