"""What a run of many questions costs around its engine: planning, a dry run, scoring, going on with it, its page.

Each stage is a process of its own, on a drawn multiple-choice data set of six questions a video; no video is opened,
and no model is asked.

Example:
    >>> rows = measure(50_000)
    >>> rows[0].what
    'plan'
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from tests.bench import machine
from viubench.datasets import prompts
from viubench.engines import tiny_checkpoints
from viubench.engines.base import Response
from viubench.runner import pipeline, planning
from viubench.runner.config import EvalConfig
from viubench.runner.dry_run import forecast
from viubench.runner.evaluate import ActiveRun
from viubench.runner.event_loop import in_event_loop

PER_VIDEO = 6
"""Questions of one video."""

ASKED = "What does the person at the table do with object {} right after the cup is put down?"
DONE = "They {} it with both hands"
VERBS = ("pour", "cut", "lift", "open", "close", "turn", "fold", "throw", "catch", "push", "pull", "carry", "wash")
TOPICS = ("cooking", "sports", "crafts", "travel")

TASK = """
task: drawn_choice
description: Drawn questions.
domain: general
rows: {files: [rows.jsonl]}
video: {path: "{{ video }}"}
id: "{{ id }}"
cluster: "{{ video }}"
question: "{{ question }}"
options: "{{ options }}"
answer: "{{ answer }}"
evaluator: {name: choice}
metric: accuracy
alternatives: [videossr/vqa]
protocol: fps2-32
group_by: {topic: "{{ topic }}"}
"""


@dataclass(frozen=True)
class ScaleRow:
    """One stage: wall seconds, processor seconds of the process, start and imports included, and its peak resident
    memory in megabytes (10^6 bytes)."""

    what: str
    n: int
    seconds: float
    cpu: float
    peak_mb: float


def table(rows: Sequence[ScaleRow]) -> str:
    """For a terminal."""
    lines = [[row.what, f"{row.n:,}", f"{row.seconds:.1f}", f"{row.cpu:.1f}", f"{row.peak_mb:,.0f}"] for row in rows]
    headers = ["what", "questions", "seconds", "CPU s", "peak MB"]
    return tabulate(lines, headers, disable_numparse=True, colalign=("left", *["right"] * 4))


def measure(n: int, progress: Callable[[int, int, str], None] = lambda done, total, note: None) -> list[ScaleRow]:
    """Time every stage with `n` questions.

    Raises:
        ViubenchError: a stage failed; its own words are the message.
    """
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        draw(n, Path(scratch))
        rows = []
        for done, what in enumerate(STAGES):
            progress(done, len(STAGES), what)
            rows.append(ScaleRow(what, n, **machine.in_child(__name__, what, scratch, name=what)))
        return rows


def draw(n: int, folder: Path) -> None:
    """The data set, its task, its videos (which only have to be there), and a checkpoint that knows its words."""
    data = folder / "data" / "drawn_choice"
    (data / "videos").mkdir(parents=True)
    (folder / "tasks").mkdir()
    (folder / "tasks" / "drawn_choice.yaml").write_text(TASK)
    draws = random.Random(0)
    with (data / "rows.jsonl").open("w") as rows:
        for number in range(n):
            video = f"videos/{number // PER_VIDEO:08d}.mp4"
            if not number % PER_VIDEO:
                (data / video).write_bytes(b"\0")
            row = {
                "id": f"{number:016x}", "video": video, "answer": "ABCD"[draws.randrange(4)],
                "question": ASKED.format(number % 1000), "topic": TOPICS[number % len(TOPICS)],
                "options": [DONE.format(verb) for verb in draws.sample(VERBS, 4)],
            }  # fmt: skip
            rows.write(json.dumps(row) + "\n")
    words = [ASKED, DONE, *VERBS, prompts.FORMS["choice"], "ABCD"]
    tiny_checkpoints.write(folder / "model", kind=tiny_checkpoints.LEARNER, texts=words)


def config(folder: Path, engine: str = "oracle") -> EvalConfig:
    """The options of the run, with a checkpoint where the engine needs one."""
    return EvalConfig(
        folder / "model" if engine == "hf" else None,
        "drawn_choice",
        engine=engine,
        data_root=folder / "data",
        include_path=folder / "tasks",
        out=folder / ("dry" if engine == "hf" else "run"),
        frame_cache=folder / "cache",
    )


def plan(folder: Path) -> None:
    """From the options to every sample, and what the manifest says of them."""
    planning.make_plan(config(folder), folder / "run")


def dry_run(folder: Path) -> None:
    """`viubench run --dry-run` with a checkpoint: every prompt counted, every video looked for."""
    assert not forecast(config(folder, "hf")).missing.samples


def score(folder: Path) -> None:
    """Plan, grade a terse answer to every question, append its record, and read the results."""
    draws = random.Random(1)
    with ActiveRun.open(config(folder)) as run:
        run.folder.begin(run.manifest())
        for sample in run.plan.samples:
            run.folder.append(pipeline.graded(sample, Response(draws.choice("ABCD"), "stop"), run.plan, None, {}))
        run.finish()


def resume(folder: Path) -> None:
    """The same command again for a run whose last line a kill has torn: plan, ask the one question, the results."""
    records = folder / "run" / "records.jsonl"
    with records.open("r+b") as file:
        file.truncate(records.stat().st_size - 5)
    with ActiveRun.open(config(folder)) as run:
        in_event_loop(run.answer())
        run.finish()


def report(folder: Path) -> None:
    """`viubench report`: the page of the run."""
    from reports.pages import leaderboard_page

    leaderboard_page.write([folder / "run"], folder / "page.html", [])


STAGES = {"plan": plan, "dry run": dry_run, "score": score, "resume": resume, "report": report}


def main(what: str, folder: str) -> None:
    began = time.perf_counter()
    STAGES[what](Path(folder))
    taken = {"seconds": time.perf_counter() - began, "cpu": time.process_time(), "peak_mb": machine.peak_mb()}
    print(json.dumps({name: round(value, 1) for name, value in taken.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
