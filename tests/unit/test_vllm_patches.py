"""Patches straight from frames are those of the processor, bit for bit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viubench.engines.vllm.patches import Ahead, Patcher
from viubench.video.frames import Pixels

pytest.importorskip("transformers")
import torch
from transformers import Qwen3VLVideoProcessor

PROCESSOR = Qwen3VLVideoProcessor(do_rescale=False, do_normalize=False, cap_pixels_per_frame=False)


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(shape).integers(0, 256, (*shape, 3), np.uint8)


@settings(max_examples=15, deadline=None)
@given(st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 4)))
def test_patches_are_those_of_the_processor(size: tuple[int, int, int]) -> None:
    frames, patcher = noise(size[0], 32 * size[1], 32 * size[2]), Patcher(PROCESSOR)
    theirs = PROCESSOR.preprocess([frames], do_resize=False, do_sample_frames=False, return_tensors="pt")
    assert torch.equal(patcher(frames), theirs["pixel_values_videos"])
    assert theirs["video_grid_thw"].tolist() == [list(patcher.grid(frames))]


def test_other_frames_are_left_to_the_processor() -> None:
    patcher = Patcher(PROCESSOR)
    frames = noise(2, 32, 64)
    assert patcher.fits(frames)
    others = (noise(2, 32, 48), frames.astype(np.float32), frames[0], frames[..., :1], torch.from_numpy(frames), None)
    assert not any(map(patcher.fits, others))


class Slow:
    """A multimodal processor and its cache, as far as `Ahead` knows them."""

    def __init__(self) -> None:
        self.made: dict[int, Any] = {}
        self.patched = 0
        self.cached: set[str] = set()

    def patcher(self, frames: Pixels) -> str:
        self.patched += 1
        time.sleep(0.001 * len(frames))
        return "patches"

    def missing(self, prompt: dict[str, Any], cache: Any) -> list[Pixels]:
        (name,), (frames,) = prompt["multi_modal_uuids"]["video"], prompt["frames"]
        return [] if name in self.cached else [frames]


@contextmanager
def ahead() -> Iterator[tuple[Ahead, Slow]]:
    processor = Slow()
    yield Ahead(SimpleNamespace(get_mm_processor=lambda: processor, mm_processor_cache=None)), processor
    assert not processor.made, "nothing is kept behind a question"


def test_a_video_is_made_once_for_all_questions_that_are_asked_together() -> None:
    async def ask(one: Ahead, processor: Slow, name: str) -> bool:
        frames = noise(2, 32, 32)
        async with one.of({"multi_modal_uuids": {"video": [name]}, "frames": [frames]}):
            there = processor.made.get(id(frames)) == "patches"
            await asyncio.sleep(0.01)
            processor.cached.add(name)
            return there

    async def all_at_once(one: Ahead, processor: Slow) -> list[bool]:
        return await asyncio.gather(*(ask(one, processor, name) for name in ("a", "a", "b", "a")))

    with ahead() as (one, processor):
        assert asyncio.run(all_at_once(one, processor)) == [True, False, True, False]
        assert processor.patched == 2


def test_questions_go_on_in_the_order_they_came_however_long_their_videos_take() -> None:
    async def ask(one: Ahead, order: list[str], name: str, length: int) -> None:
        async with one.of({"multi_modal_uuids": {"video": [name]}, "frames": [noise(length, 32, 32)]}):
            order.append(name)
            await asyncio.sleep(0)

    async def all_at_once(one: Ahead, order: list[str]) -> None:
        lengths = {"a": 60, "b": 2, "c": 30, "d": 1}
        await asyncio.gather(*(ask(one, order, name, lengths[name]) for name in "aabbccdda"))

    with ahead() as (one, processor):
        one.room.limit = noise(60, 32, 32).nbytes + 1  # room for one long video, or for the short ones
        order: list[str] = []
        asyncio.run(asyncio.wait_for(all_at_once(one, order), 20))
        assert "".join(order) == "aabbccdda"
        assert not one.room.used
        assert processor.patched == 4


def test_patches_of_a_question_that_fails_are_forgotten() -> None:
    async def fail(one: Ahead) -> None:
        async with one.of({"multi_modal_uuids": {"video": ["a"]}, "frames": [noise(2, 32, 32)]}):
            raise ValueError("too long")

    with ahead() as (one, _), pytest.raises(ValueError, match="too long"):
        asyncio.run(fail(one))
