"""A real `vllm serve` on loopback: with lossless frames its answers are those of the engines in process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engine_requests import ask, standard, texts
from served import serving

from viubench.engines import tiny_checkpoints
from viubench.engines.base import Response
from viubench.engines.server import ServerEngine
from viubench.schema import Chat

pytest.importorskip("vllm")
pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def address(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(tiny_model, log, "--dtype", "float32", "--trust-request-mm-kwargs") as url:
        yield url


def test_lossless_frames_give_the_answers_of_transformers(address: str, hf_answers: list[str]) -> None:
    engine = ServerEngine(None, [address], {"transport_format": "png"})
    assert texts(ask(engine, standard())) == hf_answers
    described = engine.describe()
    assert (described["model"], described["settings"]["transport"]) == ("tiny", "video/png")


def test_jpeg_frames_keep_the_prompt(address: str) -> None:
    lossless = ask(ServerEngine("tiny", [address], {"transport_format": "png"}), standard())
    lossy = ask(ServerEngine("tiny", [address], {}), standard())
    pairs = [
        (a, b) for a, b in zip(lossless, lossy, strict=True) if isinstance(a, Response) and isinstance(b, Response)
    ]
    assert len(pairs) == len(standard())
    assert [a.usage["prompt_tokens"] for a, _ in pairs] == [b.usage["prompt_tokens"] for _, b in pairs]


def test_images_are_answered_too(address: str) -> None:
    answers = ask(ServerEngine("tiny", [address], {"transport": "images"}), standard()[-2:])
    assert [answer.usage["shown_as_images"] for answer in answers if isinstance(answer, Response)] == [1, 1]


def test_a_plain_server_of_a_thinking_model_gets_images_and_keeps_reasoning_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_checkpoints.write(tmp_path / "model", family="qwen3_5")
    options = ("--dtype", "bfloat16", "--reasoning-parser", "qwen3")
    question = standard()[-2]
    asked = [replace(question, chat=Chat(thinking=how)) for how in ("on", "off")]
    with serving(tmp_path / "model", tmp_path / "log", *options) as url:
        engine = ServerEngine(None, [url], {})
        thought, plain = ask(engine, asked)
    assert isinstance(thought, Response)
    assert isinstance(plain, Response)
    assert (thought.text, bool(thought.reasoning), thought.finish_reason) == ("", True, "length")
    assert (bool(plain.text), plain.reasoning) == (True, "")
    assert [one.shown.kind for one in (thought, plain) if one.shown] == ["images", "images"]
    assert all(one.first_token is not None for one in (thought, plain))
    settings = engine.describe()["settings"]
    assert settings["sight"] == "prompt tokens"
    assert "--trust-request-mm-kwargs" in settings["why_images"]
    assert "frames go as timed images" in caplog.text
