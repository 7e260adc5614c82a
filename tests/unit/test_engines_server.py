"""The server engine against a scripted endpoint on loopback: retries, refusals, transports, keys."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import pytest
from tenacity import Future, RetryCallState, Retrying

from viubench.engines import server as module
from viubench.engines import server_payload
from viubench.engines.base import Request, Response
from viubench.engines.server import ServerEngine
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Decoding, Sample
from viubench.video.frames import VideoInput

Reply = tuple[int, dict[str, str], Any]
ANSWER = {
    "choices": [{"message": {"content": "3.0 - 4.0"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
}


class Endpoint:
    """An HTTP server that answers by `answer(path, body)` and keeps what it was sent."""

    def __init__(self, answer: Callable[[str, dict[str, Any]], Reply], owner: str = "vllm") -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = {"/v1/models": {"data": [{"id": "served", "owned_by": owner}]}, "/version": {"version": "9.9"}}
                self.reply((200, {}, known[self.path]) if self.path in known else (404, {}, {"detail": "no"}))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.seen.append((self.path, body))
                self.reply(answer(self.path, body))

            def reply(self, reply: Reply) -> None:
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, headers, data = reply
                encoded = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(encoded))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, *_: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def chats(self) -> list[dict[str, Any]]:
        return [body for path, body in self.seen if path == "/v1/chat/completions"]


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Endpoint]]:
    made: list[Endpoint] = []

    def make(answer: Callable[[str, dict[str, Any]], Reply], owner: str = "vllm") -> Endpoint:
        made.append(Endpoint(answer, owner))
        return made[-1]

    yield make
    for one in made:
        one.http.shutdown()
        one.http.server_close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_wait", lambda state: 0.0)


def clip(seed: int = 0, step: float = 1.0) -> VideoInput:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 32, 32, 3), np.uint8)
    times = tuple(step * number for number in range(4))
    return VideoInput(pixels, 25.0, tuple(round(25 * time) for time in times), times, 500, 20.0)


def request(*videos: VideoInput) -> Request:
    sample = Sample(
        id="s",
        task="t",
        cluster="c",
        clips=(),
        question="<video>" * len(videos) + "\nWhen?",
        target=None,
        answer_text="",
    )
    return Request(sample, videos, tuple(video.pixel_hash() for video in videos), Decoding(max_tokens=7))


def ask(engine: ServerEngine, *requests: Request) -> list[Response]:
    async def all_of_them() -> list[Response]:
        async with engine:
            return [await engine.generate(each) for each in requests]

    return asyncio.run(all_of_them())


def fine(path: str, body: dict[str, Any]) -> Reply:
    return 200, {}, ANSWER


def test_a_vllm_server_gets_one_video_with_its_clock(endpoint: Callable[..., Endpoint]) -> None:
    served, video = endpoint(fine), clip()
    engine = ServerEngine(None, [served.url], {"transport_format": "png"})
    (response,) = ask(engine, request(video))
    assert response.usage == {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 4}
    assert (response.text, response.finish_reason) == ("3.0 - 4.0", "stop")
    (body,) = served.chats()
    assert body["media_io_kwargs"]["video"]["frames_indices"] == [0, 25, 50, 75]
    assert body["media_io_kwargs"]["video"]["num_frames"] == -1
    assert (body["temperature"], body["max_tokens"], body["top_k"]) == (0.0, 7, 0)
    part = body["messages"][0]["content"][0]
    head, frames = part["video_url"]["url"].split(",", 1)
    assert head == "data:video/jpeg;base64"
    assert part["uuid"].startswith(video.pixel_hash())
    raw = [np.frombuffer(base64.b64decode(text), np.uint8) for text in frames.split(",")]
    decoded = [cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for data in raw]
    assert np.array_equal(np.stack(decoded), video.pixels)
    assert engine.describe()["settings"]["transport"] == "video/png"
    assert engine.describe()["version"] == "vllm 9.9"


def test_a_server_that_refuses_the_clock_gets_images(endpoint: Callable[..., Endpoint]) -> None:
    def strict(path: str, body: dict[str, Any]) -> Reply:
        refused = {"error": {"message": "start with --trust-request-mm-kwargs"}}
        return (400, {}, refused) if "media_io_kwargs" in body else (200, {}, ANSWER)

    served = endpoint(strict)
    engine = ServerEngine(None, [served.url], {})
    responses = ask(engine, request(clip()), request(clip(1)))
    assert [response.usage["shown_as_images"] for response in responses] == [1, 1]
    assert len(served.chats()) == 3  # one refused, then never tried again
    parts = served.chats()[1]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"] * 4 + ["text"]
    assert [part["text"] for part in parts[0:8:2]] == [f"<{second}.0 seconds>" for second in range(4)]
    assert engine.describe()["settings"]["transport"] == "images/jpeg-q95"
    with pytest.raises(EngineError, match="trust-request-mm-kwargs"):
        ask(ServerEngine(None, [served.url], {"transport": "video"}), request(clip()))


def test_other_servers_get_images_and_only_standard_fields(endpoint: Callable[..., Endpoint]) -> None:
    served = endpoint(fine, owner="someone")
    ask(ServerEngine("served", [served.url + "/v1/"], {}), request(clip()))
    (body,) = served.chats()
    assert set(body) == {"model", "messages", "temperature", "top_p", "seed", "max_tokens"}


def test_videos_of_different_clocks_go_as_images(endpoint: Callable[..., Endpoint]) -> None:
    assert server_payload.shared_clock(request(clip(), clip(1))) is not None
    assert server_payload.shared_clock(request(clip(), clip(1, step=2.0))) is None
    served = endpoint(fine)
    responses = ask(ServerEngine(None, [served.url], {}), request(clip(), clip(1, step=2.0)), request(clip(), clip(1)))
    assert [response.usage.get("shown_as_images", 0) for response in responses] == [1, 0]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_servers_are_asked_again(endpoint: Callable[..., Endpoint], status: int) -> None:
    replies: Iterator[Reply] = iter([(status, {}, {"error": {"message": "later"}})] * 2 + [(200, {}, ANSWER)])
    served = endpoint(lambda path, body: next(replies))
    assert ask(ServerEngine(None, [served.url], {}), request())[0].text == "3.0 - 4.0"
    assert len(served.chats()) == 3


def test_tries_are_bounded(endpoint: Callable[..., Endpoint]) -> None:
    served = endpoint(lambda path, body: (503, {}, {"detail": "overloaded"}))
    with pytest.raises(EngineError, match=r"HTTP 503: overloaded, after 3 tries"):
        ask(ServerEngine(None, [served.url], {"retries": "2"}), request())
    assert len(served.chats()) == 3


def test_a_refusal_is_not_repeated_and_says_the_servers_words(endpoint: Callable[..., Endpoint]) -> None:
    served = endpoint(lambda path, body: (400, {}, {"error": {"message": "prompt is too long"}}))
    with pytest.raises(EngineError, match="HTTP 400: prompt is too long"):
        ask(ServerEngine(None, [served.url], {}), request())
    assert len(served.chats()) == 1


@pytest.mark.parametrize("data", [b"<html>", {"choices": []}, [1]])
def test_answers_out_of_form_are_errors_of_one_request(endpoint: Callable[..., Endpoint], data: Any) -> None:
    served = endpoint(lambda path, body: (200, {}, data))
    with pytest.raises(EngineError, match=r"JSON|choices"):
        ask(ServerEngine(None, [served.url], {}), request())


def test_several_urls_share_the_load(endpoint: Callable[..., Endpoint]) -> None:
    both = [endpoint(fine), endpoint(fine)]
    ask(ServerEngine(None, [one.url for one in both], {}), *[request()] * 6)
    assert [len(one.chats()) for one in both] == [3, 3]


def test_a_server_that_goes_away_loses_no_answer(endpoint: Callable[..., Endpoint]) -> None:
    both = [endpoint(fine), endpoint(fine)]

    async def some() -> list[Response]:
        async with ServerEngine(None, [one.url for one in both], {}) as engine:
            first = [await engine.generate(request()) for _ in range(2)]
            both[0].http.shutdown()
            both[0].http.server_close()
            return first + list(await asyncio.gather(*(engine.generate(request()) for _ in range(6))))

    assert [response.text for response in asyncio.run(some())] == ["3.0 - 4.0"] * 8
    assert [len(one.chats()) for one in both] == [1, 7]


def test_a_wrong_timestamp_stops_the_run(endpoint: Callable[..., Endpoint]) -> None:
    def resampled(path: str, body: dict[str, Any]) -> Reply:
        if path == "/detokenize":
            return 200, {}, {"prompt": "<7.0 seconds>x<8.0 seconds>"}
        return 200, {}, ANSWER | {"prompt_token_ids": [1, 2]}

    with pytest.raises(ViubenchError, match=r"holds 2 frame times, <7\.0 seconds>"):
        ask(ServerEngine(None, [endpoint(resampled).url], {}), request(clip()))


def test_nobody_there_and_wrong_names_are_said(endpoint: Callable[..., Endpoint]) -> None:
    with pytest.raises(ViubenchError, match="no OpenAI-compatible server"):
        ask(ServerEngine(None, ["http://127.0.0.1:9"], {"retries": "0"}))
    with pytest.raises(ViubenchError, match="does not serve another"):
        ask(ServerEngine("another", [endpoint(fine).url], {}))


def test_the_key_is_sent_and_never_shown(endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    served = endpoint(fine)
    engine = ServerEngine(None, [served.url], {})
    ask(engine, request())
    assert served.headers[-1]["authorization"] == "Bearer sk-secret"
    assert "secret" not in repr(engine.describe()) + repr(vars(engine))


def test_retry_after_is_honoured_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    state = RetryCallState(Retrying(), None, (), {})
    waits = {}
    for asked in (0.0, 3.0, 1e6):
        state.outcome = Future(1)
        state.outcome.set_exception(module._Busy("busy", wait=asked))
        waits[asked] = module._wait(state)
    assert 0.0 <= waits[0.0] <= 1.0
    assert 3.0 <= waits[3.0] <= 4.0
    assert waits[1e6] == module.LONGEST_WAIT
