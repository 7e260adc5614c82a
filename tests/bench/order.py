"""How far answers depend on what else is asked: the same requests in two orders, one at a time and many at once.

Example:
    >>> rows = measure("tiny-qwen3-vl", requests, {}, in_flight=16)
    >>> [(row.deterministic, row.answers, row.logprob) for row in rows if row.what == "other order, 16 at once"]
    [(False, 0.0, 2.1e-06), (True, 0.0, 0.0)]
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from viubench.engines.base import Engine, Request, Response
from viubench.engines.vllm import VllmEngine
from viubench.runner import loop, pipeline
from viubench.runner.plan import Plan
from viubench.video.frame_cache import FrameCache


@dataclass(frozen=True)
class OrderRow:
    """One way of asking, beside the same requests asked one after the other by the same engine.

    Attributes:
        what: how it was asked.
        deterministic: the engine's mode.
        n: requests.
        seconds: wall time of all of them.
        answers: share whose text is another, in [0, 1].
        logprob: largest difference of a token's log-probability, over answers of the same text.
    """

    what: str
    deterministic: bool
    n: int
    seconds: float
    answers: float
    logprob: float


def requests(planned: Plan, store: FrameCache, n: int) -> list[Request]:
    """The first `n` requests of a plan, in its order, their frames decoded here; raises MediaError."""
    plan = planned
    found = []
    for sample in loop.in_video_order(plan.samples)[:n]:
        wants = pipeline.frame_requests(sample, plan)
        loaded = [store.get(clip, root, how, resize) for root, clip, how, resize in wants]
        shown = pipeline.shown(sample, loaded)
        _, names = pipeline.frame_info(shown)
        found.append(Request(sample, shown, names, plan.protocols[sample.task].decoding))
    return found


def measure(model: str, asked: Sequence[Request], args: Mapping[str, str], in_flight: int = 16) -> list[OrderRow]:
    """Ask vLLM every request three times, in its usual mode and in the deterministic one; two engine starts.

    Raises:
        ViubenchError: the engine does not start; EngineError: a request fails.
    """
    return [row for mode in (False, True) for row in asyncio.run(_measure(model, asked, args, in_flight, mode))]


async def _measure(
    model: str, asked: Sequence[Request], args: Mapping[str, str], in_flight: int, deterministic: bool
) -> list[OrderRow]:
    async with VllmEngine(model, args, deterministic=deterministic, logprobs=True) as engine:
        return [row async for row in compare(engine, asked, in_flight)]


async def compare(engine: Engine, asked: Sequence[Request], in_flight: int) -> AsyncIterator[OrderRow]:
    """Ask one at a time, then `in_flight` at once, then those in another order; the first is what the others are
    compared with."""
    same = list(range(len(asked)))
    other = random.Random(0).sample(same, len(same))
    first: list[Response] = []
    ways = (("one at a time", same, 1), (f"{in_flight} at once", same, in_flight),
            (f"other order, {in_flight} at once", other, in_flight))  # fmt: skip
    for what, order, most in ways:
        began = time.perf_counter()
        answers = await _ask(engine, asked, order, most)
        seconds = time.perf_counter() - began
        first = first or answers
        pairs = list(zip(first, answers, strict=True))
        share = sum(one.text != two.text for one, two in pairs) / len(pairs)
        yield OrderRow(what, engine.deterministic, len(pairs), seconds, share, max(_differences(pairs), default=0.0))


async def _ask(engine: Engine, asked: Sequence[Request], order: Sequence[int], most: int) -> list[Response]:
    """The answers in the order of `asked`, whatever the order they were asked in."""
    slots = asyncio.Semaphore(most)

    async def one(place: int) -> tuple[int, Response]:
        async with slots:
            return place, await engine.generate(asked[place])

    found = dict(await asyncio.gather(*map(one, order)))
    return [found[place] for place in range(len(asked))]


def _differences(pairs: Sequence[tuple[Response, Response]]) -> Iterator[float]:
    for one, two in pairs:
        if one.text == two.text:
            yield from (abs(a - b) for a, b in zip(one.logprobs, two.logprobs, strict=True))
