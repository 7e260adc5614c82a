"""An OpenAI-compatible server on loopback that answers by a script, with the faults that servers have."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Reply = tuple[int, dict[str, str], Any]
"""Status, headers, and what is sent: bytes as they are, a list of bytes piece by piece, anything else as JSON."""

PICTURE_TOKENS = 70


def tokens_of(body: Mapping[str, Any]) -> int:
    """What a prompt costs here: its words, and the same for each picture."""
    content = [part for message in body["messages"] for part in _parts(message["content"])]
    words = sum(len(part["text"].split()) for part in content if part["type"] == "text")
    frames = sum(part.get("video_url", {}).get("url", "").count(",") for part in content)
    return 5 + words + PICTURE_TOKENS * (frames + sum(part["type"] == "image_url" for part in content))


def _parts(content: Any) -> list[dict[str, Any]]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def completion(body: Mapping[str, Any], content: Any = "3.0 - 4.0", finish: Any = "stop", **message: Any) -> Body:
    """A chat completion as OpenAI forms it, with the tokens that `body` cost."""
    usage = {"prompt_tokens": tokens_of(body), "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}], "usage": usage}


def fine(path: str, body: Body) -> Reply:
    return 200, {}, completion(body)


def events(*chunks: Any) -> list[bytes]:
    """Server-sent events, one piece each, with the end."""
    return [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


class FakeServer:
    """Answers by `answer(path, body)` and keeps what it was sent: `seen` (path, body) and `headers`."""

    def __init__(
        self,
        answer: Callable[[str, Body], Reply] = fine,
        owner: str = "vllm",
        models: Reply | None = None,
        below: str = "/v1",
        root: str = "",
    ) -> None:
        self.seen: list[tuple[str, Body]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        listed = models or (200, {}, {"data": [{"id": "served", "owned_by": owner, "root": root}]})
        known = {f"{below}/models": listed, "/version": (200, {}, {"version": "9.9"})}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(known.get(self.path.partition("?")[0], (404, {}, {"detail": "no"})))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path.partition("?")[0] not in (f"{below}/chat/completions", "/detokenize"):
                    return self.reply((404, {}, {"detail": "no such page"}))
                outer.seen.append((self.path, body))
                outer.times.append(time.monotonic())
                return self.reply(answer(self.path, body))

            def reply(self, reply: Reply) -> None:
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, headers, data = reply
                if status == 0:  # the connection is lost
                    self.connection.close()
                    return
                self.send_response(status)
                if isinstance(data, list) and all(isinstance(piece, bytes) for piece in data) and data:
                    self.pieces(headers, data)
                    return
                encoded = data if isinstance(data, bytes) else json.dumps(data).encode()
                for name, value in {**headers, "content-length": str(len(encoded))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(encoded)

            def pieces(self, headers: dict[str, str], data: list[bytes]) -> None:
                pause = float(headers.pop("pause", 0))
                for name, value in {"content-type": "text/event-stream", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in data:
                    try:
                        self.wfile.write(piece)
                        self.wfile.flush()
                    except OSError:
                        return
                    time.sleep(pause)

            def log_message(self, *_: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def chats(self) -> list[Body]:
        return [body for path, body in self.seen if path.partition("?")[0].endswith("/chat/completions")]

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


Serve = Callable[..., FakeServer]


@contextmanager
def servers() -> Iterator[Serve]:
    """Makes servers that are gone after the block."""
    made: list[FakeServer] = []

    def make(*args: Any, **options: Any) -> FakeServer:
        made.append(FakeServer(*args, **options))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()
