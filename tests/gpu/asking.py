"""Questions a second: through the hf engine, with where the seconds go, and through one that takes no time.

Example:
    questions(model="scratch/2b", world="scratch/world", device="cuda", frames=48, side=512, clips=8)
    feed(world="scratch/world", frames=48, side=512, workers=[1, 2, 4, 8, 16])
"""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

from tests.bench.ours import Open, answered, plan_of, seen
from tests.bench.pipeline import Paced
from tests.gpu.material import peak_gb
from viubench.engines.hf import HfEngine
from viubench.runner.plan import Plan
from viubench.video import cores


class Timed(HfEngine):
    """The engine, with the seconds of preprocessing and of all that it does to answer."""

    preprocessing = whole = 0.0

    def _encode(self, *args: Any) -> Any:
        began = time.perf_counter()
        inputs = super()._encode(*args)
        self.preprocessing += time.perf_counter() - began
        return inputs

    def _generate(self, *args: Any) -> Any:
        began = time.perf_counter()
        response = super()._generate(*args)
        self.whole += time.perf_counter() - began
        return response


def questions(model: str, world: str, device: str, frames: int, side: int, clips: int) -> dict[str, Any]:
    """One question to each of `clips` clips, cold and with decoded frames; seconds are those of a question, warm."""
    engine = Timed(model, {"device": device, "dtype": "float32" if device == "cpu" else "bfloat16"})
    about = {"model": Path(model).name, "frames": frames, "side": side, "questions": clips}
    return about | asyncio.run(_questions(engine, Path(world), frames, side, clips)) | {"peak GB": peak_gb()}


async def _questions(engine: Timed, world: Path, frames: int, side: int, clips: int) -> dict[str, Any]:
    workers, began = min(4, cores.available()), time.perf_counter()
    scratch, result = world / f"asked-{time.time_ns()}", dict[str, Any]()
    async with engine:
        result["load s"] = round(time.perf_counter() - began, 1)
        await answered(_plan(world, slice(-1, None), frames, side), Open(engine), scratch / "w", scratch / "f", workers)
        plan = _plan(world, slice(clips), frames, side)
        for way in ("cold", "warm"):
            engine.preprocessing = engine.whole = 0.0
            one, stages, decoding = await answered(plan, Open(engine), scratch / way, scratch / "f", workers)
            result[f"{way}, questions/s"] = round(clips / one.seconds, 2)
            result |= {"decoding s": round(decoding / clips, 3)} if way == "cold" else {}
    result["preprocessing s"] = round(engine.preprocessing / clips, 3)
    result["generation s"] = round((engine.whole - engine.preprocessing) / clips, 3)
    result["stages s"] = [f"{name} {one.seconds / one.entered:.3f}" for name, one in stages.stages.items()]
    return result


def feed(world: str, frames: int, side: int, workers: list[int]) -> dict[str, Any]:
    """A row for each number of decoding processes."""
    return {"rows": [asyncio.run(_feed(Path(world), frames, side, number)) for number in workers]}


async def _feed(world: Path, frames: int, side: int, workers: int) -> dict[str, Any]:
    plan = _plan(world, slice(max(4, 2 * workers)), frames, side)
    many = len(plan.samples)
    row: dict[str, Any] = {"workers": workers, "questions": many}
    for way in ("cold", "warm"):
        one, _, _ = await answered(plan, Paced(0.0), world / f"fed-{way}", world / "fed", workers)
        row |= {f"{way}, questions/s": round(many / one.seconds, 2), f"{way}, CPU s": round(one.cpu / many, 3)}
        row |= {f"{way}, frames/s": round(frames * many / one.seconds)}
    shutil.rmtree(world / "fed")
    return row


def _plan(world: Path, some: slice, frames: int, side: int) -> Plan:
    paths = sorted(map(str, (world / "clips").iterdir()))[some]
    return plan_of(seen(frames, side * side, 16), [(path, "Which letter comes first?") for path in paths])
