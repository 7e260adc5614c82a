"""Where a text spells out an option: its words in their order, articles aside, the longest option first.

What all options begin with may be left out ("he runs", "he jumps"), an "it" inside an option may be named, a number may
be written either way ("3 men", "three men"), and in an option of several words "opens" may be "is opening".

Example:
    >>> from evaluators.reading.language import languages
    >>> texts = OptionTexts((("A", "a dog"), ("B", "walking a dog")), languages())
    >>> [(found.letter, found.start, found.end) for found in texts.find("He is walking the dog.")]
    [('B', 6, 21)]
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from evaluators.reading.language import HAN, HANGUL, KANA, Language, grammar_words, words_of

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]{1,2}(?![^\W_]))?")
_PAUSE = re.compile(r"[^\w\s'’-]")
_STOP = re.compile(r"[.:)]\s")
_JOINED = re.compile(r"[^\W_]+-[^\W_]+(?![\w-])")
_FEWEST, _MOST = 2, 3
"""The fewest words left where the options' common beginning is left out in a sentence, the most that stand for an "it".
"""
_UNSPACED = re.compile(f"[{HAN}{KANA}{HANGUL}]")


class Found(NamedTuple):
    """An option's text at [start, end); `words` counts those that are no articles."""

    letter: str
    start: int
    end: int
    words: int


class _Option(NamedTuple):
    """The words by which an option is found; `short` where what all options begin with is left out, `named` where that
    is an "it", for which a text may say what it is."""

    words: tuple[str, ...]
    letter: str
    short: bool
    named: bool = False

    @property
    def forms(self) -> bool:
        """Whether its words may have another form; a single word is too often said of something else."""
        return len(self.words) >= _FEWEST or self.named


