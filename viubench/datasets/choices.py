"""The choices of a multiple-choice row, however its publisher writes them, and the letter of the true one.

Example:
    >>> split_inline("Which way?\\nA. left\\nB. right\\nAnswer with one letter.")
    ('Which way?', Choices(letters=('A', 'B'), texts=('left', 'right')))
    >>> of(["Yes.", "No."]).letters
    ('yes', 'no')
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from string import ascii_uppercase
from typing import Any, NamedTuple

LETTERS = ascii_uppercase
_OWN = re.compile(r"\s*\(?([A-Z])[.):]\s*(.*\S)?\s*", re.DOTALL)
_LINE = re.compile(
    r"^[ \t]*(?:(?:option|sentence|caption|choice)[ \t]+)?\(?([A-Z]|[0-9]{1,2})[.):][ \t]*(.*)$", re.I | re.M
)
_WITHIN = re.compile(r"(?:^|(?<=\s))\(?([A-Z])[.):]\s")
_STATED = re.compile(
    r"\s*(?:(?:option|sentence|caption|choice)\s+)?\(?([A-Za-z]|[0-9]{1,2})[.):]?\)?\s*(?:[.):]\s*)?(.*)", re.I | re.S
)
_SPACE = re.compile(r"\s+")
_WHOLE = re.compile(r"(-?\d+)\.0+")
"""A whole number as tables write it whose column has an empty cell."""

_SEVERAL = re.compile(r"[A-Z](?:(?:\s*[,;/&+]\s*|\s+and\s+|\s*)[A-Z])+")


class Choices(NamedTuple):
    """Letters (or "yes" and "no", or numbers) and, in the same order, what each stands for."""

    letters: tuple[str, ...]
    texts: tuple[str, ...]

    def lines(self) -> str:
        """One lettered line per choice; none for yes and no, which the question itself asks for."""
        if all(letter == plain(text) for letter, text in zip(self.letters, self.texts, strict=True)):
            return ""
        return "\n".join(f"{letter}. {text}" for letter, text in zip(self.letters, self.texts, strict=True))

    def letter(self, answer: str) -> str:
        """The letter that the data's own answer means: a letter, a choice's text, or both ("B. right"); else
        ValueError."""
        given = answer.strip()
        for letter in self.letters:
            if given.casefold() == letter.casefold() or given.rstrip(".") == letter:
                return letter
        if given in ascii_uppercase[: len(self.letters)] and given:  # yes and no, answered by place
            return self.letters[ascii_uppercase.index(given)]
        for same in (str, plain):
            for letter, text in zip(self.letters, self.texts, strict=True):
                if same(given) == same(text):
                    return letter
        stated = _STATED.fullmatch(given)
        if stated and stated[1].upper() in self.letters:
            letter = stated[1].upper()
            if plain(stated[2]) in ("", plain(self.texts[self.letters.index(letter)])):
                return letter
        if names_several(given, self.letters):
            raise ValueError(f"the answer {answer!r:.80} names several options, and only questions with one are scored")
        raise ValueError(f"the answer {answer!r:.80} is none of the options {list(self.texts)!r:.200}")


def of(value: Any) -> Choices:
    """Choices from a list of texts, with or without their own letters; ValueError for fewer than two.

    Own letters are taken off when every text has one, and given anew in order, since publishers repeat or skip some.
    One text alone that holds several lettered choices is split. Yes and no without letters are answered as such.
    """
    texts = [str(text) for text in value]
    if len(texts) == 1:
        texts = _split(texts[0])
    own = [match for text in texts if (match := _OWN.fullmatch(text))]
    has_letters = len(own) == len(texts)
    texts = [(match[2] or "").strip() for match in own] if has_letters else [text.strip() for text in texts]
    bare = tuple(map(plain, texts)) if len(texts) == 2 else ()
    if not has_letters and sorted(bare) == ["no", "yes"]:
        return Choices(bare, tuple(texts))
    if not 2 <= len(texts) <= len(ascii_uppercase):
        raise ValueError(f"{len(texts)} options: {value!r:.120}")
    return Choices(tuple(ascii_uppercase[: len(texts)]), tuple(texts))


def split_inline(text: str) -> tuple[str, Choices]:
    """(the text before the choices, the choices) of a question that lists them itself, one a line.

    Lines after the last choice are the publisher's instruction and are dropped. Raises ValueError where no two lines in
    a row are lettered A, B ... or numbered 1, 2 ...
    """
    runs: list[list[re.Match[str]]] = []
    for match in _LINE.finditer(text):
        mark = match[1].upper()
        if mark in ("A", "1"):
            runs.append([match])
        elif runs and mark == _after(runs[-1][-1][1].upper()):
            runs[-1].append(match)
    run = next((run for run in reversed(runs) if len(run) > 1), None)
    if run is None:
        raise ValueError(f"no lettered options in {text!r:.120}")
    texts = []
    for match, following in zip(run, [*run[1:], None], strict=True):
        more = text[match.end() : following.start()] if following else ""
        texts.append(_SPACE.sub(" ", match[2] + " " + more).strip() if more.strip() else match[2].strip())
    return text[: run[0].start()].strip(), Choices(tuple(match[1].upper() for match in run), tuple(texts))


def _split(text: str) -> list[str]:
    """The lettered choices that one text holds, letters in order; the text alone when there are none."""
    starts: list[int] = []
    for match in _WITHIN.finditer(text):
        if match[1] == ascii_uppercase[len(starts)]:
            starts.append(match.start())
    return [text[a:b].strip() for a, b in pairwise([*starts, len(text)])] if len(starts) > 1 else [text]


def _after(mark: str) -> str:
    return str(int(mark) + 1) if mark.isdigit() else chr(ord(mark) + 1)


def plain(text: str) -> str:
    """A text as it is compared: without case, a full stop, and more than one space in a row; 3.0 is 3."""
    bare = _SPACE.sub(" ", text).strip()
    whole = _WHOLE.fullmatch(bare)
    return whole[1] if whole else bare.rstrip(".").casefold()


def names_several(answer: str, letters: Sequence[str]) -> bool:
    """Whether an answer is several letters of the options, as AC, or A, C: then more than one option is right.

    >>> names_several("A, C", "ABCD"), names_several("BAD", "ABC"), names_several("B", "ABC")
    (True, False, False)
    """
    given = re.findall(r"[A-Z]", answer)
    return bool(_SEVERAL.fullmatch(answer.strip())) and len(set(given)) == len(given) and set(given) <= set(letters)


def lettered(texts: Sequence[object]) -> list[str]:
    """The texts as `A. first`, `B. second` and so on, so that no text is taken for a letter, nor yes and no for a
    question without letters; ValueError for more than the 26 letters."""
    if len(texts) > len(ascii_uppercase):
        raise ValueError(f"{len(texts)} options, more than letters")
    return [f"{letter}. {text}" for letter, text in zip(ascii_uppercase, texts, strict=False)]


def letter_of(texts: Sequence[object], answer: object) -> str:
    """The letter of the first text that is `answer`; ValueError when none is."""
    if answer not in texts:
        raise ValueError(f"the answer {answer!r:.80} is none of the options {list(texts)!r:.200}")
    return ascii_uppercase[texts.index(answer)]
