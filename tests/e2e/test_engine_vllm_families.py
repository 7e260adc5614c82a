"""Families that once were blind, cropped, told other times or dead in vLLM: they see, or say why they do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine_requests import ask, request, video

from viubench.engines import tiny_checkpoints
from viubench.engines.base import Needs, Response
from viubench.engines.vllm import VllmEngine
from viubench.errors import EngineDead

pytest.importorskip("vllm")
pytestmark = pytest.mark.engine


def opened(folder: Path, family: str, **args: str) -> VllmEngine:
    tiny_checkpoints.write(folder, family=family)
    engine = VllmEngine(str(folder), args)
    engine.expect(Needs(frames=4, height=448, width=448))
    return engine


@pytest.mark.parametrize(
    ("family", "size", "tokens", "kind"),
    [("video_llama_3", (56, 84), 4 * 6, "video"), ("smolvlm", (384, 384), 4 * 81, "images")],
)
def test_a_family_sees_every_frame_and_is_told_its_time_or_not(
    tmp_path: Path, family: str, size: tuple[int, int], tokens: int, kind: str
) -> None:
    asked = request("<video>\nWhen?", video(1, 4, *size, start=100))
    told, untold = ask(opened(tmp_path / family, family), [asked, replace(asked, times=False)])
    for answer, times in ((told, "prompt"), (untold, "none")):
        if times == "none" and kind == "video":  # its own processor writes them
            assert "cannot be left out" in str(answer)
            continue
        assert isinstance(answer, Response), answer
        assert answer.shown is not None
        assert (answer.shown.tokens, answer.shown.kind, answer.shown.times) == (tokens, kind, times)
        assert (answer.shown.height, answer.shown.width) == size
    if isinstance(told, Response) and isinstance(untold, Response):
        assert untold.usage["prompt_tokens"] < told.usage["prompt_tokens"]


def test_a_core_that_dies_says_why(tmp_path: Path) -> None:
    """Qwen3.5 asks for bfloat16 on a CPU when it gets its first question."""
    (answer,) = ask(
        opened(tmp_path / "qwen", "qwen3_5", dtype="float32"), [request("<video>\nWhen?", video(1, 4, 64, 64))]
    )
    assert isinstance(answer, EngineDead)
    assert "BF16" in answer.message
