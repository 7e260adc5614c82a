"""What servers answer, in form and out of form, becomes a response or the error of one request."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from fake_server import Body, Reply, Serve, completion, events
from hypothesis import given, settings
from hypothesis import strategies as st
from server_requests import ask, ask_at_once, clip, request

from viubench.engines.base import Response
from viubench.engines.server import ServerEngine
from viubench.engines.server import http as server_http
from viubench.engines.server import replies as server_replies
from viubench.engines.server import stream as server_stream
from viubench.engines.server.replies import finish_of, response_of
from viubench.engines.server.stream import Body as Collected
from viubench.engines.server.stream import Broken
from viubench.errors import EngineError


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_http, "wait", lambda state: 0.0)


def choice(content: Any, finish: Any = "stop", **message: Any) -> Body:
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("B", "B"),
        ([{"type": "text", "text": "The "}, {"type": "text", "text": "end"}, {"type": "image_url"}], "The end"),
        (["a", "b"], "ab"),
        ({"type": "text", "text": "B"}, "B"),
        (4.5, "4.5"),
        (True, "true"),
        (None, ""),
        ("\ud800B", "\ufffdB"),
        ([], ""),
        ([{"type": "thinking", "thinking": "C?"}, {"type": "text", "text": "B"}], "B"),
        ([{"type": "reasoning", "text": "C?"}, {"type": "output_text", "text": "B"}], "B"),
    ],
)
def test_content_of_any_form_is_text(content: Any, text: str) -> None:
    assert response_of(choice(content)).text == text


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": [None]},
        {"choices": ["B"]},
        {"choices": [{}]},
        {"choices": [{"message": "B"}]},
        choice({"a": 1}),
        choice("x" * (server_replies.MOST_CHARACTERS + 1)),
    ],
)
def test_what_holds_no_answer_is_an_error(answer: Body) -> None:
    with pytest.raises(EngineError):
        response_of(answer)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "thinking"])
def test_reasoning_is_kept_apart(name: str) -> None:
    response = response_of(choice(None, "length", **{name: "First, \udc00"}))
    assert (response.text, response.reasoning, response.finish_reason) == ("", "First, \ufffd", "length")


THOUGHTS: dict[str, Body] = {
    "details": choice(
        "B", reasoning_details=[{"type": "reasoning.text", "text": "C"}, {"summary": "?"}, {"data": "x"}]
    ),
    "twice": choice("B", reasoning="C?", reasoning_details=[{"type": "reasoning.text", "text": "C?"}]),
    "parts": choice(
        [{"type": "thinking", "thinking": [{"type": "text", "text": "C?"}]}, {"type": "text", "text": "B"}]
    ),
    "untitled": choice([{"type": "reasoning", "text": "C"}, {"type": "thinking", "thinking": "?"}, "B"]),
    "empty": choice("B", reasoning_content="", reasoning="C?"),
    "object": choice("B", reasoning={"text": "C?"}),
}


@pytest.mark.parametrize("form", THOUGHTS)
def test_reasoning_of_any_form_is_no_part_of_the_answer(form: str) -> None:
    whole, delta = THOUGHTS[form], json.loads(json.dumps(THOUGHTS[form]).replace('"message"', '"delta"'))
    streamed = Collected("text/event-stream")
    streamed.feed(b"".join(events(delta)))
    for answer in (whole, streamed.answer()):
        response = response_of(answer)
        assert (response.text, response.reasoning) == ("B", "C?")


@pytest.mark.parametrize(
    ("given", "finish"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("content_filter", "refused"),
        ("content_filter: PROHIBITED_CONTENT", "refused"),
        ("SAFETY", "refused"),
        ("tool_calls", "tool_calls"),
        (None, None),
        (3, None),
    ],
)
def test_finish_reasons_have_one_name(given: Any, finish: str | None) -> None:
    assert finish_of(given) == finish


def test_refusals_are_refused() -> None:
    response = response_of(choice(None, refusal="I cannot."))
    assert (response.text, response.finish_reason) == ("I cannot.", "refused")
    part = response_of(choice([{"type": "refusal", "refusal": "I cannot."}]))
    assert (part.text, part.finish_reason) == ("I cannot.", "refused")
    assert response_of({"choices": [{"finish_reason": "content_filter"}]}).finish_reason == "refused"


@pytest.mark.parametrize("usage", [[1], "x", None, {"prompt_tokens": "9"}, {"prompt_tokens_details": [1]}])
def test_odd_usage_is_no_usage(usage: Any) -> None:
    assert response_of(choice("B") | {"usage": usage}).usage == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
parts = st.sampled_from(["choices", "message", "content", "finish_reason", "usage", "reasoning", "refusal", "delta"])
shaped = st.recursive(
    json_values, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(parts, inner, max_size=4), max_leaves=12
)


@settings(max_examples=40)
@given(st.dictionaries(parts, shaped, max_size=4))
def test_any_object_gives_a_response_that_utf8_can_hold_or_an_error(answer: Body) -> None:
    try:
        response = response_of(answer)
    except EngineError:
        return
    (response.text + response.reasoning + (response.finish_reason or "")).encode()


@settings(max_examples=40)
@given(st.lists(shaped, max_size=4), st.integers(min_value=1, max_value=50))
def test_any_stream_gives_an_object_or_an_error(chunks: list[Any], size: int) -> None:
    body, data = Collected("text/event-stream"), b"".join(events(*chunks))
    try:
        for start in range(0, len(data), size):
            body.feed(data[start : start + size])
        response_of(body.answer())
    except (EngineError, Broken):
        return


@given(st.text(max_size=40), st.integers(min_value=1, max_value=20))
def test_a_stream_says_the_same_however_it_is_cut(text: str, size: int) -> None:
    deltas = [{"choices": [{"delta": {"content": text[at : at + 5]}}]} for at in range(0, len(text), 5)]
    data = b": hello\n\n" + b"".join(events(*deltas, {"choices": [{"delta": {}, "finish_reason": "length"}]}))
    body = Collected("text/event-stream")
    for start in range(0, len(data), size):
        body.feed(data[start : start + size])
    response = response_of(body.answer())
    assert (response.text, response.finish_reason) == (text.encode("utf-8", "replace").decode(), "length")
    assert (body.first_token is not None) == bool(text)


def test_a_streamed_answer_is_the_same_and_has_the_time_of_its_first_token(serve: Serve) -> None:
    def streamed(path: str, body: Body) -> Any:
        deltas = [{"role": "assistant", "content": ""}, {"reasoning": "Well"}, {"content": "A"}, {"content": "B"}]
        chunks: list[Body] = [{"choices": [{"delta": delta}]} for delta in deltas]
        chunks += [
            {"choices": [{"delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 9}},
        ]
        return 200, {"pause": "0.05"}, events(*chunks)

    served = serve(streamed)
    (response,) = ask(ServerEngine(None, [served.url], {}), request())
    assert (response.text, response.reasoning, response.finish_reason) == ("AB", "Well", "stop")
    assert response.usage == {"prompt_tokens": 9}
    assert response.first_token is not None
    assert 0.05 <= response.first_token < response.seconds
    assert served.chats()[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("start", [b"", b": ping\n\n", b"event: message\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_a_stream_that_nobody_asked_for_is_read(serve: Serve, start: bytes, kind: str) -> None:
    data = start + b"".join(events({"choices": [{"delta": {"content": "B"}, "finish_reason": "stop"}]}))
    served = serve(lambda path, body: (200, {"content-type": kind}, data))
    assert ask(ServerEngine(None, [served.url], {}), request())[0].text == "B"


@pytest.mark.parametrize("words", ["This model only support stream mode.", "Non-streaming requests are not supported"])
def test_a_server_that_only_streams_is_asked_for_a_stream(serve: Serve, words: str) -> None:
    def streams(path: str, body: Body) -> Reply:
        if "stream" not in body:
            return 400, {}, {"error": {"message": words}}
        usage = completion(body)["usage"]
        return 200, {}, events({"choices": [{"delta": {"content": "B"}, "finish_reason": "stop"}], "usage": usage})

    served = serve(streams, owner="someone")
    engine = ServerEngine(None, [served.url], {})
    answers = ask_at_once(engine, *[request(clip()) for _ in range(3)])
    assert [one.text for one in answers if isinstance(one, Response)] == ["B"] * 3
    assert engine.describe()["settings"]["sight"] == "prompt tokens"
    with pytest.raises(EngineError, match=r"HTTP 400: .*stream"):
        ask(ServerEngine(None, [served.url], {"stream": "false"}), request())


def test_json_may_begin_with_a_byte_order_mark(serve: Serve) -> None:
    mark, listed = b"\xef\xbb\xbf", {"data": [{"id": "served"}]}
    served = serve(
        lambda path, body: (200, {}, mark + json.dumps(completion(body, "B")).encode()),
        models=(200, {}, mark + json.dumps(listed).encode()),
    )
    assert ask(ServerEngine(None, [served.url], {}), request())[0].text == "B"


def test_a_server_that_does_not_stream_is_asked_without(serve: Serve) -> None:
    def whole(path: str, body: Body) -> Any:
        refused = {"error": {"message": "stream_options is not supported"}}
        return (400, {}, refused) if "stream_options" in body else (200, {}, completion(body))

    served = serve(whole)
    assert [one.text for one in ask(ServerEngine(None, [served.url], {}), request(), request())] == ["3.0 - 4.0"] * 2
    assert ["stream" in body for body in served.chats()] == [True, False, False]


BROKEN = [
    b"",
    b"   ",
    b"<html>busy</html>",
    b"[1]",
    b"3",
    b"[" * 200_000,
    b'{"choices": [{"message": {"content": "\\ud800" }',
    b"\xff\xfe",
    {"choices": []},
]


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_answers_out_of_form_are_errors_of_one_request(serve: Serve, data: Any) -> None:
    with pytest.raises(EngineError, match=r"no JSON|empty|choices"):
        ask(ServerEngine(None, [serve(lambda path, body: (200, {}, data)).url], {}), request())


def test_an_answer_without_end_is_cut(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_stream, "MOST_BYTES", 2**20)
    bomb = gzip.compress(b" " * 2**24)
    for headers, data in (({}, b" " * (2**20 + 1)), ({"content-encoding": "gzip"}, bomb)):
        engine = ServerEngine(None, [serve(lambda path, body, sent=(200, headers, data): sent).url], {})
        with pytest.raises(EngineError, match="more than 1 MiB"):
            ask(engine, request())


@pytest.mark.parametrize(
    "refused",
    [
        {"error": {"code": 402, "message": "no credit"}},
        {"error": {"code": "402", "message": "no credit"}},
        {"object": "error", "code": 402, "message": "no credit"},
        {"code": 402, "msg": "no credit", "choices": None},
    ],
)
def test_an_error_inside_of_an_answer_is_said(serve: Serve, refused: Body) -> None:
    served = serve(lambda path, body: (200, {}, refused))
    with pytest.raises(EngineError, match=r"error \(402\): no credit$"):
        ask(ServerEngine(None, [served.url], {}), request())
    assert len(served.chats()) == 1  # another try changes nothing


def test_of_a_page_that_says_what_failed_the_title_is_told(serve: Serve) -> None:
    page = b"<!DOCTYPE html><html><head><title>\n 503 Busy</title><style>p{}</style></head><p>nginx</p></html>"
    with pytest.raises(EngineError, match=r"HTTP 503: 503 Busy, after 1 try"):
        ask(ServerEngine(None, [serve(lambda path, body: (503, {}, page)).url], {"retries": "0"}), request())


def test_a_lone_surrogate_passes_through_the_wire(serve: Serve) -> None:
    raw = json.dumps(choice("x")).replace('"x"', '"\\ud800 4"').encode()
    assert ask(ServerEngine(None, [serve(lambda path, body: (200, {}, raw)).url], {}), request())[0].text == "\ufffd 4"
