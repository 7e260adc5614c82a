"""The suite video-2026 on the command line: the true answers of all example rows score 100."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import inprocess

from viubench.datasets import loader
from viubench.tasks.registry import BUILT_IN, Catalogue
from viubench.video import synthetic


def test_true_answers_score_full_in_every_task_and_suite(tmp_path: Path) -> None:
    catalogue, data = Catalogue(), tmp_path / "data"
    tasks = [*catalogue.suites["video-2026"].tasks, "videomme_interleaved"]
    (clip,) = synthetic.draw(tmp_path / "drawn", 1, seconds=9.0, size=(64, 48), fps=5)
    shutil.copytree(BUILT_IN / "examples", data)
    rows = 0
    for name in tasks:
        built = loader.read(catalogue.task(name), data)
        rows += len(built.samples)
        for place in {part.path for sample in built.samples for part in sample.clips}:
            (built.videos / place).parent.mkdir(parents=True, exist_ok=True)
            if not (built.videos / place).exists():
                os.link(clip, built.videos / place)
    done = inprocess.command(
        "run", "--engine", "oracle", "--tasks", ",".join(["video-2026", "videomme_interleaved"]), "--data-root", data,
        "--out", tmp_path / "run", "--quiet", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert {name: task["value"] for name, task in results["tasks"].items()} == dict.fromkeys(tasks, 1.0)
    assert sum(task["n"] for task in results["tasks"].values()) == rows
    assert results["suites"]["video-2026"]["value"] == 1.0
