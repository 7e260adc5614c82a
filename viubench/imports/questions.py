"""Questions found again by their words, however a prompt is put around them.

Example:
    >>> index = QuestionIndex(["Pick one. What colour is the cart?", "Pick one. How many boats pass by?"])
    >>> index.nearest("Q: How many boats pass by? Options: ...")
    [1]

Every three words in a row that few questions share tell a question; a prompt's own words, which all share, do not.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[0-9]+|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
LENGTH = 3
LONGEST = 20_000
"""Characters of a question that are read; the rest is its subtitles or examples."""

MOST = 64
"""Questions that may share three words which still tell something."""

SHARE = 0.5
"""Of the words that tell a question, so many must be found again."""


def shingles(text: str) -> set[int]:
    """Every three words in a row, and a short text as a whole, each as a number."""
    words = _WORD.findall(text[:LONGEST].casefold())
    runs = zip(*(words[at:] for at in range(LENGTH)), strict=False)
    return {hash(run) for run in runs} or ({hash(tuple(words))} if words else set())


class QuestionIndex:
    """Which questions have which words; a question is its place in `texts`."""

    def __init__(self, texts: Sequence[str]) -> None:
        places: dict[int, list[int]] = defaultdict(list)
        for place, text in enumerate(texts):
            for one in shingles(text):
                places[one].append(place)
        few = max(2, min(MOST, len(texts) // 2))
        self._places = {one: found for one, found in places.items() if len(found) <= few or len(texts) == 1}
        self._sizes = Counter(place for found in self._places.values() for place in found)

    def nearest(self, text: str, among: Iterable[int] | None = None) -> list[int]:
        """The questions that share the most with a text, several where they are alike; [] where none shares enough.
        Only those `among` are looked at, where it is given."""
        allowed = None if among is None else set(among)
        shared: Counter[int] = Counter()
        for one in shingles(text):
            shared.update(self._places.get(one, ()))
        enough = {
            place: count
            for place, count in shared.items()
            if (allowed is None or place in allowed) and count >= SHARE * self._sizes[place]
        }
        best = max(enough.values(), default=0)
        return sorted(place for place, count in enough.items() if count == best)

    def differs(self, text: str, place: int) -> bool:
        """Whether a text is surely not the question at a place: it shares nothing of what tells that question."""
        own = self._sizes[place]
        found = shingles(text)
        return own >= LENGTH and len(found) >= LENGTH and not any(place in self._places.get(one, ()) for one in found)
