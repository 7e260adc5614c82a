"""Our side of a contest: the runner with its decode processes, frame cache and records, on an engine that is open.

Example:
    >>> [one.name for one in passes(work)]     # doctest: +SKIP
    ['cold', 'warm', 'next', 'decode']

Two passes more than the others have: "next" finds the frames decoded and the engine's caches empty, as the next
checkpoint does, which is the engine alone; "decode" fills an empty frame cache and asks nothing.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import evaluators
from tests.bench.contestant import Pass, Work, engine_settings, timed
from viubench.engines.base import Engine, Request, Response
from viubench.engines.vllm import VllmEngine
from viubench.runner import loop, pipeline
from viubench.runner.plan import Plan
from viubench.runner.timing import Stages
from viubench.schema import Clip, Decoding, Manifest, Protocol, Resize, Sample, Sampling
from viubench.storage.run_dir import RunFolder, read_records
from viubench.video.frame_cache import FrameCache
from viubench.video.loader import Media
from viubench.video.process_pool import KillablePool

DECODE_SECONDS = 300.0
BREATH = 0.3
"""Seconds that each decode process is kept with a first job, so that the other ones start as well."""


class Open(Engine):
    """An engine that is open already, and stays open when a run on it ends."""

    kind: ClassVar[str] = "vllm"

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self.max_in_flight, self.frame_format = inner.max_in_flight, inner.frame_format

    async def generate(self, request: Request) -> Response:
        return await self.inner.generate(request)

    def describe(self) -> dict[str, Any]:
        return self.inner.describe()


def passes(work: Work) -> list[Pass]:
    """All passes over the same questions, after one about another clip."""
    return asyncio.run(_passes(work))


async def _passes(work: Work) -> list[Pass]:
    settings = {name: json.dumps(value) for name, value in engine_settings().items() if name != "dtype"}
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        frames = Path(scratch) / "frames"
        engine = VllmEngine(work.model, settings)
        async with engine:
            await _answer(work, [(work.warm_up, work.questions[0])], engine, frames, "warm-up")
            found = [await _answer(work, work.asked(), engine, frames, name) for name in ("cold", "warm")]
            await engine._llm.reset_prefix_cache()  # as if it had just been started
            await engine._llm.reset_mm_cache()
            await engine._llm.reset_encoder_cache()
            found.append(await _answer(work, work.asked(), engine, frames, "next"))
        plan = plan_of(seen(work.frames, work.pixels, work.tokens), work.asked())
        return [*found, await decoded(plan, Path(scratch) / "other-frames", work.workers)]


async def _answer(work: Work, pairs: Sequence[tuple[str, str]], engine: VllmEngine, frames: Path, name: str) -> Pass:
    plan = plan_of(seen(work.frames, work.pixels, work.tokens), pairs)
    one, _, _ = await answered(plan, Open(engine), frames.parent / name, frames, work.workers)
    texts = {record.id: record.response or "" for record in read_records(frames.parent / name)}
    one.answers = [texts[sample.id] for sample in plan.samples]
    return one


async def answered(plan: Plan, engine: Engine, out: Path, frames: Path, workers: int) -> tuple[Pass, Stages, float]:
    """One run into the folder `out`, on the frame cache `frames`: its times, named as the folder, its stages, and the
    seconds its decoding processes worked."""
    with RunFolder.claim(out, fresh=True) as folder, KillablePool(workers, DECODE_SECONDS) as pool:
        folder.begin(blank_manifest(engine.kind))
        await started(pool, workers)
        with timed(out.name) as one:
            media = Media(FrameCache(frames), pool)
            whole = pipeline.Pipeline(plan, engine, media, folder.path, frozenset())
            await loop.run(plan, whole, folder)
    return one, whole.stages, media.decode_seconds


async def decoded(plan: Plan, frames: Path, workers: int) -> Pass:
    """Every clip of a plan into the frame cache, in the order of a run, and no question."""
    with KillablePool(workers, DECODE_SECONDS) as pool:
        await started(pool, workers)
        with timed("decode") as one:
            media = Media(FrameCache(frames), pool)
            ordered = loop.in_video_order(plan.samples)
            wanted = dict.fromkeys(want for sample in ordered for want in pipeline.frame_requests(sample, plan))
            await asyncio.gather(*(asyncio.wrap_future(media.decode(want)) for want in wanted))
    return one


async def started(pool: KillablePool, workers: int) -> None:
    """Starting the decode processes stands before the clock, as opening the engine does."""
    await asyncio.gather(*(asyncio.wrap_future(pool.submit(time.sleep, BREATH)) for _ in range(workers)))


def seen(frames: int, pixels: int, tokens: int = 64) -> Protocol:
    """First to last frame, evenly: the frame numbers that lmms-eval takes too where the frame rate is constant."""
    return Protocol(
        protocol=f"bench-{pixels}",
        sampling=Sampling(kind="fps", fps=1000, frames=frames),
        resize=Resize(max_pixels=pixels),
        decoding=Decoding(max_tokens=tokens),
    )


def plan_of(protocol: Protocol, pairs: Sequence[tuple[str, str]]) -> Plan:
    """One task, named as its protocol, of (clip, question) pairs; the clips lie in one folder."""
    task = protocol.protocol
    samples = [
        Sample(
            id=f"{task}-{number:05d}",
            task=task,
            cluster=Path(clip).name,
            clips=(Clip(path=Path(clip).name),),
            question=f"<video>{question}",
            target="A",
            answer_text="A",
            options=("yes", "no"),
        )
        for number, (clip, question) in enumerate(pairs)
    ]
    grader = evaluators.get("choice")
    return Plan(samples, {task: protocol}, {task: grader}, {task: Path(pairs[0][0]).parent})


def blank_manifest(model: str) -> Manifest:
    """The manifest of a run that nobody reads."""
    return Manifest(
        argv=[], model={"name": model}, engine={"kind": "bench"}, protocols={}, tasks={}, suites={}, packages={},
        seed=0, hardware={}, started="",
    )  # fmt: skip
