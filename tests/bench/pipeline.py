"""Does everything overlap? A run by the clock against decoding alone and the engine alone.

Example:
    >>> measure(Path("clips"), OverlapSettings(), print)[0].share     # doctest: +SKIP
    1.06

The engine here takes its time and no processor, as one on a GPU does: a question occupies it for a fixed while, one
after the other. On a machine whose engine runs on the same cores as the decoders nothing could overlap, however the
work is ordered; `python -m tests.bench peers` shows that case, with a real engine.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from tabulate import tabulate

from tests.bench import machine
from tests.bench.ours import answered, decoded, plan_of, seen
from viubench.engines.base import Engine, Request, Response
from viubench.errors import ViubenchError
from viubench.runner.plan import Plan
from viubench.video.discover import list_videos


@dataclass(frozen=True)
class OverlapSettings:
    """What is run.

    Attributes:
        frames: of each clip.
        pixels: sizes each clip is shown at; each is a video of its own to the store.
        questions: of each clip at each size.
        paces: engine time / decoding time, one run each.
        workers: decoding processes.
    """

    frames: int = 32
    pixels: tuple[int, ...] = (65536, 98304, 131072, 196608)
    questions: int = 3
    paces: tuple[float, ...] = (0.5, 1.0, 2.0)
    workers: int = 2


@dataclass(frozen=True)
class OverlapRow:
    """One run; seconds by the clock.

    Attributes:
        pace: engine time / decoding time that was asked for.
        decode, engine, run: decoding alone, the engine alone with frames that are decoded, and both, from nothing.
        share: run / the larger of the two.
        idle: share of the run's time during which the engine had no question.
        stages: seconds that a sample spends in each stage of the run, on average; "decoders" is the share of the run's
            time that the decoding processes were at work.
        peak_mb: the most memory this process had in use until then, in 10^6 bytes.
    """

    pace: float
    answers: int
    decode: float
    engine: float
    run: float
    share: float
    idle: float
    peak_mb: int
    stages: dict[str, float]


class Paced(Engine):
    """Takes `seconds` for a question, one question at a time, without using a processor."""

    kind: ClassVar[str] = "paced"
    max_in_flight = 16

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.device = asyncio.Lock()

    async def generate(self, request: Request) -> Response:
        async with self.device:
            await asyncio.sleep(self.seconds)
        return Response("A", "stop", {"frames": sum(len(video) for video in request.videos)})

    def describe(self) -> dict[str, Any]:
        return {"model": "paced", "version": "1", "seconds": self.seconds}


def measure(videos: Path, settings: OverlapSettings, log: Callable[[str], None]) -> list[OverlapRow]:
    """One row per pace, over the clips in the folder itself; ViubenchError when there are none."""
    clips = [videos / name for name in list_videos(videos)[0] if "/" not in name]
    if not clips:
        raise ViubenchError("there is no video in it", where=str(videos))
    rows = []
    for pace in settings.paces:
        log(f"engine time = {pace:g} x decoding time")
        with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
            rows.append(asyncio.run(_row(_plan(clips, settings), pace, settings, Path(scratch))))
    return rows


def table(rows: Sequence[OverlapRow]) -> str:
    """For a terminal."""
    lines = [
        [f"{row.pace:g}", *(f"{part:.2f}" for part in (row.decode, row.engine, row.run, row.share)), f"{row.idle:.0%}",
         row.peak_mb]
        for row in rows
    ]  # fmt: skip
    headers = ["engine / decoding", "decode alone", "engine alone", "run", "run / larger", "engine idle", "peak MB"]
    runs = tabulate(lines, headers, disable_numparse=True, colalign=["right"] * 7)
    names = [name for name in rows[0].stages if name != "decoders"]
    spent = [
        [f"{row.pace:g}", *(f"{row.stages[name]:.3f}" for name in names), f"{row.stages['decoders']:.0%}"]
        for row in rows
    ]
    headers = ["engine / decoding", *(f"{name}, s" for name in names), "decoders busy"]
    stages = tabulate(spent, headers, disable_numparse=True, colalign=["right"] * len(headers))
    title = f"{rows[0].answers} answers; seconds by the clock"
    return f"{title}\n{runs}\n\nWhat a sample spends in each stage of the run (queue: waiting for the engine)\n{stages}"


async def _row(plan: Plan, pace: float, settings: OverlapSettings, scratch: Path) -> OverlapRow:
    frames = scratch / "frames"
    decode = await decoded(plan, frames, settings.workers)
    engine = Paced(pace * decode.seconds / len(plan.samples))
    alone, _, _ = await answered(plan, engine, scratch / "engine", frames, settings.workers)
    shutil.rmtree(frames)
    whole, stages, decoding = await answered(plan, engine, scratch / "whole", frames, settings.workers)
    share = whole.seconds / max(decode.seconds, alone.seconds)
    seconds = {"decode": decode.seconds, "engine": alone.seconds, "run": whole.seconds}
    rounded = {name: round(value, 2) for name, value in seconds.items()}
    spent = {name: round(stage.seconds / stage.entered, 3) for name, stage in stages.stages.items()}
    spent["decoders"] = round(decoding / (whole.seconds * settings.workers), 3)
    idle = round(stages.idle(), 3)
    return OverlapRow(
        pace,
        len(plan.samples),
        **rounded,
        share=round(share, 3),
        idle=idle,
        peak_mb=round(machine.peak_mb()),
        stages=spent,
    )


def _plan(clips: Sequence[Path], settings: OverlapSettings) -> Plan:
    """A task for each size, and each clip at each size as a video of its own: one round through the clips after the
    other, as a set of so many videos would be gone through. Questions of a clip stand side by side."""
    pairs = [(str(clip), f"Question {number}?") for clip in clips for number in range(settings.questions)]
    plans = [plan_of(seen(settings.frames, pixels), pairs) for pixels in settings.pixels]
    return Plan(
        [replace(sample, cluster=f"{sample.task} {sample.cluster}") for plan in plans for sample in plan.samples],
        {task: protocol for plan in plans for task, protocol in plan.protocols.items()},
        {task: grader for plan in plans for task, grader in plan.evaluators.items()},
        {task: root for plan in plans for task, root in plan.roots.items()},
    )
