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
import importlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import usage, vision
from viubench.errors import ViubenchError

OURS = "viubench"
SIDES = {
    OURS: "ours",
    "vllm": "theirs",
    "vllm_generate": "theirs",
    "bench_serve": "bench_serve",
    "evalscope": "evalscope_side",
}
"""Modules by side: `passes(work)` answers the questions. vllm and vllm_generate are lmms-eval's own names of its two
vLLM models; bench_serve is vLLM's benchmark of its server, and evalscope asks the same server."""
THEIRS = tuple(side for side in SIDES if side != OURS)

ON_CPU = {
    "dtype": "float32",
    "enforce_eager": True,
    "skip_mm_profiling": True,
    "kv_cache_memory_bytes": 1 << 30,
}
CONTEXT = 32768
AT_ONCE = 16
"""Questions that a side has under way at once, where it takes a number; ours has the same."""


@dataclass(frozen=True)
class Work:
    """What one side is to do.

    Attributes:
        side: one of SIDES.
        model: checkpoint folder.
        clips: video files.
        warm_up: a video file that is not among them.
        questions: asked of every clip.
        frames, pixels, tokens: per clip, per frame at most, per answer at most.
        workers: decoding processes of ours.
        evalscope: a Python that has evalscope.
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
    evalscope: str = sys.executable

    def asked(self) -> list[tuple[str, str]]:
        """Every (clip, question), the questions of a clip side by side."""
        return [(clip, question) for clip in self.clips for question in self.questions]


@dataclass
class Pass:
    """One time through: seconds by the clock, the answers in the order of `Work.asked`, and the vision tokens of their
    prompts, whatever the order. Processor seconds are those of all processes of the side; `core`: of vLLM's engine core
    among them, None where none ran. `peak_mb`: the most memory that one of the others had until its end."""

    name: str
    seconds: float = 0.0
    cpu: float = 0.0
    core: float | None = None
    peak_mb: float = 0.0
    answers: list[str] = field(default_factory=list)
    vision: list[int] = field(default_factory=list)


@contextlib.contextmanager
def timed(name: str) -> Iterator[Pass]:
    """A pass whose times are those of the block."""
    one = Pass(name)
    vision.SEEN.taken()
    before, began = usage.used(), time.perf_counter()
    yield one
    one.seconds = time.perf_counter() - began
    spent = usage.used() - before
    one.cpu, one.core, one.peak_mb = spent.total, spent.core, usage.front_peak_mb()
    one.vision = sorted(vision.SEEN.taken().values())


def engine_settings() -> dict[str, Any]:
    """vLLM's settings, the same for every side; on a GPU its own but for the length."""
    from vllm.platforms import current_platform

    return {"max_model_len": CONTEXT} | (ON_CPU if current_platform.is_cpu() else {})


def main(job: Path) -> None:
    """Read the work from `job`, do it, print the passes as a line of standard output.

    Raises:
        ViubenchError: answers are missing, no vision tokens were counted, or the engine core cannot be told from the
            rest, so that its seconds would count as the front end's.
    """
    given = json.loads(job.read_text(encoding="utf-8"))
    vision.watch(given["model"], vision.SEEN)
    work = Work(**given | {name: tuple(given[name]) for name in ("clips", "questions")})
    done = importlib.import_module(f"tests.bench.{SIDES[work.side]}").passes(work)
    for one in done:
        if one.answers and len(one.answers) != len(work.asked()):
            raise ViubenchError(f"{len(one.answers)} answers to {len(work.asked())} questions", where=one.name)
    if any(one.answers and not one.vision for one in done):
        raise ViubenchError("the vision tokens of its prompts were not counted", hint="see tests/bench/vision.py")
    if any(one.answers and one.core is None for one in done):
        raise ViubenchError("vLLM's engine core is not among the processes", hint="pip install setproctitle")
    print(json.dumps({"passes": [asdict(one) for one in done]}), flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except (ViubenchError, ImportError) as error:
        sys.exit(f"{error}")
