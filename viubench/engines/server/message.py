"""What a message of a server says, thinks and refuses, in whichever of the forms that servers have.

Example:
    >>> parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "B?"}]}, {"type": "text", "text": "A"}]
    >>> said({"content": parts})
    Said(content='A', reasoning='B?', refusal='')
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from viubench.errors import EngineError
from viubench.storage.secrets import mask

REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Where a message may have its reasoning; servers that fill several say the same in each."""

TYPES = {
    "reasoning": ("thinking", "reasoning", "reasoning_content", "redacted_thinking"),
    "refusal": ("refusal",),
}
"""The types of a part of the content that are not the answer."""

TEXTS = ("text", "thinking", "reasoning", "summary", "refusal")
"""Where a part has its text."""


@dataclass(frozen=True)
class Said:
    """The texts of a message, or of a piece of one."""

    content: str = ""
    reasoning: str = ""
    refusal: str = ""


def said(message: Mapping[str, Any]) -> Said:
    """The texts of a message; raises EngineError for one that is of no known form."""
    pieces: dict[str, list[str]] = {"content": [], "reasoning": [], "refusal": []}
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        text = _text(part, "content", whole=not isinstance(content, list))
        pieces[_kind(part)].append(text)
    for name in REASONING:
        if not any(pieces["reasoning"]):
            value = message.get(name)
            details = value if isinstance(value, list) else [value]
            pieces["reasoning"] = [_text(part, name, whole=not isinstance(value, list)) for part in details]
    pieces["refusal"].append(_text(message.get("refusal"), "refusal", whole=True))
    return Said(**{name: "".join(texts) for name, texts in pieces.items()})


def text_of(value: Any) -> str | None:
    """The text of a value: itself, the texts of a list of parts, or a number as it is written; None where there is
    none."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in value]
        return "".join(part for part in parts if isinstance(part, str))
    if isinstance(value, dict):
        return value["text"] if isinstance(value.get("text"), str) else None
    return json.dumps(value)


def one_line(text: str, most: int = 400) -> str:
    """A server's words, without secrets, line breaks and what is more than `most` characters."""
    return " ".join(mask(text).split())[:most]


def _kind(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    return next((name for name, types in TYPES.items() if kind in types), "content")


def _text(part: Any, name: str, *, whole: bool) -> str:
    """The text of a part; one that has none, as a picture, is an error where it is the `whole`."""
    if not isinstance(part, dict):
        return text_of(part) or ""
    found = (text_of(part[key]) for key in TEXTS if part.get(key) is not None)
    text = next((text for text in found if text is not None), None)
    if text is None and whole:
        raise EngineError(f"the answer's {name} is no text: {one_line(json.dumps(part)[:2000], 120)}")
    return text or ""
