"""From a server's chat completion, of whatever form, to a response.

Example:
    >>> answer = {"choices": [{"message": {"content": None, "reasoning": "Well,"}, "finish_reason": "max_tokens"}]}
    >>> response = response_of(answer)
    >>> response.text, response.reasoning, response.finish_reason
    ('', 'Well,', 'length')
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from viubench.engines.base import Response
from viubench.engines.server.message import one_line, said
from viubench.errors import EngineError

MOST_CHARACTERS = 2**20
"""Of one answer; a longer one comes from no model that was asked for some thousand tokens."""

FINISHES = {
    "length": ("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length"),
    "refused": ("content_filter", "refusal", "refused", "safety", "recitation", "blocklist", "prohibited_content"),
    "stop": ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "completed"),
}
"""What servers call the three ways in which an answer ends."""

_KNOWN = {name: finish for finish, names in FINISHES.items() for name in names}
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def response_of(answer: Mapping[str, Any], seconds: float = 0.0, first_token: float | None = None) -> Response:
    """The response in a chat completion; raises EngineError where there is none.

    A `refusal` and a content filter finish as "refused".
    """
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    finish = finish_of(choice.get("finish_reason")) if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        if finish != "refused":
            shown = one_line(json.dumps(answer)[:2000], 200)
            raise EngineError(f"the server's answer has no choices[0].message: {shown}")
        message = {}
    words = said(message)
    refusal = _plain(words.refusal, "refusal")
    return Response(
        _plain(words.content, "content") or refusal,
        "refused" if refusal else finish,
        usage_of(answer),
        seconds,
        reasoning=_plain(words.reasoning, "reasoning"),
        first_token=first_token,
    )


def finish_of(reason: Any) -> str | None:
    """A server's finish reason under the name that records have; an unknown one as it is, None where it is no text."""
    if not isinstance(reason, str):
        return None
    word = _plain(reason, "finish reason").strip().lower()
    return _KNOWN.get(re.split(r"[:\s]", word, maxsplit=1)[0], word)


def usage_of(answer: Mapping[str, Any]) -> dict[str, int]:
    """Token counts, those that are there: prompt, completion, of them reasoning, and cached."""
    used = answer.get("usage")
    counts: dict[str, Any] = used if isinstance(used, dict) else {}
    found = {name: counts.get(name) for name in ("prompt_tokens", "completion_tokens")}
    for name, details in (
        ("cached_tokens", "prompt_tokens_details"),
        ("reasoning_tokens", "completion_tokens_details"),
    ):
        inner = counts.get(details)
        found[name] = inner.get(name) if isinstance(inner, dict) else None
    return {name: int(n) for name, n in found.items() if isinstance(n, int | float) and 0 <= n < 2**53}


def _plain(text: str, name: str) -> str:
    """A text that UTF-8 can hold; EngineError for an endless one."""
    if len(text) > MOST_CHARACTERS:
        raise EngineError(f"the answer's {name} has {len(text):,} characters")
    return _LONE_SURROGATE.sub("\ufffd", text)
