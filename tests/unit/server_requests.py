"""Requests to a server engine, and how its tests ask them."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from viubench.engines.base import Request, Response
from viubench.engines.server import ServerEngine
from viubench.schema import Decoding, Sample
from viubench.video.frames import VideoInput


def clip(seed: int = 0, step: float = 1.0) -> VideoInput:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 32, 32, 3), np.uint8)
    times = tuple(step * number for number in range(4))
    return VideoInput(pixels, 25.0, tuple(round(25 * time) for time in times), times, 500, 20.0)


def request(*videos: VideoInput, decoding: Decoding | None = None, **more: Any) -> Request:
    question = "<video>" * len(videos) + "\nWhen?"
    sample = Sample(id="s", task="t", cluster="c", clips=(), question=question, target=None, answer_text="")
    ids = tuple(video.pixel_hash() for video in videos)
    return Request(sample, videos, ids, decoding or Decoding(max_tokens=7), **more)


def ask(engine: ServerEngine, *requests: Request) -> list[Response]:
    """The answers, one after the other."""

    async def all_of_them() -> list[Response]:
        async with engine:
            return [await engine.generate(each) for each in requests]

    return asyncio.run(all_of_them())


def ask_at_once(engine: ServerEngine, *requests: Request) -> list[Response | BaseException]:
    """The answers or errors of requests that are under way together."""

    async def all_of_them() -> list[Response | BaseException]:
        async with engine:
            return await asyncio.gather(*map(engine.generate, requests), return_exceptions=True)

    return asyncio.run(all_of_them())
