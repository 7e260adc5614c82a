"""How large the leaderboard of many runs is, how long it takes to write and how much memory: made-up runs, a real page.

Example:
    >>> row = measure(leaderboard.write, PageSettings(3, 2, 60), Path("leaderboard.html"))  # doctest: +SKIP
    >>> row.answers, row.megabytes < MOST_MEGABYTES  # doctest: +SKIP
    (360, True)
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

from tests.bench import machine
from viubench.schema import EvaluatorSpec, Manifest, ProtocolEntry, ScoredRecord, Suite, TaskEntry, content_hash
from viubench.scoring.aggregate import summarise
from viubench.storage import record_log
from viubench.storage.run_dir import write_json
from viubench.tasks.registry import Catalogue
from viubench.video import filmstrip
from viubench.video.frames import VideoInput

MOST_MEGABYTES = 15.0
"""What the page promises to stay below, at the default settings."""

EVALUATORS = ("shape_counts", "temporal_iou", "permutation", "choice")
METRICS = {"shape_counts": "exact", "temporal_iou": "iou", "permutation": "exact", "choice": "accuracy"}
FRAMES, STRIPS = 48, 12
TALK = "The clip shows a person at a table who pours water into a glass and moves on. " * 4


@dataclass(frozen=True)
class PageSettings:
    """What the page shows; `items` of each task."""

    tasks: int = 18
    models: int = 10
    items: int = 2700


@dataclass(frozen=True)
class PageRow:
    """One page.

    Attributes:
        answers: records behind it, of all runs.
        megabytes: its size, in 10^6 bytes.
        seconds: by the clock, from finished runs to the page; cpu: processor seconds of this process.
        peak_mb: the most memory this process had in use by then, in 10^6 bytes; before_mb: before it began.
    """

    answers: int
    megabytes: float
    seconds: float
    cpu: float
    peak_mb: float
    before_mb: float


def measure(
    write: Callable[[Sequence[Path], Path], object],
    settings: PageSettings,
    out: Path,
    progress: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> PageRow:
    """Make the runs, then write their page to `out` with `write(runs, out)`, which alone is timed."""
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        runs = []
        for k in range(settings.models):
            progress(k, settings.models + 1, f"model {k} makes its answers up")
            runs.append(made(Path(scratch) / f"model-{k}", k, settings.tasks, settings.items))
        progress(settings.models, settings.models + 1, "writing the page")
        before = machine.peak_mb()
        began, worked = time.perf_counter(), time.process_time()
        write(runs, out)
        seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    size = out.stat().st_size / 1e6
    answers = settings.tasks * settings.models * settings.items
    return PageRow(answers, round(size, 2), round(seconds, 2), round(cpu, 2), machine.peak_mb(), before)


def table(row: PageRow, settings: PageSettings) -> str:
    """For a terminal."""
    line = [f"{row.answers:,}", f"{row.megabytes:.1f}", f"{row.seconds:.1f}", f"{row.cpu:.1f}", f"{row.peak_mb:,.0f}",
            f"{row.before_mb:,.0f}"]  # fmt: skip
    headers = ["answers", "page, MB", "seconds", "CPU s", "peak MB", "before"]
    table = tabulate([line], headers, disable_numparse=True, colalign=["right"] * len(headers))
    return f"{settings.tasks} tasks x {settings.models} models x {settings.items:,} items a task\n{table}"


def made(folder: Path, model: int, tasks: int, items: int) -> Path:
    """A finished run: results of its records, filmstrips of the first samples of each task."""
    folder.mkdir()
    names = [f"bench_{EVALUATORS[k % len(EVALUATORS)]}_{k:02d}" for k in range(tasks)]
    protocol = Catalogue().protocols["viubench"]
    manifest = Manifest(
        argv=["viubench", "run", "--tasks", "bench"],
        model={"name": folder.name, "fingerprint": content_hash(model)},
        engine={"kind": "vllm", "version": "1.0"},
        protocols={name: ProtocolEntry.of(protocol) for name in names},
        tasks={name: about(name, k, items) for k, name in enumerate(names)},
        suites={"bench": Suite(suite="bench", tasks=names)},
        packages={"viubench": "0.1.0"},
        seed=0,
        hardware={},
        started="2026-01-01T00:00:00Z",
    )
    with (folder / "records.jsonl").open("w") as file:
        for k, name in enumerate(names):
            file.writelines(lines(name, k, model, items))
    write_json(folder / "manifest.json", manifest)
    write_json(folder / "results.json", summarise(record_log.read(folder, ScoredRecord), manifest))
    if (strips := folder.parent / "model-0" / "strips").is_dir():  # all models saw the same frames
        shutil.copytree(strips, folder / "strips")
        return folder
    for k, name in enumerate(names):
        for number in range(min(STRIPS, items)):
            filmstrip.write(filmstrip.strip_path(folder, f"{name}-{number:05d}"), [video(k * 100 + number)])
    return folder


def about(name: str, number: int, items: int) -> TaskEntry:
    evaluator = EVALUATORS[number % len(EVALUATORS)]
    metric = METRICS[evaluator]
    return TaskEntry(
        hash=content_hash(name), items_hash=content_hash([name, items]), n=items,
        scores=[metric], chance=0.2, blind=0.25,
        evaluator=EvaluatorSpec(name=evaluator), metric="miou" if metric == "iou" else "accuracy",
        blind_statement="always the same answer",
    )  # fmt: skip


def lines(name: str, number: int, model: int, items: int) -> Iterator[str]:
    """The records of one task, every twentieth without a usable answer."""
    evaluator = EVALUATORS[number % len(EVALUATORS)]
    draw = random.Random(f"{name} {model}")
    times = [round(0.75 * k, 3) for k in range(FRAMES)]
    for k in range(items):
        same = random.Random(f"{name} {k}")
        target, guess = answers(evaluator, same), answers(evaluator, draw)
        right = draw.random() < 0.3 + 0.04 * model
        bad = draw.random() < 0.05
        score = 1.0 if right else round(draw.random() * 0.6, 4) if evaluator == "temporal_iou" else 0.0
        yield json.dumps({
            "task": name, "id": f"{name}-{k:05d}", "cluster": f"video-{k % max(items // 6, 2):04d}.mp4",
            "status": "unparsed" if bad else "ok", "question": f"<video>\\nWhat did the code change? Question {k}.",
            "response": TALK if bad else f"{TALK} Answer: {target if right else guess}", "finish_reason": "stop",
            "answer": None if bad else target if right else guess, "rule": None if bad else "declared",
            "target": target, "scores": {} if bad else {METRICS[evaluator]: score},
            "groups": {"length": ("short", "medium", "long")[k % 3], "segments": str(1 + k % 5)},
            "frames": {"indices": list(range(0, 18 * FRAMES, 18)), "times": times, "height": 288, "width": 512,
                       "hash": f"{number:016x}{k:016x}"},
            "usage": {"prompt_tokens": 4000 + k, "completion_tokens": 60, "cached_tokens": 3000},
            "seconds": {"frames": 0.2, "engine": round(1 + draw.random(), 4)},
        }) + "\n"  # fmt: skip


def answers(evaluator: str, draw: random.Random) -> object:
    if evaluator == "temporal_iou":
        start = draw.uniform(0, 24)
        return [round(start, 1), round(start + draw.uniform(3, 12), 1)]
    if evaluator == "permutation":
        return draw.sample(range(1, 7), 6)
    return draw.choice("ABCD") if evaluator == "choice" else [draw.randint(0, 9) for _ in range(3)]


def video(seed: int) -> VideoInput:
    """Frames of smooth noise, about as hard to compress as a real scene."""
    import cv2

    rng = np.random.default_rng(seed)
    pixels = np.stack([
        cv2.resize(rng.integers(0, 255, (9, 16, 3), dtype=np.uint8), (384, 216), interpolation=cv2.INTER_CUBIC)
        for _ in range(FRAMES)
    ])  # fmt: skip
    times = tuple(round(0.75 * k, 3) for k in range(FRAMES))
    return VideoInput(pixels, 24.0, tuple(range(0, 18 * FRAMES, 18)), times, 18 * FRAMES, 0.75 * FRAMES)
