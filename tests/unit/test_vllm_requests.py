"""What vLLM is asked for, without vLLM: sampling, processor arguments, media, scores, needs."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from viubench.engines.base import Needs
from viubench.engines.families import FAMILIES
from viubench.engines.prompts import Showing
from viubench.engines.vllm.prompt import arguments, with_media
from viubench.engines.vllm.sampling import sampling_values
from viubench.engines.vllm.scores import option_logprobs, places, spread
from viubench.engines.vllm.settings import default_settings
from viubench.engines.vllm.sight import processed, tell_spacing
from viubench.schema import Chat, Decoding
from viubench.video.frames import STILL, VideoInput


def clip(frames: int, reader: str = "pyav") -> VideoInput:
    pixels = np.zeros((frames, 32, 32, 3), np.uint8)
    return VideoInput(pixels, 25.0, tuple(range(frames)), tuple(2.0 * n for n in range(frames)), 100, 4.0, reader)


def test_every_setting_of_a_protocol_reaches_vllm() -> None:
    decoding = Decoding(
        max_tokens=9, temperature=0.7, top_p=0.8, top_k=20, min_p=0.1, presence_penalty=1.5,
        frequency_penalty=0.2, repetition_penalty=1.05, stop=("\n\n",),
    )  # fmt: skip
    values = sampling_values(decoding, Chat(reasoning_budget=256), seed=11)
    assert values == {
        "max_tokens": 9, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.1, "presence_penalty": 1.5,
        "frequency_penalty": 0.2, "repetition_penalty": 1.05, "stop": ["\n\n"], "seed": 11,
        "thinking_token_budget": 256,
    }  # fmt: skip
    greedy = sampling_values(Decoding(), Chat(), seed=11)
    assert (greedy["seed"], greedy["temperature"]) == (None, 0.0)
    assert "thinking_token_budget" not in greedy


def test_a_processor_is_told_only_what_it_takes() -> None:
    qwen, smol, mini = FAMILIES["qwen3_vl"], FAMILIES["smolvlm"], FAMILIES["minicpmv4_6"]
    assert arguments(qwen, {"video"}) == {"do_resize": False, "do_sample_frames": False}
    assert arguments(qwen, {"image"}) == {"do_resize": False}
    assert arguments(qwen, {"video"}, {"do_resize"}) == {"do_resize": False}
    assert arguments(smol, {"image"}) == {"do_resize": False, "do_image_splitting": False}
    assert arguments(mini, {"image"}) == {"do_resize": True, "max_slice_nums": 1}
    assert arguments(replace(qwen, start={"mm_processor_kwargs": {"do_resize": True}}), {"image"}) == {}, "settled"
    assert arguments(replace(mini, video={}), {"image", "video"}) == {
        "videos_kwargs": {"do_resize": False, "do_sample_frames": False},
        "images_kwargs": {"do_resize": True, "max_slice_nums": 1},
    }


def test_a_video_is_shown_as_itself_or_as_its_frames() -> None:
    family = FAMILIES["qwen3_vl"]
    videos = [clip(4), clip(1, STILL)]
    moving = with_media("text", videos, ("a", "b"), family, Showing("video"))
    assert moving["multi_modal_uuids"] == {"video": ["a"], "image": ["b"]}
    frames, meta = moving["multi_modal_data"]["video"][0]
    assert len(frames) == 4
    assert [index / meta["fps"] for index in meta["frames_indices"]] == [0.0, 2.0, 4.0, 6.0]
    stills = with_media("text", videos, ("a", "b"), family, Showing("images"))
    assert stills["multi_modal_uuids"] == {"image": ["a-0", "a-1", "a-2", "a-3", "b"]}
    assert len(stills["multi_modal_data"]["image"]) == 5
    assert "multi_modal_uuids" not in with_media("text", videos, (), family, Showing("video"))
    assert with_media("text", [], (), family, Showing("video")) == {"prompt": "text"}


def test_options_are_scored_with_one_prompt_for_each_place_where_they_differ() -> None:
    asked: list[tuple[int, ...]] = []

    async def ask(before: tuple[int, ...], wanted: Sequence[int]) -> dict[int, float]:
        asked.append(before)
        return {token: -float(token) - len(before) for token in wanted}

    options = [(5,), (7, 8, 9), (7, 8)]
    assert places(options) == {(): [5, 7], (7,): [8], (7, 8): [9]}
    assert asyncio.run(option_logprobs(ask, options)) == [[-5.0], [-7.0, -9.0, -11.0], [-7.0, -9.0]]
    assert asked == [(), (7,), (7, 8)]
    assert len(spread(150_000)) == 64
    assert spread(10) == list(range(10))


def test_vision_tokens_are_told_from_text_and_spacing_is_written() -> None:
    torch = pytest.importorskip("torch")
    place = SimpleNamespace(offset=1, length=3, is_embed=torch.tensor([True, False, True]))
    item: dict[str, Any] = {
        "pixel_values_videos": SimpleNamespace(data=torch.ones(2, 3, dtype=torch.bfloat16)),
        "second_per_grid_ts": SimpleNamespace(data=torch.tensor(1)),
        "video_grid_thw": SimpleNamespace(data=torch.tensor([1, 1, 2])),
    }
    rendered = {"prompt_token_ids": [10, 0, 11, 0, 12], "mm_placeholders": {"video": [place]}}
    tokenizer = SimpleNamespace(decode=lambda ids, **_: " ".join(map(str, ids)))
    tell_spacing(rendered | {"mm_kwargs": {"video": [item]}}, [{"frames_indices": [0, 50, 100], "fps": 25.0}], 2)
    seen = processed(rendered | {"mm_kwargs": {"video": [item]}}, tokenizer)
    assert seen is not None
    assert (seen.text, seen.tokens, seen.seconds) == ("10 11 12", 2, (4.0,))
    assert [array.shape for array in seen.pixels] == [(2, 3)]
    assert processed(rendered | {"mm_kwargs": {"video": [None]}}, tokenizer) is None, "it is in a cache already"


def test_an_engine_is_as_large_as_the_run_needs_and_the_model_can() -> None:
    checkpoint = {"model_type": "qwen3_vl", "context": 262_144, "cache_values": 64}
    needs = Needs(tokens=240_000, video=229_376, videos=2, frames=2048, height=384, width=640)
    settings = default_settings(checkpoint, on_cpu=False, needs=needs)
    assert (settings["max_model_len"], settings["max_num_batched_tokens"]) == (240_000, 229_376)
    limits = settings["limit_mm_per_prompt"]
    assert limits["video"] == {"count": 12, "num_frames": 2048, "width": 640, "height": 384}
    assert limits["image"]["count"] == 4096
    assert default_settings(checkpoint | {"context": 8192}, on_cpu=True, needs=needs)["max_model_len"] == 8192
    assert default_settings(checkpoint, on_cpu=True, needs=Needs())["max_model_len"] == 32_768
    assert default_settings(checkpoint | {"model_type": "qwen3_5"}, on_cpu=True)["dtype"] == "bfloat16"
    whole = default_settings(checkpoint, on_cpu=True, needs=needs)
    assert (whole["enable_chunked_prefill"], whole["max_num_batched_tokens"]) == (False, whole["max_model_len"])
    assert settings["trust_remote_code"] is False
    assert pickle.loads(pickle.dumps(needs)) == needs