class OptionTexts:
    """The options of one question that have a text of their own: a text that two of them share names neither."""

    def __init__(self, options: Sequence[tuple[str, str]], languages: Sequence[Language] = ()) -> None:
        self._determiners = self._articles = words_of(languages, "determiners")
        self._prefixes, self._subjects = words_of(languages, "prefixes"), words_of(languages, "subjects")
        self._objects = words_of(languages, "objects")
        self._goes_on, self._are = words_of(languages, "progressive"), words_of(languages, "copulas")
        self._numbers = {
            word: str(value)
            for one in languages
            for value, word in enumerate(str(one.data.get("numerals") or "").split())
            if value != 1  # "one" is a pronoun, too
        }
        self._endings = dict(pair.split("/") for pair in sorted(words_of(languages, "endings")))
        self._by_first: dict[str, list[_Option]] = defaultdict(list)
        strings: dict[str, str] = {}
        if len({self._key(text) for _, text in options}) < len({text.strip(" .。").casefold() for _, text in options}):
            self._determiners = frozenset()  # "A-B-C" against "B-A-C": here an "a" says something
        joined = [match[0].lower() for _, text in options for match in _JOINED.finditer(text)]
        self._parts = {word.replace("-", ""): tuple(word.split("-")) for word in joined}
        keys = [(self._key(text), letter, text) for letter, text in options]
        often = Counter(key for key, _, _ in keys)
        columns = zip(*(key for key, _, _ in keys), strict=False)
        shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
        for key, letter, text in keys:
            if not key or often[key] > 1:
                continue
            if _UNSPACED.search(text):
                strings[text.strip(" .。")] = letter
            else:
                self._by_first[self._stem(key[0])].append(_Option(key, letter, short=False))
                if shared and len(key) > shared:
                    named = shared == 1 and key[0] in self._subjects
                    short = _Option(key[shared:], letter, short=True, named=named)
                    self._by_first[self._stem(key[shared])].append(short)
        for several in self._by_first.values():
            several.sort(key=lambda option: -len(option.words))
        self._strings = strings
        self._known = {word for key, _, _ in keys for word in key}
        longest_first = sorted(strings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if strings else None

    def only_determiners(self, text: str) -> bool:
        """Whether a text holds no other words than articles and the like."""
        return all(word[0].lower() in self._articles for word in _WORD.finditer(text))

    def only_subject(self, text: str) -> bool:
        """Whether a text holds no other words than articles and "he is" and the like."""
        known = self._articles | self._subjects | self._are
        return all(word[0].lower().split("'")[0] in known for word in _WORD.finditer(text))

    def _key(self, text: str) -> tuple[str, ...]:
        words = tuple(self._plain(word[0]) for word in _WORD.finditer(text))
        return tuple(word for word in words if word not in self._determiners) or words

    def find(self, text: str, start: int = 0, end: int | None = None) -> list[Found]:
        """Every option spelled out in [start, end), in order, none overlapping another."""
        stop = len(text) if end is None else end
        found = []
        if self._by_first:
            words = self._words(text, start, stop)
            at = 0
            while at < len(words):
                option, last = next(self._spelled(text, words, at), (None, at))
                if option:
                    found.append(Found(option.letter, words[at][1], words[last][2], len(option.words)))
                at = last + 1
        if self._pattern:
            found += [
                Found(self._strings[m[0]], *m.span(), len(m[0])) for m in self._pattern.finditer(text, start, stop)
            ]
            found.sort(key=lambda one: one.start)
        return found

    def _words(self, text: str, start: int, stop: int) -> list[tuple[str, int, int]]:
        """The words of a text that are no articles; "counter-clockwise" written as the options write it."""
        words: list[tuple[str, int, int]] = []
        for match in _WORD.finditer(text, start, stop):
            word, begin, end = self._plain(match[0]), match.start(), match.end()
            last = words[-1] if words else ("", -1, -1)
            if text[last[2] : begin] == "-" and last[0] + word in self._known:
                words[-1] = (last[0] + word, last[1], end)
            elif word in self._parts and word not in self._known:
                words += [(self._plain(part), begin, end) for part in self._parts[word]]
            elif word not in self._determiners:
                words.append((word, begin, end))
        return words

    def _plain(self, word: str) -> str:
        """A word in small letters, an adverb as the adjective it is made of, a number in digits."""
        small = word.lower()
        if small in self._numbers:
            return self._numbers[small]
        end = next((end for end in self._endings if small.endswith(end) and len(small) > len(end)), None)
        return small.removesuffix(end) + self._endings[end] if end else small

    def _spelled(self, text: str, words: Sequence[tuple[str, int, int]], at: int) -> Iterator[tuple[_Option, int]]:
        """The options spelled out from the word `at`, each with its last word."""
        several = self._by_first.get(self._stem(words[at][0]), ())
        for forms in (False, True):
            options = [option for option in several if option.forms or not forms]
            yield from self._written(text, words, at, options, forms)

    def _written(
        self, text: str, words: Sequence[tuple[str, int, int]], at: int, options: Sequence[_Option], forms: bool
    ) -> Iterator[tuple[_Option, int]]:
        """Those of `options` that are spelled out from the word `at`; with `forms`, in another form of their verbs."""
        for option in options:
            last = self._last(text, words, at, option.words, forms)
            if last is None or (at and words[at - 1][0] in self._prefixes):
                continue  # "counter-clockwise" is not "clockwise"
            begun = not at or words[at - 1][0] in grammar_words()
            if option.named or not option.short or (begun and (option.forms or len(words) == 1)):
                yield option, last

    def _last(
        self, text: str, words: Sequence[tuple[str, int, int]], at: int, key: Sequence[str], forms: bool
    ) -> int | None:
        """The last word of `key`, written from the word `at` on; an "it" inside may be up to `_MOST` words."""
        for k, word in enumerate(key):
            if k and len(word) == 1 and at < len(words) and _STOP.search(text, words[at - 1][2], words[at][1]):
                return None  # "A. C-B-A" is not "A-C-B"
            if forms and k and at + 1 < len(words) and words[at][0] in self._are and self._same(words[at + 1][0], word):
                at += 1  # "is opening" for "opens"
            if at < len(words) and (words[at][0] == word or (forms and self._same(words[at][0], word))):
                at += 1
            elif forms and word in self._are and 0 < k < len(key) - 1 and at < len(words):
                if not self._same(words[at][0], key[k + 1]):
                    return None  # "opens" for "is opening"
            elif word in self._objects and 0 < k < len(key) - 1:
                stop = next(
                    (n for n in range(at + 1, min(at + _MOST, len(words) - 1) + 1) if words[n][0] == key[k + 1]), None
                )
                if stop is None or _PAUSE.search(text, words[at - 1][2], words[stop][1]):
                    return None
                at = stop
            else:
                return None
        return at - 1

    def _same(self, word: str, other: str) -> bool:
        """Whether one word is the other going on: "opening" and "opens"."""
        goes_on = [self._is_going_on(one) for one in (word, other)]
        return goes_on[0] != goes_on[1] and self._stem(word) == self._stem(other)

    def _is_going_on(self, word: str) -> bool:
        return any(word.endswith(end) and len(word) > len(end) + 2 for end in self._goes_on)

    def _stem(self, word: str) -> str:
        """What the forms of a verb have in common; a word as it is in languages without a progressive form."""
        if not self._goes_on or len(word) < 3:
            return word
        end = next((end for end in self._goes_on if word.endswith(end) and len(word) > len(end) + 2), "")
        if not end:
            return word.removesuffix("s").removesuffix("e").removesuffix("i").removesuffix("y") or word
        stem = word.removesuffix(end)
        doubled = len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in "sl"
        return (stem[:-1] if doubled else stem.removesuffix("y")) or stem
