"""Reads the answer that a response stands by.

Example:
    >>> from evaluators.reading.choices import Choices
    >>> read("The answer is B. Actually no, it is A.", Choices(("A", "B"), ()).find, "choice")
    Answer(value='A', rule='whole/letter', span=(36, 37))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from evaluators.base import Answer
from evaluators.reading.cues import Cue, find_cues
from evaluators.reading.discourse import Discourse, Judged, Mention, decide
from evaluators.reading.language import Language, spoken
from evaluators.reading.revisions import revised
from evaluators.reading.text import Ready, prepare

Find = Callable[[str, Sequence[Language], Sequence[Cue]], list[Mention]]
"""Lists every answer mentioned in a text: ascending, none overlapping another. It is hashable."""

SHORT = 48
"""Characters of a response that is read once and remembered: terse answers are few and come again and again."""


def read(response: str, find: Find, nouns: str) -> Answer | None:
    """The answer that a response declares and does not take back; None for none, or an ambiguous one.

    Args:
        find: lists the mentions of an answer.
        nouns: the kind of answer, for what it is called: "choice", "interval", "counts" or "order".
    """
    return _own((_read_short if len(response) <= SHORT else _read)(response, find, nouns))


def read_parts(response: str, find: Find, nouns: str, slots: tuple[str, ...]) -> Answer | None:
    """The answer made of one value for each of `slots`, each decided by itself; None unless all are."""
    return _own((_read_short_parts if len(response) <= SHORT else _read_parts)(response, find, nouns, slots))


def _own(answer: Answer | None) -> Answer | None:
    """The answer with a list of its own, which a caller may change."""
    return replace(answer, value=list(answer.value)) if answer and isinstance(answer.value, list) else answer


def _read(response: str, find: Find, nouns: str) -> Answer | None:
    ready, judged, corrections = judge(response, find, nouns)
    chosen = decide(judged, judged, corrections) if judged else None
    return None if chosen is None else answer(ready, chosen, chosen.mention.value)


def _read_parts(response: str, find: Find, nouns: str, slots: tuple[str, ...]) -> Answer | None:
    ready, judged, corrections = judge(response, find, nouns)
    chosen = [decide([one for one in judged if one.mention.slot == slot], judged, corrections) for slot in slots]
    parts = [one for one in chosen if one is not None]
    if len(parts) < len(slots):
        return None
    start, end = min(one.mention.start for one in parts), max(one.mention.end for one in parts)
    place = "tag" if ready.tag else parts[0].place
    values = [one.mention.value for one in parts]
    return Answer(values, f"{place}/{parts[0].mention.how}", (ready.place(start), ready.place(end - 1) + 1))


_read_short, _read_short_parts = lru_cache(2048)(_read), lru_cache(2048)(_read_parts)


def judge(response: str, find: Find, nouns: str) -> tuple[Ready, list[Judged], int]:
    """The response made ready, its mentions with their standing, and how many corrections it has."""
    ready = prepare(response)
    languages = spoken(ready.text)
    cues = find_cues(ready.text, languages, nouns)
    mentions = find(ready.text, languages, cues)
    if not mentions:
        return ready, [], 0
    discourse = Discourse(ready.text, revised(ready.text, mentions, cues, languages), cues, languages)
    return ready, discourse.judge(), len(discourse.corrections)


def answer(ready: Ready, chosen: Judged, value: object) -> Answer:
    """The answer of a chosen mention, with its span in the response as given."""
    place = "tag" if ready.tag else chosen.place
    span = (ready.place(chosen.mention.start), ready.place(chosen.mention.end - 1) + 1)
    return Answer(value, f"{place}/{chosen.mention.how}", span)
