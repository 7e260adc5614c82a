"""How often a server is asked, when again, how long, and how fast."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fake_server import Body, Reply, Serve, completion, events, fine
from hypothesis import given
from hypothesis import strategies as st
from server_requests import ask, ask_at_once, clip, request
from tenacity import Future, RetryCallState, Retrying

from viubench.engines.server import ServerEngine
from viubench.engines.server import http as server_http
from viubench.engines.server.arguments import Settings
from viubench.engines.server.rate_limit import RateLimit
from viubench.errors import EngineError, ViubenchError

wait = server_http.wait


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_http, "wait", lambda state: 0.0)


LATER: list[Reply] = [
    *((status, {}, {"error": {"message": "later"}}) for status in (408, 409, 425, 429, 500, 502, 503, 504)),
    *((status, {}, b"") for status in (520, 521, 522, 524, 529)),
    (0, {}, b""),
    (200, {}, {"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]}),
    (200, {}, {"choices": [{"message": {"content": ""}, "finish_reason": "error", "error": {"message": "overload"}}]}),
    (200, {}, {"error": {"code": 529, "message": "overloaded"}}),
    (200, {}, [b'data: {"choices": [{"delta": {"content": "A"}}]}\n\n']),  # breaks off
]


@pytest.mark.parametrize("later", LATER, ids=range(len(LATER)))
def test_what_another_try_may_mend_is_tried_again(serve: Serve, later: Reply) -> None:
    replies = iter([later] * 2)
    served = serve(lambda path, body: next(replies, fine(path, body)))
    assert ask(ServerEngine(None, [served.url], {}), request())[0].text == "3.0 - 4.0"
    assert len(served.chats()) == 3
    with pytest.raises(EngineError, match=r"\w+.*, after 2 tries"):
        ask(ServerEngine(None, [serve(lambda path, body: later).url], {"retries": "1"}), request())


@pytest.mark.parametrize("status", [300, 400, 401, 403, 404, 413, 422, 501])
def test_a_refusal_is_not_repeated_and_says_the_servers_words(serve: Serve, status: int) -> None:
    served = serve(lambda path, body: (status, {}, {"error": {"message": "prompt is too long"}}))
    with pytest.raises(EngineError, match=f"HTTP {status}: prompt is too long"):
        ask(ServerEngine(None, [served.url], {}), request())
    assert len(served.chats()) == 1


@pytest.mark.parametrize("settings", [{"transport": "images"}, {"transport": "auto"}])
@pytest.mark.parametrize(
    "words",
    [
        "At most 0 image(s) may be provided in one prompt.",
        "Processor returned 2 row(s) of data for 2 image(s), which cannot be split into the [5, 5] row(s) per image",
    ],
)
def test_a_server_that_takes_no_pictures_is_no_answer_to_any_question(
    serve: Serve, settings: dict[str, str], words: str
) -> None:
    served = serve(lambda path, body: (400, {}, {"error": {"message": words}}))
    with pytest.raises(ViubenchError, match=f"shows its model no pictures: HTTP 400: {words[:12]}"):
        ask(ServerEngine(None, [served.url], settings), request(clip()))


def test_a_try_has_a_limit_of_time_also_when_a_byte_comes_every_moment(serve: Serve) -> None:
    slow = serve(lambda path, body: (200, {"pause": "0.05", "content-type": "application/json"}, [b" "] * 200))
    with pytest.raises(EngineError, match=r"ReadTimeout after 0\.2 s, after 2 tries"):
        ask(ServerEngine(None, [slow.url], {"timeout": "0.2", "retries": "1"}), request())


def test_a_lost_connection_is_never_without_a_reason(serve: Serve) -> None:
    with pytest.raises(EngineError, match=r"/chat/completions: \w*Error\b.*after 1 try"):
        ask(ServerEngine(None, [serve(lambda path, body: (0, {}, b"")).url], {"retries": "0"}), request())


def test_the_time_of_a_try_grows_with_the_answer() -> None:
    connection = server_http.Connection(Settings(), ["http://host/v1"])
    assert connection._seconds({"max_tokens": 32_768}) > 1600
    assert server_http.Connection(Settings(timeout=3.0), [])._seconds({"max_tokens": 9}) == 3


def test_a_server_that_asks_to_wait_for_an_hour_is_not_waited_for(serve: Serve) -> None:
    served = serve(lambda path, body: (429, {"retry-after": "3600"}, {"error": {"message": "quota"}}))
    with pytest.raises(EngineError, match="HTTP 429: quota; it asks to wait 3600 s"):
        ask(ServerEngine(None, [served.url], {}), request())
    assert len(served.chats()) == 1


def asked_to_wait(seconds: float | None) -> float:
    state = RetryCallState(Retrying(), None, (), {})
    state.outcome = Future(1)
    state.outcome.set_exception(server_http.Busy("busy", wait=seconds))
    return wait(state)


def test_retry_after_is_honoured_within_bounds() -> None:
    assert 0.0 <= asked_to_wait(0.0) <= 1.0
    assert 3.0 <= asked_to_wait(3.0) <= 4.0
    assert asked_to_wait(1e6) == server_http.LONGEST_WAIT
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < (server_http.retry_after(soon) or 0) <= 30
    assert server_http.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert server_http.retry_after("2.5") == 2.5
    assert all(server_http.retry_after(odd) is None for odd in ("", "soon", "Wed, 99 Oct"))


@given(st.text(max_size=30))
def test_any_retry_after_is_seconds_or_nothing(text: str) -> None:
    seconds = server_http.retry_after(text)
    assert seconds is None or seconds >= 0


@given(st.floats(1, 1000), st.floats(100, 1e6), st.lists(st.tuples(st.floats(0, 5), st.integers(1, 5000)), max_size=40))
def test_no_minute_has_more_requests_than_the_limit(
    requests: float, tokens: float, calls: list[tuple[float, int]]
) -> None:
    now = 0.0
    limit = RateLimit(requests, tokens, clock=lambda: now)
    starts: list[float] = []
    for pause, spent in calls:
        now += pause
        starts.append(now + limit.reserve())
        limit.spent(spent)
    for first in range(len(starts)):
        inside = [start for start in starts[first:] if start < starts[first] + 60]
        assert len(inside) <= math.ceil(requests) + 1


def test_tokens_space_the_requests_out() -> None:
    now = 0.0
    limit = RateLimit(tokens=6000, clock=lambda: now)
    limit.usual = 100
    assert [limit.reserve() for _ in range(3)] == pytest.approx([0, 1, 2])
    limit.spent(700)  # six seconds more than was reckoned with
    assert limit.reserve() == pytest.approx(9)


def test_requests_a_minute_are_kept(serve: Serve) -> None:
    served = serve()
    ask_at_once(ServerEngine(None, [served.url], {"requests_per_minute": "1200"}), *[request()] * 8)
    gaps = [later - earlier for earlier, later in zip(served.times, served.times[1:], strict=False)]
    assert sum(gaps) > 0.3
    with pytest.raises(ViubenchError, match="above 0"):
        ServerEngine(None, [served.url], {"requests_per_minute": "0"})


def test_the_first_question_does_not_keep_the_others_waiting_when_it_fails(serve: Serve) -> None:
    inside: list[int] = []
    most: list[int] = []

    def broken(path: str, body: Body) -> Reply:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.1)
        inside.pop()
        return 400, {}, {}

    ask_at_once(ServerEngine(None, [serve(broken).url], {}), *[request() for _ in range(8)])
    assert max(most) > 1, "they were asked one after the other"


def test_a_reset_stream_is_asked_again(serve: Serve) -> None:
    def streamed(path: str, body: Body) -> Reply:
        return (
            200,
            {},
            events({"error": {"message": "engine died"}})
            if len(served.seen) < 2
            else [*events(completion(body) | {"choices": [{"delta": {"content": "B"}, "finish_reason": "stop"}]})],
        )

    served = serve(streamed)
    assert ask(ServerEngine(None, [served.url], {}), request())[0].text == "B"


def test_the_limit_works_in_any_event_loop() -> None:
    limit = RateLimit(6000)
    asyncio.run(limit.turn())
    asyncio.run(limit.turn())
