"""What a question asks for, read from its text alone.

Example:
    >>> asked("<video> One part was altered: its left and right are exchanged. When?", videos=1)
    Asked(kind='grounding', change='mirror')

The words are those of the pretext tasks and their everyday synonyms; neither the task's name nor the item is looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["grounding", "counting", "jigsaw"]

CHANGES: dict[str, str] = {
    "channel_swap": r"red and blue|blue and red|channels? (?:are |were |is )?(?:swapped|exchanged)|channel[- ]swap",
    "mirror": r"left and right|mirror|flipped horizontally|horizontal flip",
    "rotate_90": r"quarter turn clockwise|(?:rotated|turned)(?: by)? 90",
    "rotate_270": r"quarter turn counter-?clockwise|(?:rotated|turned)(?: by)? 270",
    "rotate_180": r"on its head|upside down|180",
    "zoom_out": r"shrunk|zoom(?:ed|s|ing)?[- ]?out",
    "zoom_in": r"zoom(?:ed|s|ing)?[- ]?in\b",
    "grayscale": r"lost its colou?rs|gr[ae]y ?scale|black[- ]and[- ]white|colou?rless",
    "invert": r"negative|invert",
    "saturation": r"colou?rs are (?:far )?too strong|saturat",
    "noise": r"grain|nois[ey]",
    "blur": r"blur|out of focus",
    "swap": r"another video|different video",
    "slow": r"slow",
    "fast": r"too fast|fast motion|sped up|fast[- ]forward",
    "stutter": r"stutter|stands still|freez",
    "shuffle": r"wrong order|shuffl|out of order",
}
"""What a question may say of the altered part; the first that is found counts."""


@dataclass(frozen=True)
class Asked:
    """The kind of question, and for grounding what was changed (a perturbation of `viubench.pretext.perturb`)."""

    kind: Kind
    change: str = ""


def asked(question: str, videos: int) -> Asked | None:
    """What is asked of so many videos; None where it is nothing that can be answered from pixels."""
    text = question.lower()
    if all(re.search(shape, text) for shape in (r"\bcircles?\b", r"\b(?:squares?|rectangles?)\b", r"\btriangles?\b")):
        return Asked("counting")
    if videos > 1 and re.search(r"\border\b", text) and re.search(r"\bclips?\b|\bsegments?\b", text):
        return Asked("jigsaw")
    if videos == 1 and re.search(r"\balter|\bperturb|\bmodif|\bchanged\b", text):
        for change, words in CHANGES.items():
            if re.search(words, text):
                return Asked("grounding", change)
    return None
