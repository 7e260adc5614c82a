"""What is wrong with questions that somebody wrote down, and would make a wrong score in silence.

Example:
    >>> of(Choices(("A", "B", "C"), ("cup", "nan", "nan")), "A")
    'have two options that say the same'
    >>> of(Choices(("A", "B", "C"), ("cup", "cup", "box")), "A")
    Traceback (most recent call last):
    ValueError: the right option 'cup' stands there twice, as A and B
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from viubench.datasets.choices import Choices, plain
from viubench.tasks import cells

_DATE = re.compile(r"\d{4}-\d\d-\d\d 00:00:00")
"""A cell that holds a day, as it is written out: where the rest are words, a spreadsheet made it of "1-2" or "3/4"."""


def of(options: Choices, target: str) -> str:
    """What may be wrong with the options of a question, "" where nothing is seen; ValueError where no answer could be
    scored."""
    texts = [plain(text) for text in options.texts]
    right = texts[options.letters.index(target)]
    if texts.count(right) > 1:
        same = " and ".join(letter for letter, text in zip(options.letters, texts, strict=True) if text == right)
        raise ValueError(f"the right option {right!r:.60} stands there twice, as {same}")
    if len(set(texts)) < len(texts):
        return "have two options that say the same"
    if any(map(_DATE.fullmatch, options.texts)):
        return "have options that are dates: where a spreadsheet made them of 1-2 or 3/4, format the cells as text"
    return ""


def refuse_marks(row: Mapping[str, Any], videos: int) -> None:
    """Raise ValueError where a text of the row speaks of more videos than it shows."""
    named = max((cells.videos_named(value) for value in row.values() if isinstance(value, str)), default=0)
    if named > videos:
        raise ValueError(f"it speaks of {named} videos, and shows {videos}: write the others into its column of videos")
