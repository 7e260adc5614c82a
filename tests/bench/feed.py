"""What feeds an engine: processor seconds a question by stage, and questions a second by decode workers.

Example:
    >>> rows = measure(clips, "tiny-qwen3-vl", FeedSettings(), print)     # doctest: +SKIP
    >>> rows[0].serial                                                    # doctest: +SKIP
    0.04

The engine is `tests.bench.front`, whose core takes no time, so that nothing hides behind a model. Two sides in turn:
plain, with vLLM's own processor of videos, and ours. Each asks every clip once before anything is counted, since the
proof of sight looks closely at frames of a new size; then cold (no frame decoded, nothing processed), and warm.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tabulate import tabulate

from tests.bench import ours
from tests.bench.front import Front
from tests.bench.peers import QUESTIONS
from tests.bench.spent import CountedPool, Spent, Watched
from viubench.errors import ViubenchError
from viubench.runner import loop, pipeline
from viubench.runner.plan import Plan
from viubench.schema import Record
from viubench.storage.run_dir import RunFolder
from viubench.video.frame_cache import FrameCache
from viubench.video.loader import Media

CORES = 16
"""Of a machine for which the table tells what it could feed."""


IN_WORKERS = ("probe", "decode", "resize", "hash", "store", "worker, the rest")
"""Stages of the decode workers; see `spent.job`."""


@dataclass(frozen=True)
class FeedSettings:
    """What is fed: frames of each clip, pixels of a frame at most, questions of each clip, decode workers."""

    frames: int = 48
    pixels: int = 262144
    questions: tuple[int, ...] = (1, 3, 10)
    workers: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class FeedRow:
    """One pass; processor seconds are those of a question.

    Attributes:
        side: "plain" or "ours".
        ran: "cold" or "warm".
        rate: questions a second by the clock, on this machine as busy as it was.
        cpu: of this process and its decode workers; `stages`: by stage, what is left over as "the rest".
        loop, multimodal: of the event loop's thread, and of vLLM's one thread for videos.
        serial: the larger of the two / `cpu`: no number of cores makes a run faster than that thread.
    """

    side: str
    questions: int
    workers: int
    ran: str
    rate: float
    cpu: float
    loop: float
    multimodal: float
    serial: float
    stages: dict[str, float]

    @property
    def front(self) -> float:
        """Processor seconds of a question outside the decode workers."""
        return sum(seconds for stage, seconds in self.stages.items() if stage not in IN_WORKERS)

    def fed(self, cores: int) -> float:
        """Questions a second that so many cores can feed at most."""
        return min(cores / self.cpu, 1 / max(self.loop, self.multimodal, 1e-6))


def measure(clips: Sequence[Path], model: str, settings: FeedSettings, log: Callable[[str], None]) -> list[FeedRow]:
    """Every pass of both sides; see `FeedSettings`."""
    return asyncio.run(_measure(clips, model, settings, log))


async def _measure(
    clips: Sequence[Path], model: str, settings: FeedSettings, log: Callable[[str], None]
) -> list[FeedRow]:
    rows = []
    protocol = ours.seen(settings.frames, settings.pixels)
    for side in ("plain", "ours"):
        async with Front(model, {}, plain=side == "plain") as engine:
            log(f"{side}: sight")
            with TemporaryDirectory(prefix="viubench-bench-") as scratch:
                plan = ours.plan_of(protocol, [(str(clip), QUESTIONS[0]) for clip in clips])
                await _pass(plan, engine, Path(scratch), "first", max(settings.workers), Spent())
            for workers in settings.workers:
                for count in settings.questions:
                    log(f"{side}: {workers} workers, {count} questions")
                    pairs = [(str(clip), question) for clip in clips for question in QUESTIONS[:count]]
                    plan = ours.plan_of(protocol, pairs)
                    await engine.forget()
                    with TemporaryDirectory(prefix="viubench-bench-") as scratch:
                        for ran in ("cold", "warm"):
                            seen = await _pass(plan, engine, Path(scratch), ran, workers, Spent())
                            rows.append(FeedRow(side, count, workers, ran, **seen))
    return rows


async def _pass(plan: Plan, engine: Front, scratch: Path, name: str, workers: int, spent: Spent) -> dict[str, Any]:
    with (
        RunFolder.claim(scratch / name, fresh=True) as folder,
        CountedPool(workers, ours.DECODE_SECONDS, spent) as pool,
        spent.watching(watched(engine)),
    ):
        folder.begin(ours.blank_manifest(engine.kind))
        await ours.started(pool, workers)
        spent.seconds.clear()
        whole = pipeline.Pipeline(
            plan, ours.Open(engine), Media(FrameCache(scratch / "frames"), pool), folder.path, set()
        )
        before, began = _threads(engine), (time.perf_counter(), time.process_time())
        await loop.run(plan, whole, folder, progress=_answered)
        seconds, here = time.perf_counter() - began[0], time.process_time() - began[1]
        after = _threads(engine)
    number = len(plan.samples)
    outside = sum(spent.seconds[stage] for stage in IN_WORKERS)
    stages = {stage: value / number for stage, value in spent.seconds.items()}
    stages["the rest"] = (here + outside - sum(spent.seconds.values())) / number
    cpu = (here + outside) / number
    one, other = ((after[place] - before[place]) / number for place in (0, 1))
    return {
        "rate": round(number / seconds, 2),
        "cpu": round(cpu, 4),
        "loop": round(one, 4),
        "multimodal": round(other, 4),
        "serial": round(max(one, other) / cpu, 3),
        "stages": {stage: round(value, 4) for stage, value in stages.items()},
    }


def watched(engine: Front) -> Watched:
    """What is counted in this process."""
    from transformers.video_processing_utils import BaseVideoProcessor
    from vllm.multimodal.processing import BaseMultiModalProcessor
    from vllm.v1.engine.input_processor import InputProcessor
    from vllm.v1.serial_utils import MsgpackEncoder

    from viubench.engines.vllm import VllmEngine
    from viubench.engines.vllm import engine as ours_here
    from viubench.engines.vllm.patches import Patcher

    tokenizer = type(engine._llm.renderer.tokenizer)
    return {
        "load": [(FrameCache, "load")],
        "make": [(pipeline, "shown"), (pipeline, "frame_info")],
        "prompt": [(ours_here, "as_prompt")],
        "tokenise": [(tokenizer, name) for name in ("_encode_plus", "_decode") if hasattr(tokenizer, name)],
        "patches": [(BaseVideoProcessor, "preprocess"), (Patcher, "__call__")],
        "multimodal": [(BaseMultiModalProcessor, "apply")],
        "engine input": [(InputProcessor, "process_inputs")],
        "transfer": [(MsgpackEncoder, "encode")],
        "sight": [(VllmEngine, "_check")],
        "records": [(pipeline, "graded"), (RunFolder, "append")],
    }


def _answered(record: Record) -> None:
    """ViubenchError for a question that the engine was not even asked."""
    if record.error is not None:
        raise ViubenchError(f"{record.id} has no answer: {record.error.detail}")


def _threads(engine: Front) -> tuple[float, float]:
    """Processor seconds until now of the event loop's thread and of vLLM's thread for videos."""
    video = engine._llm.renderer._mm_executor.submit(threading.get_native_id).result()
    here, there = (Path(f"/proc/self/task/{one}/schedstat").read_text() for one in (threading.get_native_id(), video))
    return int(here.split()[0]) / 1e9, int(there.split()[0]) / 1e9


def table(rows: Sequence[FeedRow], settings: FeedSettings) -> str:
    """For a terminal."""
    lines = [
        [row.side, row.workers, row.questions, row.ran, f"{row.cpu:.3f}", f"{row.front:.3f}", f"{row.loop:.3f}",
         f"{row.multimodal:.3f}", f"{row.serial:.0%}", f"{row.fed(CORES):.1f}"]
        for row in rows
    ]  # fmt: skip
    headers = [
        "side",
        "workers",
        "questions",
        "pass",
        "CPU s",
        "front",
        "loop",
        "multimodal",
        "serial",
        f"{CORES} cores",
    ]
    align = ("left", "right", "right", "left", *["right"] * 6)
    first = f"{settings.frames} frames of at most {settings.pixels} pixels; seconds are processor seconds a question"
    passes = tabulate(lines, headers, disable_numparse=True, colalign=align)
    shown = [row for row in rows if (row.workers, row.questions) == (max(settings.workers), min(settings.questions))]
    names = list(dict.fromkeys(stage for row in shown for stage in row.stages))
    stages = [[stage, *(f"{1000 * row.stages.get(stage, 0.0):.1f}" for row in shown)] for stage in names]
    headers = ["stage", *(f"{row.side}, {row.ran}" for row in shown)]
    by_stage = tabulate(stages, headers, disable_numparse=True, colalign=["left", *["right"] * len(shown)])
    return f"{first}\n{passes}\n\nBy stage, in ms, {min(settings.questions)} questions a clip\n{by_stage}"
