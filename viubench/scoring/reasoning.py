"""A response parted into what the model thought and what it answered.

Example:
    >>> part("<think>It rises, so B.</think>\\n\\nB")
    Parts(reasoning='It rises, so B.', answer='B', finished=True)
    >>> part("It rises. But wait", prompt_end="<think>\\n").finished
    False
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"(?:seed:)?(?:think|thinking|thought|reasoning)"
_OPEN = (
    rf"<{_NAME}>|◁think▷|\[THINK\]"
    r"|<\|channel>(?:thought\b)?"  # Gemma
    r"|(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)(?:<\|message\|>)?"  # GPT-OSS
)
_CLOSE = (
    rf"</{_NAME}>|◁/think▷|\[/THINK\]|<channel\|>"
    r"|(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final(?:<\|message\|>)?"
)
_MARK = re.compile(rf"(?P<close>{_CLOSE})|{_OPEN}", re.IGNORECASE)
_OPENED = re.compile(rf"(?:{_OPEN})\s*\Z", re.IGNORECASE)


_PARTS_OF_MARKS = ("<|channel|>", "<|message|>")


def is_mark(token: str) -> bool:
    """Whether a token opens or closes reasoning, or is part of what does."""
    return token in _PARTS_OF_MARKS or _MARK.fullmatch(token) is not None


@dataclass(frozen=True)
class Parts:
    """The `reasoning` ("" for none) and the `answer` of a response. Where the reasoning is not `finished`, what the
    text may look like is no answer."""

    reasoning: str
    answer: str
    finished: bool


def part(text: str, prompt_end: str = "", apart: str = "") -> Parts:
    """Part a response by its think tags or channel marks; one without any is all answer, and left as it is.

    A closing mark that nothing opened ends the reasoning all the same: the prompt opened it.

    Args:
        prompt_end: the last characters of the prompt, which may have opened the reasoning.
        apart: reasoning that the engine has parted from the text already.
    """
    opened = not apart and _OPENED.search(prompt_end) is not None
    thoughts, answers, at = [apart], list[str](), 0
    for mark in _MARK.finditer(text):
        piece = text[at : mark.start()]
        if mark["close"]:
            thoughts += [piece] if opened else [*answers, piece]
            answers = answers if opened else []
        else:
            (thoughts if opened else answers).append(piece)
        opened, at = not mark["close"], mark.end()
    (thoughts if opened else answers).append(text[at:])
    answer = "".join(answers)
    return Parts(
        reasoning="\n\n".join(thought.strip() for thought in thoughts if thought.strip()),
        answer=answer.strip() if at else answer,
        finished=not opened and bool(answer.strip() or not apart.strip()),
    )
