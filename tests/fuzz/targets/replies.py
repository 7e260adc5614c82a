"""What a server sends in reply: JSON or a stream, in pieces.

Example:
    once(b'\\x00{"choices": []}')
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from viubench.engines.server import http
from viubench.engines.server.replies import response_of
from viubench.engines.server.stream import Body, Broken
from viubench.errors import EngineError

TYPES = ("application/json", "text/event-stream", "", "text/html; charset=latin-1")


def seeds() -> Iterator[bytes]:
    message = {"content": [{"type": "text", "text": "B"}], "reasoning": "Well", "refusal": None}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    logprobs = {"content": [{"token": "B", "logprob": -0.1, "top_logprobs": []}]}
    choice = {"message": message, "finish_reason": "stop", "logprobs": logprobs, "index": 0}
    whole = json.dumps({"choices": [choice], "usage": usage, "model": "m"}).encode()
    yield b"\x00" + whole
    yield b"\x00" + json.dumps({"error": {"message": "busy", "code": 429, "param": "n"}}).encode()
    pieces = [{"choices": [{"delta": {"content": one}, "finish_reason": None}]} for one in ("A", "nswer", ": B")]
    pieces.append({"choices": [{"delta": {}, "finish_reason": "length"}], "usage": usage})
    events = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in pieces) + b"data: [DONE]\n\n"
    yield b"\x01" + events
    yield b"\x02: comment\r\nevent: x\r\n" + events


def once(data: bytes) -> None:
    """The first byte says the type of the content, and how long the pieces are."""
    first, sent = (data[0] if data else 0), data[1:]
    body = Body(TYPES[first % 4])
    size = 1 + (first // 4) ** 2
    try:
        for place in range(0, len(sent), size):
            body.feed(sent[place : place + size])
        answer = body.answer()
        http._raise_for_error("http://x", answer)
        response = response_of(answer, 0.1, body.first_token)
    except (EngineError, Broken, http.Busy):
        return
    response.text.encode()
    response.reasoning.encode()
    assert all(isinstance(count, int) for count in response.usage.values())
    http.retry_after(sent[:40].decode("latin-1"))
