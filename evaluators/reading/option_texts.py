"""Where a text spells out an option: its words in their order, articles aside, the longest option first.

Example:
    >>> texts = OptionTexts((("A", "a dog"), ("B", "walking a dog")), determiners=frozenset({"a", "the"}))
    >>> [(found.letter, found.start, found.end) for found in texts.find("He is walking the dog.")]
    [('B', 6, 21)]
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from evaluators.reading.language import HAN, HANGUL, KANA

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]{1,2}(?![^\W_]))?")
_UNSPACED = re.compile(f"[{HAN}{KANA}{HANGUL}]")


class Found(NamedTuple):
    """An option's text at [start, end); `words` counts those that are no articles."""

    letter: str
    start: int
    end: int
    words: int


class OptionTexts:
    """The options of one question that have a text of their own: a text that two of them share names neither."""

    def __init__(self, options: Sequence[tuple[str, str]], determiners: frozenset[str]) -> None:
        self._determiners = determiners
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        strings: dict[str, str] = {}
        keys = [(self._key(text), letter, text) for letter, text in options]
        often = Counter(key for key, _, _ in keys)
        for key, letter, text in keys:
            if not key or often[key] > 1:
                continue
            if _UNSPACED.search(text):
                strings[text.strip(" .。")] = letter
            else:
                self._by_first[key[0]].append((key, letter))
        for several in self._by_first.values():
            several.sort(key=lambda option: -len(option[0]))
        self._strings = strings
        longest_first = sorted(strings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if strings else None

    def only_determiners(self, text: str) -> bool:
        """Whether a text holds no other words than articles and the like."""
        return all(word[0].lower() in self._determiners for word in _WORD.finditer(text))

    def _key(self, text: str) -> tuple[str, ...]:
        words = tuple(word[0].lower() for word in _WORD.finditer(text))
        return tuple(word for word in words if word not in self._determiners) or words

    def find(self, text: str, start: int = 0, end: int | None = None) -> list[Found]:
        """Every option spelled out in [start, end), in order, none overlapping another."""
        stop = len(text) if end is None else end
        found = []
        if self._by_first:
            words = [(m[0].lower(), m.start(), m.end()) for m in _WORD.finditer(text, start, stop)]
            words = [word for word in words if word[0] not in self._determiners]
            at = 0
            while at < len(words):
                option = next((o for o in self._by_first.get(words[at][0], ()) if _are(words, at, o[0])), None)
                if option is None:
                    at += 1
                    continue
                last = at + len(option[0]) - 1
                found.append(Found(option[1], words[at][1], words[last][2], len(option[0])))
                at = last + 1
        if self._pattern:
            found += [
                Found(self._strings[m[0]], *m.span(), len(m[0])) for m in self._pattern.finditer(text, start, stop)
            ]
            found.sort(key=lambda one: one.start)
        return found


def _are(words: Sequence[tuple[str, int, int]], at: int, key: tuple[str, ...]) -> bool:
    return len(words) - at >= len(key) and all(words[at + k][0] == word for k, word in enumerate(key))
