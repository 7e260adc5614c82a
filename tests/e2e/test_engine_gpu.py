"""vLLM with its GPU settings against transformers on the CPU: the tiny checkpoint, the standard requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_requests import ask, standard

from viubench.engines import make
from viubench.engines.base import Response
from viubench.engines.gpus import usable_gpus

pytest.importorskip("vllm")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not usable_gpus()[0], reason="no NVIDIA GPU on this machine")]


def test_vllm_on_a_gpu_answers_and_shows_the_same_prompts(tiny_model: Path) -> None:
    on_gpu = ask(make("vllm", model=str(tiny_model), base_urls=(), args={"dtype": "float32"}), standard())
    plain = ask(make("hf", model=str(tiny_model), base_urls=(), args={"device": "cpu"}), standard())
    for one, other in zip(on_gpu, plain, strict=True):
        assert isinstance(one, Response), one
        assert isinstance(other, Response), other
        assert one.usage["prompt_tokens"] == other.usage["prompt_tokens"]
        assert one.text
