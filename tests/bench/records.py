"""What a million answers cost: grading them, their results, the statistics.

Each measurement is a process of its own, so that its peak memory is its own too; the answers are drawn as they are
graded, so that what is held is what viubench holds.

Example:
    >>> rows = measure(1_000_000)
    >>> rows[0].what, rows[0].n
    ('scoring + results', 100000)
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import evaluators
from tests.bench import machine
from viubench.engines.base import Response
from viubench.runner import pipeline
from viubench.runner.plan import Plan
from viubench.schema import (
    Clip,
    EvaluatorSpec,
    FrameInfo,
    Manifest,
    ProtocolEntry,
    Sample,
    ScoredRecord,
    Suite,
    TaskEntry,
)
from viubench.scoring.aggregate import summarise
from viubench.stats import estimates, paired_differences
from viubench.storage import record_log
from viubench.storage.run_dir import RunFolder

FRAMES = 48
PER_VIDEO = 6
"""Questions of one video."""

EVALUATORS = {"grounding": "temporal_iou", "counting": "shape_counts", "jigsaw": "permutation"}
"""Task -> evaluator; the tasks take turns."""

TALK = "The clip shows a person at a table who pours water into a glass and moves on. "


@dataclass(frozen=True)
class RecordsRow:
    """One measurement: wall seconds and the process's peak resident memory in megabytes (10^6 bytes)."""

    what: str
    n: int
    seconds: float
    peak_mb: float


def measure(n: int, progress: Callable[[int, int, str], None] = lambda done, total, note: None) -> list[RecordsRow]:
    """Time every stage with `n`/10 and with `n` answers, 60 or more.

    Raises:
        ViubenchError: a stage failed; its own words are the message.
    """
    rows: list[RecordsRow] = []
    for size in (n // 10, n):
        with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
            for what in STAGES:
                progress(len(rows), 2 * len(STAGES), f"{what}, {size:,}")
                rows.append(
                    RecordsRow(
                        what, size, **machine.in_child(__name__, what, size, scratch, name=f"{what} of {size:,}")
                    )
                )
    return rows


def score(n: int, folder: Path) -> None:
    """Grade drawn answers one by one, append their records, and read the results in one pass."""
    plan = Plan([], {}, {task: evaluators.get(name) for task, name in EVALUATORS.items()})
    with RunFolder.claim(folder) as run:
        run.begin(manifest(n))
        for sample, text, frames in answers(n, plan):
            run.append(pipeline.graded(sample, Response(text, "stop"), plan, frames, {"frames": 0.2, "engine": 1.5}))
        run.write_results(summarise(record_log.read(folder, ScoredRecord), manifest(n)))


def results(n: int, folder: Path) -> None:
    """The results of the finished run alone."""
    found = summarise(record_log.read(folder, ScoredRecord), manifest(n))
    assert sum(task.n for task in found.tasks.values()) == n


def statistics(n: int, _: Path) -> None:
    """A clustered mean, and the paired difference of two runs."""
    draw = np.random.default_rng(0)
    owners = [f"video-{k // PER_VIDEO}" for k in range(n)]
    first, second = draw.random(n), draw.random(n)
    estimates.mean(first, owners)
    paired_differences.paired([(1.0, first, owners)], [(1.0, second, owners)])


STAGES = {"scoring + results": score, "results": results, "statistics": statistics}


def identity(number: int) -> str:
    """The id of a drawn sample, as long as a real one."""
    task = list(EVALUATORS)[number % len(EVALUATORS)]
    return f"viubench_{task}-{number:016x}"


def answers(n: int, plan: Plan) -> Iterator[tuple[Sample, str, FrameInfo]]:
    """Drawn questions, each with a response that is right, wrong or unreadable, and what was shown."""
    draw = random.Random(0)
    times = [round(0.75 * k, 3) for k in range(FRAMES)]
    for number in range(n):
        task = list(EVALUATORS)[number % len(EVALUATORS)]
        target, wrong = _target(task, draw), _target(task, draw)
        video = f"videos/{number // PER_VIDEO:08d}.mp4"
        sample = Sample(
            id=identity(number), task=task, cluster=video, clips=(Clip(path=video),), question=f"<video>\n{TALK * 3}",
            target=target, answer_text="", groups={"strength": ("low", "middle", "high")[number % 3]},
        )  # fmt: skip
        said = plan.evaluators[task].canonical(target if draw.random() < 0.5 else wrong)
        text = TALK if draw.random() < 0.05 else f"{TALK}Answer: {said}"
        yield sample, text, FrameInfo(
            indices=list(range(0, 18 * FRAMES, 18)), times=times, height=288, width=512, hash=f"{number:016x}"
        )  # fmt: skip


def _target(task: str, draw: random.Random) -> Any:
    if task == "grounding":
        start = round(draw.uniform(0, 24), 1)
        return [start, round(start + draw.uniform(3, 12), 1)]
    return draw.sample(range(1, 7), 6) if task == "jigsaw" else [draw.randint(0, 9) for _ in range(3)]


def manifest(n: int) -> Manifest:
    return Manifest(
        argv=[], model={"name": "drawn"}, engine={"kind": "answers"},
        protocols={task: ProtocolEntry(protocol="viubench") for task in EVALUATORS},
        tasks={
            task: TaskEntry(evaluator=EvaluatorSpec(name=name), metric="exact", n=n, chance=0.1, blind=0.1)
            for task, name in EVALUATORS.items()
        },
        suites={"drawn": Suite(suite="drawn", tasks=sorted(EVALUATORS))},
        packages={}, seed=0, hardware={}, started="",
    )  # fmt: skip


def main(what: str, n: str, folder: str) -> None:
    began = time.perf_counter()
    STAGES[what](int(n), Path(folder) / "run")
    print(json.dumps({"seconds": round(time.perf_counter() - began, 3), "peak_mb": round(machine.peak_mb(), 1)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
