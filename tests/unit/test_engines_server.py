"""The server engine against a scripted endpoint on loopback: how frames are sent, and to whom."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_server import Body, Reply, Serve, completion, fine
from server_requests import ask, ask_at_once, clip, request

from viubench.engines.base import Response
from viubench.engines.server import ServerEngine
from viubench.engines.server import http as server_http
from viubench.engines.server import models as server_models
from viubench.engines.server import payload as server_payload
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Chat


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_http, "wait", lambda state: 0.0)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def strict(path: str, body: Body) -> Reply:
    """A plain vLLM server."""
    refused = {"error": {"message": "start with --trust-request-mm-kwargs"}}
    return (400, {}, refused) if "media_io_kwargs" in body else fine(path, body)


def test_a_vllm_server_gets_one_video_with_its_clock(serve: Serve) -> None:
    served, video = serve(), clip()
    engine = ServerEngine(None, [served.url], {"transport_format": "png"})
    (response,) = ask(engine, request(video))
    assert response.usage["completion_tokens"], response.usage["cached_tokens"] == (5, 4)
    assert (response.text, response.finish_reason) == ("3.0 - 4.0", "stop")
    assert response.shown is not None
    assert (response.shown.kind, response.shown.height) == ("video", 32)
    body = served.chats()[0]
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


def test_a_server_that_refuses_the_clock_gets_images_and_says_so(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve(strict)
    engine = ServerEngine(None, [served.url], {"sight": "off"})
    responses = ask(engine, request(clip()), request(clip(1)))
    assert [response.usage["shown_as_images"] for response in responses] == [1, 1]
    assert [response.shown.kind for response in responses if response.shown] == ["images", "images"]
    assert len(served.chats()) == 3  # one refused, then never tried again
    parts = served.chats()[1]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"] * 4 + ["text"]
    assert [part["text"] for part in parts[0:8:2]] == [f"<{second}.0 seconds>" for second in range(4)]
    settings = engine.describe()["settings"]
    assert settings["transport"] == "images/jpeg-q95"
    assert "trust-request-mm-kwargs" in settings["why_images"]
    assert caplog.text.count("frames go as timed images") == 1
    with pytest.raises(EngineError, match="trust-request-mm-kwargs"):
        ask(ServerEngine(None, [served.url], {"transport": "video"}), request(clip()))


def test_a_server_that_fails_on_videos_gets_images(serve: Serve) -> None:
    served = serve(lambda path, body: (500, {}, {}) if "media_io_kwargs" in body else fine(path, body))
    engine = ServerEngine(None, [served.url], {"retries": "1", "sight": "off"})
    assert ask(engine, request(clip()))[0].usage["shown_as_images"] == 1
    assert len(served.chats()) == 3


def test_a_prompt_that_is_too_long_does_not_decide_how_frames_are_sent(serve: Serve) -> None:
    def short(path: str, body: Body) -> Reply:
        long = len(server_payload._parts(body["messages"][0])) > 5 or "Long" in json.dumps(body)
        return (400, {}, {"error": {"message": "maximum context length"}}) if long else fine(path, body)

    engine = ServerEngine(None, [serve(short).url], {"sight": "off"})
    answers = ask_at_once(engine, request(clip(), clip(step=3.0), chat=Chat(system="Long")), request(clip()))
    assert isinstance(answers[0], EngineError)
    assert engine.transport == "video"


def test_other_servers_get_images_and_only_standard_fields(serve: Serve) -> None:
    served = serve(fine, owner="someone")
    ask(ServerEngine("served", [served.url + "/v1/"], {}), request(clip()))
    assert set(served.chats()[0]) == {"model", "messages", "temperature", "top_p", "max_tokens"}


def test_videos_of_different_clocks_go_as_images(serve: Serve) -> None:
    assert server_payload.shared_clock(request(clip(), clip(1))) is not None
    assert server_payload.shared_clock(request(clip(), clip(1, step=2.0))) is None
    engine = ServerEngine(None, [serve().url], {})
    responses = ask(engine, request(clip(), clip(1, step=2.0)), request(clip(), clip(1)))
    assert [response.usage.get("shown_as_images", 0) for response in responses] == [1, 0]


def test_the_system_prompt_goes_first(serve: Serve) -> None:
    served = serve()
    ask(ServerEngine(None, [served.url], {}), request(clip(), chat=Chat(system="Be brief.")))
    assert served.chats()[0]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_several_urls_share_the_load(serve: Serve) -> None:
    both = [serve(), serve()]
    ask(ServerEngine(None, [one.url for one in both], {}), *[request()] * 6)
    assert [len(one.chats()) for one in both] == [3, 3]


def test_a_server_that_goes_away_loses_no_answer(serve: Serve) -> None:
    both = [serve(), serve()]

    async def some() -> list[Response]:
        async with ServerEngine(None, [one.url for one in both], {}) as engine:
            first = [await engine.generate(request()) for _ in range(2)]
            both[0].close()
            return first + list(await asyncio.gather(*(engine.generate(request()) for _ in range(6))))

    assert [response.text for response in asyncio.run(some())] == ["3.0 - 4.0"] * 8
    assert [len(one.chats()) for one in both] == [1, 7]


def test_a_wrong_timestamp_stops_the_run(serve: Serve) -> None:
    def resampled(path: str, body: Body) -> Reply:
        if path == "/detokenize":
            return 200, {}, {"prompt": "<7.0 seconds>x<8.0 seconds>"}
        return 200, {}, completion(body) | {"prompt_token_ids": [1, 2]}

    with pytest.raises(ViubenchError, match=r"holds 2 frame times, <7\.0 seconds>"):
        ask(ServerEngine(None, [serve(resampled).url], {}), request(clip()))


def test_the_end_of_the_prompt_says_that_reasoning_began(serve: Serve) -> None:
    reasoning: list[str] = []

    def thinking(path: str, body: Body) -> Reply:
        if path == "/detokenize":
            return 200, {}, {"prompt": "<video>When?<think>\n"}
        return 200, {}, completion(body, reasoning=reasoning.pop() if reasoning else None) | {"prompt_token_ids": [1]}

    engine = ServerEngine(None, [serve(thinking).url], {})
    assert [one.prompt_end[-8:] for one in ask(engine, request(clip()), request(clip()))] == ["<think>\n"] * 2
    reasoning.append("Well,")
    ends = [one.prompt_end for one in ask(engine, request(clip()), request(clip()))]
    assert ends == ["", ""]  # this server keeps reasoning apart itself


def test_of_two_places_without_a_list_of_models_the_fault_is_told(serve: Serve) -> None:
    with pytest.raises(ViubenchError, match="no JSON: <html>"):  # not that nothing is above /v1
        ask(ServerEngine(None, [serve(models=(200, {}, b"<html>")).url], {"retries": "0"}))


@pytest.mark.parametrize(
    ("given", "below"),
    [
        ("", "/v1"),
        ("/v1/chat/completions/", "/v1"),
        ("/v1/models", "/v1"),
        ("/v1beta/openai", "/v1beta/openai"),
        ("/api", "/api"),
        ("/api/v3/", "/api/v3"),
    ],
)
def test_any_base_path_is_found(serve: Serve, given: str, below: str) -> None:
    served = serve(below=below)
    assert ask(ServerEngine(None, [served.url + given], {}), request())[0].text == "3.0 - 4.0"
    assert served.seen[0][0] == f"{below}/chat/completions"


@pytest.mark.parametrize("given", ["", "/v1", "/gate"])
@pytest.mark.parametrize("models", [(404, {}, {}), (405, {}, b""), (500, {}, {}), (200, {}, b"<html>")])
def test_a_gateway_without_a_list_of_models_is_used_with_a_name(serve: Serve, given: str, models: Reply) -> None:
    served = serve(models=models, below=f"{given.removesuffix('/v1')}/v1")
    assert ask(ServerEngine("mine", [served.url + given], {"retries": "0"}), request())[0].text == "3.0 - 4.0"
    assert served.chats()[-1]["model"] == "mine"
    with pytest.raises(ViubenchError, match="no OpenAI-compatible server"):
        ask(ServerEngine(None, [served.url + given], {"retries": "0"}))


def test_what_stands_after_a_question_mark_stays_there(serve: Serve) -> None:
    served = serve()
    ask(ServerEngine("served", [served.url + "/v1?api-version=3"], {}), request())
    assert served.seen[0][0] == "/v1/chat/completions?api-version=3"


@pytest.mark.parametrize(
    "data", [{"data": [{"id": {"a": 1}}]}, {"data": "x"}, {"data": [1]}, [], b"\xff", b"[" * 200_000]
)
def test_odd_lists_of_models_are_refused_in_one_line(serve: Serve, data: object) -> None:
    with pytest.raises(ViubenchError, match=r"no OpenAI-compatible|serves 0 models"):
        ask(ServerEngine(None, [serve(models=(200, {}, data)).url], {"retries": "0"}))


@pytest.mark.parametrize(
    ("models", "hint"),
    [
        ((200, {}, {"data": []}), "load a model in the server first"),
        ((301, {"location": "https://elsewhere/v1/models"}, b""), "give that one as --base-url"),
    ],
)
def test_an_empty_list_and_a_server_that_moved_say_what_to_do(serve: Serve, models: Reply, hint: str) -> None:
    with pytest.raises(ViubenchError) as refused:
        ask(ServerEngine(None, [serve(models=models).url], {"retries": "0"}))
    assert hint in str(refused.value.hint)


def test_nobody_there_and_wrong_names_are_said(serve: Serve) -> None:
    with pytest.raises(ViubenchError, match=r"no OpenAI-compatible server.*Connect.*after 1 try"):
        ask(ServerEngine(None, ["http://127.0.0.1:9"], {"retries": "0"}))
    with pytest.raises(ViubenchError, match="does not serve another"):
        ask(ServerEngine("another", [serve().url], {}))
    with pytest.raises(ViubenchError, match="not a URL"):
        ServerEngine(None, ["localhost:8000"], {})


LISTED = (200, {}, {"data": [{"id": "models/gemini-2.5-flash"}, {"id": "llava:latest"}, {"id": "sonnet-4-20250929"}]})


@pytest.mark.parametrize("name", ["gemini-2.5-flash", "llava", "llava:latest", "sonnet-4-20250929:free"])
def test_a_listed_model_is_known_by_the_names_that_servers_take(serve: Serve, name: str) -> None:
    served = serve(models=LISTED)
    ask(ServerEngine(name, [served.url], {}))
    assert not served.chats()


def by_name(replied: str | None) -> Callable[[str, Body], Reply]:
    def answer(path: str, body: Body) -> Reply:
        if replied is None:
            return 404, {}, {"error": {"message": f"no model {body['model']}"}}
        return 200, {}, completion(body, "ok") | {"model": replied}

    return answer


def test_a_gateway_may_take_a_model_that_it_does_not_list(serve: Serve) -> None:
    for replied in ("sonnet-4", "sonnet-4-20250929", "Sonnet-4", "vendor/sonnet-4"):
        served = serve(by_name(replied), models=LISTED)
        ask(ServerEngine("sonnet-4", [served.url], {}))
        assert [body["model"] for body in served.chats()] == ["sonnet-4"]


def test_the_names_in_which_answers_come_are_kept_and_a_second_one_is_told(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    names = iter(["m-2025", "m-2025", "other", "third", 7, "other"])

    def answer(path: str, body: Body) -> Reply:
        return 200, {}, completion(body) | {"model": next(names)}

    engine = ServerEngine("m", [serve(answer, models=(404, {}, b"")).url], {"sight": "off"})
    ask(engine, *(request() for _ in range(6)))
    assert engine.describe()["settings"]["answered_as"] == ["m-2025", "other", "third"]
    assert [line for line in caplog.messages if "an answer came from" in line] == [
        "an answer came from other, others from m-2025",
        "an answer came from third, others from m-2025, other",
    ]


def test_a_deployment_answers_as_its_model(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    monkeypatch.setattr(server_models, "DEPLOYED", ("127.0.0.1",))
    ask(ServerEngine("ours", [serve(by_name("gpt-4.1-2025-04-14"), models=LISTED).url], {}))


@pytest.mark.parametrize(
    ("replied", "problem"),
    [("llava:latest", "it answers as llava:latest"), (None, "no model sonnet-4"), ("", "does not say which model")],
)
def test_a_model_that_is_not_there_is_refused_though_others_are(
    serve: Serve, replied: str | None, problem: str
) -> None:
    with pytest.raises(ViubenchError, match=problem):
        ask(ServerEngine("sonnet-4", [serve(by_name(replied), models=LISTED).url], {}))


def test_the_frame_size_follows_the_model_behind_the_server(serve: Serve, tmp_path: Path) -> None:
    vision = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl", "vision_config": vision}))
    for root in (str(tmp_path), "Qwen/Qwen2.5-VL-7B-Instruct"):
        engine = ServerEngine(None, [serve(root=root).url], {})
        ask(engine)
        assert engine.frame_format.multiple == 28
    engine = ServerEngine(None, [serve(root="unknown").url], {})
    ask(engine)
    assert engine.frame_format.multiple == 32


def test_a_file_is_named_or_sent_and_the_server_samples_it(serve: Serve, tmp_path: Path) -> None:
    served, file = serve(), tmp_path / "a b.mp4"
    file.write_bytes(b"video")
    urls = []
    for file_as, path in (("path", str(file)), ("data", str(file)), ("path", "https://host/a.mp4")):
        engine = ServerEngine(None, [served.url], {"transport": "file", "file_as": file_as, "sight": "off"})
        (response,) = ask(engine, request(file=path))
        assert response.shown is not None
        assert response.shown.kind == "file"
        urls.append(served.chats()[-1]["messages"][0]["content"][0]["video_url"]["url"])
    data = base64.b64encode(b"video").decode()
    assert urls == [f"file://{tmp_path}/a%20b.mp4", f"data:video/mp4;base64,{data}", "https://host/a.mp4"]
    with pytest.raises(EngineError, match="cannot be read"):
        server_payload.file_url("gone.mp4", "data")


def test_the_examples_of_the_documentation_hold() -> None:
    import doctest

    assert doctest.testmod(server_models).failed == 0


def of_family(tmp_path: Path, family: str) -> Path:
    """The files of a model that say its family and sizes."""
    vision = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family, "vision_config": vision}))
    return tmp_path


def test_a_model_that_reads_spacing_gets_a_clock_of_milliseconds(serve: Serve, tmp_path: Path) -> None:
    served = serve(root=str(of_family(tmp_path, "qwen2_5_vl")))
    (response,) = ask(ServerEngine(None, [served.url], {"sight": "off"}), request(clip(step=2.0)))
    clock = served.chats()[0]["media_io_kwargs"]["video"]
    assert (clock["fps"], clock["frames_indices"], clock["total_num_frames"]) == (1000.0, [0, 2000, 4000, 6000], 8000)
    assert response.shown is not None
    assert response.shown.times == "positions"


def test_a_processor_that_takes_one_frame_rate_gets_it_as_an_argument(serve: Serve, tmp_path: Path) -> None:
    served = serve(root=str(of_family(tmp_path, "qwen2_5_omni")))
    ask(ServerEngine(None, [served.url], {"sight": "off"}), request(clip(step=2.0)))
    assert served.chats()[0]["mm_processor_kwargs"]["fps"] == 0.5


def test_a_model_that_reads_no_clock_is_told_the_times_in_words(serve: Serve) -> None:
    served = serve(root="Qwen/Qwen2-VL-7B-Instruct")
    ask(ServerEngine(None, [served.url], {"sight": "off"}), request(clip()))
    first, second, *_ = served.chats()[0]["messages"][0]["content"]
    assert first["text"].startswith("The frames of this video are at 0.0, 1.0, 2.0, 3.0 seconds.")
    assert second["type"] == "video_url"


@pytest.mark.parametrize(
    "root", ["OpenGVLab/InternVL3_5-8B-HF", "llava-hf/llava-onevision-qwen2-7b-ov-hf", "a/smolvlm2"]
)
def test_a_model_that_a_video_could_end_the_server_of_gets_images(serve: Serve, root: str) -> None:
    served = serve(root=root)
    ask(ServerEngine(None, [served.url], {"sight": "off"}), request(clip()))
    assert [part["type"] for part in served.chats()[0]["messages"][0]["content"]][:2] == ["text", "image_url"]


@pytest.mark.parametrize(
    ("prompt", "fine"), [("<|end_of_image|>0.0 seconds<|end_of_image|>2.0 seconds", True), ("", False)]
)
def test_the_times_of_each_family_are_looked_for(serve: Serve, prompt: str, fine: bool) -> None:
    def told(path: str, body: Body) -> Reply:
        if path == "/detokenize":
            return 200, {}, {"prompt": prompt}
        return 200, {}, completion(body) | {"prompt_token_ids": [1]}

    engine = ServerEngine(None, [serve(told, root="zai-org/GLM-4.6V").url], {})
    if fine:
        assert ask(engine, request(clip()))[0].text
    else:
        with pytest.raises(ViubenchError, match="no frame timestamps"):
            ask(engine, request(clip()))
