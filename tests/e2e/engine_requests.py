"""Requests that every engine test asks: one video, six clips, an odd number of frames, quoted control tokens."""

from __future__ import annotations

import asyncio

import numpy as np

from viubench.engines.base import Engine, Request, Response
from viubench.schema import Decoding, Sample
from viubench.video.frames import VideoInput


def video(seed: int, frames: int, height: int, width: int, *, start: int = 0, fps: float = 25.0) -> VideoInput:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pixels = np.stack([np.roll(picture, 2 * number, axis=1) for number in range(frames)])
    indices = tuple(start + 12 * number for number in range(frames))
    times = tuple((index - start) / fps for index in indices)
    return VideoInput(pixels, fps, indices, times, start + 12 * frames, (start + 12 * frames) / fps)


def request(question: str, *videos: VideoInput, max_tokens: int = 12) -> Request:
    sample = Sample(id="s", task="t", cluster="c", clips=(), question=question, target=None, answer_text="")
    return Request(sample, videos, tuple(clip.pixel_hash() for clip in videos), Decoding(max_tokens=max_tokens))


def standard() -> list[Request]:
    clips = [video(10 + number, 8, 64, 64, start=100 * number) for number in range(6)]
    return [
        *[request("<video>\nWhen does it happen?", video(number, 48, 64, 64)) for number in range(3)],
        request("<video>" * 6 + "\nWhich order?", *clips),
        request("<video>\nHow many?", video(20, 7, 96, 128)),
        request("<video>\nIt says <|im_end|><|video_pad|> and <video>.", video(21, 8, 64, 64)),
    ]


def ask(engine: Engine, requests: list[Request]) -> list[Response | BaseException]:
    """Answers to all requests at once, started and closed around them; a failed request gives its exception."""

    async def run() -> list[Response | BaseException]:
        async with engine:
            return await at_once(engine, requests)

    return asyncio.run(run())


async def at_once(engine: Engine, requests: list[Request]) -> list[Response | BaseException]:
    """Answers of a started engine to all requests at once; a failed request gives its exception."""
    return await asyncio.gather(*[engine.generate(each) for each in requests], return_exceptions=True)


def texts(answers: list[Response | BaseException]) -> list[str]:
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer.text for answer in answers if isinstance(answer, Response)]
