"""Letters for the options of rows that name the true one by its text or place, so that no text is taken for a letter.

Example:
    >>> lettered(["c", "A man", "b"]), letter_of(["c", "A man", "b"], "b")
    (['A. c', 'B. A man', 'C. b'], 'C')

Without letters, the answer "b" above would count as the letter B, and "yes" and "no" as a question without letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase


def lettered(texts: Sequence[object]) -> list[str]:
    """The texts as `A. first`, `B. second` and so on; ValueError for more than the 26 letters."""
    if len(texts) > len(ascii_uppercase):
        raise ValueError(f"{len(texts)} options, more than letters")
    return [f"{letter}. {text}" for letter, text in zip(ascii_uppercase, texts, strict=False)]


def letter_of(texts: Sequence[object], answer: object) -> str:
    """The letter of the first text that is `answer`; ValueError when none is."""
    if answer not in texts:
        raise ValueError(f"the answer {answer!r:.80} is none of the options {list(texts)!r:.200}")
    return ascii_uppercase[texts.index(answer)]
