"""A model that does not see what it is sent is an error before the run, never a score."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_server import PICTURE_TOKENS, Body, Reply, Serve, completion, fine, tokens_of
from server_requests import ask, ask_at_once, clip, request

from viubench.engines.server import ServerEngine
from viubench.engines.server import http as server_http
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Decoding


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_http, "wait", lambda state: 0.0)


def counting(tokens: Any) -> Any:
    """A server that says the same to all, and counts tokens by a function of the body."""

    def answer(path: str, body: Body) -> Reply:
        return 200, {}, completion(body, "red 3") | {"usage": {"prompt_tokens": tokens(body)}}

    return answer


def words(body: Body) -> int:
    """Tokens of the text alone."""
    return sum(len(part.get("text", "").split()) for part in body["messages"][-1]["content"])


def seen(body: Body, most: int) -> int:
    """Tokens where only the first pictures are looked at."""
    pictures = json.dumps(body).count('"image_url": {')
    return 40 + PICTURE_TOKENS * min(most, pictures)


@pytest.mark.parametrize("owner", ["vllm", "someone"])
def test_a_server_that_shows_the_frames_is_asked_little(serve: Serve, owner: str) -> None:
    served = serve(fine, owner=owner)
    engine = ServerEngine(None, [served.url], {})
    ask_at_once(engine, *[request(clip(seed)) for seed in range(6)])
    assert len(served.chats()) == 6 + (1 if owner == "vllm" else 2)
    assert engine.describe()["settings"]["sight"] == "prompt tokens"


def test_a_server_that_drops_pictures_stops_the_run(serve: Serve) -> None:
    served = serve(counting(words), owner="someone")
    with pytest.raises(ViubenchError, match=r"does not show its model the frames \(\d+ prompt tokens with them"):
        ask(ServerEngine(None, [served.url], {}), request(clip()))
    engine = ServerEngine(None, [served.url], {"sight": "off"})
    assert ask(engine, request(clip()))[0].text == "red 3"
    assert engine.describe()["settings"]["sight"] == "off"


def test_a_server_that_keeps_some_of_the_pictures_stops_the_run(serve: Serve) -> None:
    served = serve(counting(lambda body: seen(body, 2) + words(body)), owner="someone")
    with pytest.raises(ViubenchError, match="about 2 of 4 pictures"):
        ask(ServerEngine(None, [served.url], {}), request(clip()))


def test_a_video_of_half_its_frames_stops_the_run(serve: Serve, tmp_path: Any) -> None:
    vision = {"patch_size": 16, "spatial_merge_size": 1, "temporal_patch_size": 2}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_vl", "vision_config": vision}))
    worth = 2 * (32 // 16) ** 2  # two pairs of frames

    def half(body: Body) -> int:
        return 20 + ("video_url" in json.dumps(body)) * worth // 2

    served = serve(counting(half), root=str(tmp_path))
    with pytest.raises(ViubenchError, match="about 50% of the frames"):
        ask(ServerEngine(None, [served.url], {}), request(clip()))


@pytest.mark.parametrize("sees", [True, False])
def test_without_token_counts_a_drawn_mark_decides(serve: Serve, sees: bool) -> None:
    marks: list[str] = []

    def uncounted(path: str, body: Body) -> Reply:
        text = json.dumps(body)
        if "Which digit" in text and text not in marks:
            marks.append(text)
        shown = sees and text in marks and marks.index(text) == 1
        blue = shown if "image_url" in text else "blue" in text
        said = "blue 8" if blue else "red 3"
        return 200, {}, {key: value for key, value in completion(body, said).items() if key != "usage"}

    engine = ServerEngine(None, [serve(uncounted, owner="someone").url], {})
    if sees:
        ask(engine, request(clip()))
        assert engine.describe()["settings"]["sight"] == "marks"
    else:
        with pytest.raises(ViubenchError, match="does not show its model the frames"):
            ask(engine, request(clip()))
    assert len(marks) == (2 if sees else 4)


@pytest.mark.parametrize("usage", [{"prompt_tokens": 10, "completion_tokens": 1}, None])
def test_a_server_that_says_the_same_to_all_proves_nothing(
    serve: Serve, usage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither its count nor its answers depend on what it is sent: nothing is known of its sight, and that is said."""
    served = serve(lambda path, body: (200, {}, completion(body, "A") | {"usage": usage}), owner="someone")
    engine = ServerEngine(None, [served.url], {})
    assert [answer.text for answer in ask(engine, request(clip()), request(clip(1)))] == ["A", "A"]
    assert engine.describe()["settings"]["sight"] == "none"
    assert caplog.text.count("could not be proved") == 1


def test_a_sampled_answer_that_differs_by_chance_proves_nothing(serve: Serve) -> None:
    said = iter(range(100))
    served = serve(
        lambda path, body: (200, {}, completion(body, f"say {next(said)}") | {"usage": None}), owner="someone"
    )
    with pytest.raises(ViubenchError, match="does not show"):
        ask(ServerEngine(None, [served.url], {}), request(clip(), decoding=Decoding(generation_config=True)))


def test_each_shape_of_question_is_proved_once(serve: Serve) -> None:
    served = serve(owner="someone")
    engine = ServerEngine(None, [served.url], {})
    ask(engine, request(clip()), request(clip(), clip(1)), request(clip(2)), request(clip(3), clip(4)), request())
    assert len(served.chats()) == 5 + 2 * 2


def test_a_proof_that_is_not_answered_is_tried_again_and_its_lack_is_said(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def only_whole(path: str, body: Body) -> Reply:
        return (400, {}, {}) if tokens_of(body) < 5 + 4 * PICTURE_TOKENS else fine(path, body)

    engine = ServerEngine(None, [serve(only_whole, owner="someone").url], {})
    answers = ask(engine, *[request(clip(seed)) for seed in range(4)])
    assert [answer.text for answer in answers] == ["3.0 - 4.0"] * 4
    assert engine.describe()["settings"]["sight"] == "none"
    assert caplog.text.count("could not be proved") == 1


def test_a_question_that_fails_proves_nothing(serve: Serve) -> None:
    served = serve(lambda path, body: (400, {}, {}), owner="someone")
    with pytest.raises(EngineError):
        ask(ServerEngine(None, [served.url], {}), request(clip()))
    assert len(served.chats()) == 1
