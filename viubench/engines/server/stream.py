"""The body of a server's answer as it arrives: JSON at once, or a stream of events put together to the same JSON.

Example:
    body = Body("text/event-stream")
    body.feed(b'data: {"choices": [{"delta": {"content": "A"}, "finish_reason": "stop"}]}\\n\\n')
    body.answer()["choices"][0]["message"]["content"]   # 'A'
"""

from __future__ import annotations

import json
import time
from typing import Any

from viubench.engines.server.message import one_line, said
from viubench.errors import EngineError

MOST_BYTES = 32 * 2**20
"""Of one answer, unpacked; what is longer is no answer to a question of ours."""

BOM = b"\xef\xbb\xbf"
FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How the lines of a stream of events begin, and JSON never does."""


class Broken(Exception):
    """The stream ended before the answer did, or said that it failed."""


class Body:
    """Collects one answer; `first_token` is when its first piece came, on the clock of `time.perf_counter`."""

    def __init__(self, content_type: str) -> None:
        self.events = "event-stream" in content_type
        self.first_token: float | None = None
        self._size = 0
        self._pieces: list[bytes] = []  # of JSON, or of a line that is not whole yet
        self._texts: dict[str, list[str]] = {}
        self._choice: dict[str, Any] = {}
        self._whole: dict[str, Any] = {}
        self._seen = self._done = False

    def feed(self, data: bytes) -> None:
        """The next bytes; raises EngineError for too many of them."""
        self._size += len(data)
        if self._size > MOST_BYTES:
            raise EngineError(f"the answer has more than {MOST_BYTES // 2**20} MiB")
        if not self.events:
            self._pieces.append(data)
            return
        head, newline, rest = data.rpartition(b"\n")
        if newline:
            lines, self._pieces = b"".join([*self._pieces, head]).split(b"\n"), []
            for line in lines:
                self._line(line)
        self._pieces.append(rest)

    def answer(self) -> dict[str, Any]:
        """The completion as one object; raises EngineError for another thing, Broken for a stream that broke off."""
        if not self.events and self._starts_like_events():
            self.events = True
            whole, self._pieces, self._size = self.raw(), [], 0
            self.feed(whole)
        if not self.events:
            return parsed(self.raw())
        self._line(self.raw())
        if "error" in self._whole:
            return self._whole
        if not self._seen:
            more = f": {one_line(json.dumps(self._whole)[:2000], 200)}" if self._whole else ""
            raise EngineError(f"the stream held no answer{more}")
        if not self._done and self._choice.get("finish_reason") is None:
            raise Broken("the stream broke off")
        message = {name: "".join(pieces) for name, pieces in self._texts.items()}
        return self._whole | {"choices": [{"message": message, **self._choice}]}

    def raw(self) -> bytes:
        """What came of a body that is no stream."""
        return b"".join(self._pieces)

    def _starts_like_events(self) -> bool:
        return self.raw()[:64].removeprefix(BOM).lstrip().startswith(FIELDS)

    def _line(self, line: bytes) -> None:
        name, _, value = line.removeprefix(BOM).strip().partition(b":")
        if name != b"data":  # comments that keep the connection open, names of events
            return
        if value.strip() == b"[DONE]":
            self._done = True
            return
        event = parsed(value)
        self._whole |= {key: one for key, one in event.items() if key != "choices" and one is not None}
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        self._seen = True
        kept = {key: one for key, one in choice.items() if key not in ("delta", "message") and one is not None}
        self._choice |= kept
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            self._collect(delta)

    def _collect(self, delta: dict[str, Any]) -> None:
        for part, piece in vars(said(delta)).items():
            self._texts.setdefault(part, []).append(piece)
            if piece and self.first_token is None:
                self.first_token = time.perf_counter()


def parsed(data: bytes) -> dict[str, Any]:
    """A JSON object; EngineError for anything else."""
    if not data.strip():
        raise EngineError("the answer is empty")
    try:
        value = json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        raise EngineError(f"the answer is no JSON: {start_of(data)}") from None
    if not isinstance(value, dict):
        raise EngineError(f"the answer is no JSON object: {start_of(data)}")
    return value


def start_of(data: bytes) -> str:
    """The beginning of what is not understood, on one line."""
    return one_line(data[:2000].decode("utf-8", "replace"), 120)
