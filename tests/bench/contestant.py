"""One side of `python -m tests.bench peers`, alone in a process: opens its engine, then answers the same questions.

Example:
    python -m tests.bench.contestant job.json     # prints one line of JSON: seconds and answers of each pass

Every side has the same checkpoint, vLLM settings, clips, frame counts, pixel budget, answer length and order of
questions (clip by clip). The clock runs from the first question to the last answer; importing, opening the engine, and
one question about a clip that is not among those asked stand before it. The first pass is cold; the second, in the
same process, finds whatever its side keeps: decoded frames, processed videos, the engine's caches.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import machine, vision

OURS = "viubench"
THEIRS = ("vllm", "vllm_generate")
"""lmms-eval's own names of its two vLLM models."""

ON_CPU = {
    "dtype": "float32",
    "enforce_eager": True,
    "skip_mm_profiling": True,
    "kv_cache_memory_bytes": 1 << 30,
}
CONTEXT = 32768

SEEN = vision.Counts()
"""Of this process."""


@dataclass(frozen=True)
class Work:
    """What one side is to do.

    Attributes:
        side: OURS or one of THEIRS.
        model: checkpoint folder.
        clips: video files.
        warm_up: a video file that is not among them.
        questions: asked of every clip.
        frames, pixels, tokens: per clip, per frame at most, per answer at most.
        workers: decoding processes of ours.
    """

    side: str
    model: str
    clips: tuple[str, ...]
    warm_up: str
    questions: tuple[str, ...]
    frames: int
    pixels: int
    tokens: int
    workers: int

    def asked(self) -> list[tuple[str, str]]:
        """Every (clip, question), the questions of a clip side by side."""
        return [(clip, question) for clip in self.clips for question in self.questions]


@dataclass
class Pass:
    """One time through: seconds by the clock, processor seconds, the answers in the order of `Work.asked`, and the
    vision tokens of their prompts, whatever the order."""

    name: str
    seconds: float = 0.0
    cpu: float = 0.0
    answers: list[str] = field(default_factory=list)
    vision: list[int] = field(default_factory=list)


@contextlib.contextmanager
def timed(name: str) -> Iterator[Pass]:
    """A pass whose times are those of the block."""
    one = Pass(name)
    SEEN.taken()
    began, cpu = time.perf_counter(), cpu_seconds()
    yield one
    one.seconds, one.cpu = time.perf_counter() - began, cpu_seconds() - cpu
    one.vision = sorted(SEEN.taken().values())


def cpu_seconds() -> float:
    """Processor seconds that this process and those it started, as far as they still run, have used until now."""
    import psutil

    me = psutil.Process()
    spent = 0.0
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            spent += times.user + times.system
    return spent


def engine_settings() -> dict[str, Any]:
    """vLLM's settings, the same for every side; on a GPU its own but for the length."""
    from vllm.platforms import current_platform

    return {"max_model_len": CONTEXT} | (ON_CPU if current_platform.is_cpu() else {})


def main(job: Path) -> None:
    """Read the work from `job`, do it, print the passes as a line of standard output."""
    given = json.loads(job.read_text(encoding="utf-8"))
    vision.watch(given["model"], SEEN)
    work = Work(**given | {name: tuple(given[name]) for name in ("clips", "questions")})
    if work.side == OURS:
        from tests.bench.ours import passes
    else:
        from tests.bench.theirs import passes
    done = [asdict(one) for one in passes(work)]
    print(json.dumps({"passes": done, "peak_mb": round(machine.peak_mb())}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
