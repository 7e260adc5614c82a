"""An OpenAI-compatible server in a process of its own: it answers by the question alone, and fails by a script.

Example:
    with endpoint.serving({12: "429", 13: "cut"}) as url:
        ...
"""

from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LONG = 8.0
"""Seconds that a hanging server takes: longer than a try may last."""

Fail = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def serving(script: Mapping[int, str]) -> Iterator[str]:
    """The address of a server that fails requests of these numbers, counted from 0, in these ways of `FAILURES`."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(dict(script), theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.kill()
        process.join()


def _serve(script: dict[int, str], port: Any) -> None:
    numbers = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            send(self, 200, json.dumps({"data": [{"id": "served", "owned_by": "bench"}]}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            whole = json.dumps(completion(body)).encode()
            with suppress(OSError):  # the client has gone
                FAILURES[script.get(next(numbers), "")](self, whole)

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that was killed."""

    server = Server(("127.0.0.1", 0), Handler)
    port.send(server.server_address[1])
    server.serve_forever()


def completion(body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer that depends on the request alone, and is a right one now and then."""
    content = [part for message in body["messages"] for part in message["content"] if isinstance(part, dict)]
    digest = hashlib.sha256(json.dumps([body["messages"], body.get("seed")]).encode()).digest()
    start = digest[0] % 5
    text = ("1, 0, 2", f"From {start}.0 to {start + 2}.5 seconds.", "Answer: 2, 1, 3", "Hard to say.")[digest[1] % 4]
    words = sum(len(part.get("text", "").split()) for part in content)
    usage = {"prompt_tokens": words + 50 * sum("image_url" in part for part in content), "completion_tokens": 9}
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": usage}


def send(to: BaseHTTPRequestHandler, status: int, body: bytes, sent: int | None = None, **headers: str) -> None:
    """Reply with `body`, of which only the first `sent` bytes are sent before the connection is lost."""
    to.send_response(status)
    for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    to.wfile.write(body[:sent])
    if sent is not None:
        to.close_connection = True


def _slow(to: BaseHTTPRequestHandler, body: bytes) -> None:
    time.sleep(0.5)
    send(to, 200, body)


def _hang(to: BaseHTTPRequestHandler, body: bytes) -> None:
    time.sleep(LONG)
    to.close_connection = True


def _lost(to: BaseHTTPRequestHandler, body: bytes) -> None:
    to.close_connection = True


FAILURES: dict[str, Fail] = {
    "": lambda to, body: send(to, 200, body),
    "429": lambda to, body: send(to, 429, b'{"error": {"message": "too many requests"}}', retry_after="0"),
    "500": lambda to, body: send(to, 500, b"Internal Server Error"),
    "503": lambda to, body: send(to, 503, b"<html>busy</html>"),
    "400": lambda to, body: send(to, 400, b'{"error": {"message": "no", "code": 400}}'),
    "cut": lambda to, body: send(to, 200, body, len(body) // 2),
    "half": lambda to, body: send(to, 200, body[: len(body) // 2]),
    "garbage": lambda to, body: send(to, 200, b"\xff\xfe{}[" * 50),
    "nested": lambda to, body: send(to, 200, b"[" * 100_000),
    "empty": lambda to, body: send(to, 200, b""),
    "null": lambda to, body: send(to, 200, b'{"choices": [null]}'),
    "error": lambda to, body: send(to, 200, b'{"error": {"message": "overloaded"}}'),
    "abort": lambda to, body: send(to, 200, body.replace(b'"stop"', b'"abort"')),
    "slow": _slow,
    "hang": _hang,
    "lost": _lost,
}  # fmt: skip
