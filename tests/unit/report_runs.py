"""Plausible run folders for the report tests: written from the schema, with filmstrips drawn by numpy.

Example:
    folder = write_run(tmp_path / "a", model="model-a", skill=0.6)
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.data import samples
from viubench.schema import (
    FrameInfo,
    Manifest,
    Protocol,
    Record,
    Results,
    Status,
    Suite,
    SuiteResult,
    TaskResult,
    content_hash,
)
from viubench.scoring.aggregate import summarise
from viubench.tasks.registry import Catalogue
from viubench.video import filmstrip
from viubench.video.frames import VideoInput

FRAMES = 48
TASKS = {
    "viubench_count_easy": ("shape_counts", "accuracy", 0.111, 0.197),
    "viubench_count_hard": ("shape_counts", "accuracy", 0.063, 0.122),
    "viubench_ground_channel_swap": ("temporal_iou", "miou", 0.25, 0.306),
    "viubench_ground_rotate": ("temporal_iou", "miou", 0.25, 0.306),
    "viubench_ground_zoom_out": ("temporal_iou", "miou", 0.25, 0.306),
    "viubench_ground_mirror": ("temporal_iou", "miou", 0.25, 0.306),
    "viubench_ground_shuffle": ("temporal_iou", "miou", 0.25, 0.306),
    "viubench_jigsaw_easy": ("permutation", "accuracy", 0.0014, 0.0014),
    "viubench_jigsaw_hard": ("permutation", "accuracy", 0.00002, 0.00002),
}
SUITE = Suite(
    suite="viubench",
    tasks=list(TASKS),
    groups={
        "counting": [name for name in TASKS if "count" in name],
        "grounding": [name for name in TASKS if "ground" in name],
        "jigsaw": [name for name in TASKS if "jigsaw" in name],
    },
)
PROTOCOL = Catalogue().protocols["viubench"]


def write_run(
    folder: Path,
    *,
    model: str = "model-a",
    engine: str = "vllm",
    skill: float | Mapping[str, float] = 0.5,
    n: int = 20,
    strips: int = 0,
    half_width: float = 0.03,
    tasks: Sequence[str] = tuple(TASKS),
    suite: bool = True,
    protocol: Protocol = PROTOCOL,
    changes: Mapping[str, Any] | None = None,
    argv: Sequence[str] = ("viubench", "run", "--tasks", "viubench"),
    measured: bool = False,
) -> Path:
    """Write a finished run.

    `skill` is the score, of all tasks or of each; `strips` samples of each task have a filmstrip; `changes` replaces
    fields of the first record. `measured`: the results are those of the records, which come near to `skill`.
    """
    folder.mkdir(parents=True)
    level = {task: skill if isinstance(skill, float) else skill[task] for task in tasks}
    draw = random.Random(f"{model} {engine}")
    records = [_record(task, k, level[task], engine, draw) for task in tasks for k in range(n)]
    if changes and records:
        records[0] = records[0].model_copy(update=dict(changes))
    results = {
        task: _result(task, [r for r in records if r.task == task], level[task], half_width, protocol) for task in tasks
    }
    suites = {"viubench": _suite(results, half_width)} if suite else {}
    about = {"protocol": protocol.protocol, "hash": protocol.hash(), "answers": protocol.answers}
    manifest = Manifest(
        argv=list(argv),
        model={"name": model, "path": f"models/{model}", "fingerprint": content_hash(model)},
        engine={"kind": engine, "version": "1.0"},
        protocols=dict.fromkeys(tasks, about),
        tasks={task: _about(task, n) for task in tasks},
        suites={"viubench": SUITE} if suite else {},
        packages={"numpy": "2.0", "viubench": "0.1.0"},
        seed=0,
        hardware={"cpu": "two cores"},
        started="2026-01-01T00:00:00Z",
    )
    _write(folder / "manifest.json", manifest.model_dump(mode="json", by_alias=True))
    done = (
        summarise(records, manifest) if measured else Results(model=model, engine=engine, tasks=results, suites=suites)
    )
    _write(folder / "results.json", done.model_dump(mode="json", by_alias=True))
    (folder / "records.jsonl").write_text("".join(f"{r.model_dump_json()}\n" for r in records), encoding="utf-8")
    for task in tasks if engine not in ("random", "blind", "oracle") else ():
        for record in [r for r in records if r.task == task and r.frames][:strips]:
            filmstrip.write(filmstrip.strip_path(folder, record.id), [video(record.id)])
    return folder


def table_of(records: Iterable[Record]) -> pd.DataFrame:
    """The samples of these records, as of a run that has them."""
    return samples.table(record.model_dump_json().encode() for record in records)


def video(seed: str, frames: int = FRAMES, height: int = 90, width: int = 160) -> VideoInput:
    """A smooth moving pattern, another one for every seed."""
    rng = np.random.default_rng(list(seed.encode()))
    rows, columns = np.mgrid[0:height, 0:width]
    turn = rng.uniform(0, 6, 3)
    waves = [
        [np.sin(columns / 25 + k / 6 + turn[c]) * np.cos(rows / 18 + turn[c] * k / 20) for c in range(3)]
        for k in range(frames)
    ]
    pixels = (127 + 110 * np.moveaxis(np.array(waves), 1, -1)).astype(np.uint8)
    times = tuple(round(0.75 * k, 3) for k in range(frames))
    return VideoInput(pixels, 24.0, tuple(range(0, 18 * frames, 18)), times, 18 * frames, 0.75 * frames)


def _record(task: str, number: int, skill: float, engine: str, draw: random.Random) -> Record:
    items = random.Random(f"{task} {number}")
    evaluator = TASKS[task][0]
    target, guess = {"temporal_iou": _interval, "permutation": _order, "shape_counts": _counts}[evaluator](items, draw)
    right = engine == "oracle" or draw.random() < skill
    status: Status = "ok"
    if engine == "vllm" and number % 17 == 5:
        status = draw.choice(["unparsed", "truncated", "refused"])
    answer = target if right else guess
    looks = engine not in ("random", "blind", "oracle")
    several = {"viubench_jigsaw_easy": 6, "viubench_jigsaw_hard": 8}.get(task, 1)
    each = FRAMES // several
    times = [round(0.75 * (k % each), 3) for k in range(FRAMES)]
    frames = FrameInfo(
        indices=list(range(0, 18 * FRAMES, 18)),
        times=times,
        height=288,
        width=512,
        hash=f"{number:032x}",
        videos=several,
    )
    return Record(
        task=task,
        id=f"{content_hash([task, number])}",
        cluster=f"clip_{number % 7:02d}.mp4",
        status=status,
        question=f"<video>\nWhat did the code change in this clip? Question {number} of {task}.",
        response=json.dumps(answer) if status == "ok" else "I am not certain what the clip shows, it seems ordinary",
        finish_reason="length" if status == "truncated" else "stop",
        answer=answer if status == "ok" else None,
        rule="declared" if status == "ok" else None,
        target=target,
        scores={"iou" if TASKS[task][1] == "miou" else "exact": float(right)} if status == "ok" else {},
        groups={"length": "short" if number % 2 else "long"},
        frames=frames if looks else None,
        usage={"prompt_tokens": 4000 + number, "completion_tokens": 9, "cached_tokens": 3000} if looks else {},
        seconds={"frames": 0.25 + number / 1000, "engine": 1.5 + number / 100} if looks else {},
    )


def _interval(items: random.Random, draw: random.Random) -> tuple[Any, Any]:
    start, guess = items.uniform(0, 24), draw.uniform(0, 24)
    return [round(start, 1), round(start + 9, 1)], [round(guess, 1), round(guess + 6, 1)]


def _order(items: random.Random, draw: random.Random) -> tuple[Any, Any]:
    return items.sample(range(1, 7), 6), draw.sample(range(1, 7), 6)


def _counts(items: random.Random, draw: random.Random) -> tuple[Any, Any]:
    return [items.randint(1, 9) for _ in range(3)], [draw.randint(1, 9) for _ in range(3)]


def _about(task: str, n: int) -> dict[str, Any]:
    evaluator, metric, chance, blind = TASKS[task]
    return {
        "hash": content_hash(task),
        "version": 1,
        "items_hash": content_hash([task, n]),
        "n": n,
        "evaluator": {"name": evaluator, "params": {}},
        "metric": metric,
        "scores": ["iou" if metric == "miou" else "exact"],
        "chance": chance,
        "blind": blind,
        "blind_statement": "always the same answer, the best one for how the items were drawn",
    }


def _result(task: str, records: Sequence[Record], skill: float, half: float, protocol: Protocol) -> TaskResult:
    metric, chance, blind = TASKS[task][1:]
    statuses: dict[str, int] = {}
    for record in records:
        statuses[record.status] = statuses.get(record.status, 0) + 1
    return TaskResult(
        metric=metric,
        value=skill,
        ci=(max(0.0, skill - half), min(1.0, skill + half)),
        se=half / 2,
        n=len(records),
        clusters=min(7, len(records)),
        statuses=statuses,
        as_published=min(1.0, skill + 0.01) if records else None,
        chance=chance,
        blind=blind,
        blind_statement="always the same answer, the best one for how the items were drawn",
        corrected=(skill - chance) / (1 - chance),
        metrics={metric: skill, "step": min(1.0, skill + 0.1)},
        protocol=protocol.protocol,
        protocol_hash=protocol.hash(),
        items_hash=content_hash([task, len(records)]),
    )


def _suite(results: Mapping[str, TaskResult], half: float) -> SuiteResult:
    def mean(names: Sequence[str]) -> float:
        return sum(results[name].value for name in names) / len(names)

    low, high = max(0.0, mean(list(results)) - half), min(1.0, mean(list(results)) + half)
    groups = {name: mean(tasks) for name, tasks in SUITE.groups.items()}
    return SuiteResult(value=mean(list(results)), ci=(low, high), se=half / 2, tasks=list(results), groups=groups)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def data_of(html: str) -> dict[str, Any]:
    """The data that a page holds as JSON."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded
