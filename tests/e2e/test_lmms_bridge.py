"""Four real lmms-eval tasks on local data through our engines, records and statistics, and lmms-eval's own numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import lmms_world
import pytest
from engine_requests import ask, request, texts, video

from viubench.engines import make
from viubench.runs import read_records, read_results

pytest.importorskip("lmms_eval")
pytestmark = pytest.mark.engine

THEIRS = Path(__file__).with_name("lmms_theirs.py")
TASKS = ",".join(f"lmms:{task}" for task in lmms_world.TASKS)
CHOICES = ("A", "(B)", "The answer is D.", "", "C. not sure", "drifting right", "I cannot say")
WINDOWS = ("The event happens in the 0 - 3 seconds", "0.5-2.9", "00:01 to 00:04", "", "at 3 s", "From 3 to 5 seconds")


class World:
    """The data of the tasks in a folder, and commands run in it."""

    def __init__(self, folder: Path, clips: Path) -> None:
        self.folder = folder
        self.environment = os.environ | lmms_world.write(folder, clips) | {"VIUBENCH_CACHE": str(folder / "cache")}

    def __call__(self, *arguments: object, script: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *([str(script)] if script else ["-m", "viubench"]), *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=self.environment, cwd=self.folder, timeout=600
        )

    def theirs(self, run: str) -> dict[str, dict[str, float]]:
        """lmms-eval's numbers over the responses of a run: task -> metric -> number in its own scale."""
        done = self(run, script=THEIRS)
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout.splitlines()[-1])[run])


@pytest.fixture(scope="module")
def world(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("lmms"), clips)


def assert_equal_to_theirs(world: World, run: str) -> None:
    """The task numbers in results.json are lmms-eval's own over the same answers, percent as fractions."""
    theirs = world.theirs(run)
    results = read_results(world.folder / run)
    for task in lmms_world.TASKS:
        ours = {name: rule.value for name, rule in results.tasks[f"lmms:{task}"].rules.items()}
        assert ours == {f"lmms_eval/{k}": pytest.approx(v / 100, abs=1e-6) for k, v in theirs[task].items()}, task
        assert ours, task


def test_vllm_answers_real_tasks_and_another_process_knows_them_again(world: World, tiny_model: Path) -> None:
    command = ("run", "--engine", "vllm", "--model", tiny_model, "--tasks", TASKS, "--max-errors", 0.1, "--quiet")
    command += ("--max-pixels", 4096, "--frames", 8)
    done = world(*command, "--out", "run")
    assert done.returncode == 0, done.stderr[-3000:]
    records = {record.id: record for record in read_records(world.folder / "run")}
    assert len(records) == 27
    failed = {name for name, record in records.items() if record.status == "media_error"}
    assert failed == {"lmms:temporal_grounding_charades-2", "lmms:temporal_grounding_charades-5"}
    assert {record.error.fault for record in records.values() if record.error} == {"missing"}
    assert all(record.frames and record.response for name, record in records.items() if name not in failed)
    question = records["lmms:mvbench_action_antonym-1"].question
    assert question == (
        "<video>Question:How does shape 1 move?\nOption:\n(A) drifting left\n(B) drifting right\n(C) not sure\n"
        "Only give the best option.\n"
    )
    results = read_results(world.folder / "run")
    assert results.tasks["lmms:videomme"].clusters == lmms_world.CLIPS, "clustered by lmms-eval's cluster_key"
    assert results.tasks["lmms:videomme"].chance is None, "no random rule is published"
    assert_equal_to_theirs(world, "run")

    # Another process makes the same items of the same rows, and the same scores of the same answers.
    said = [
        json.dumps({"id": name, "response": record.response}) for name, record in records.items() if record.response
    ]
    (world.folder / "said.jsonl").write_text("\n".join(said))
    done = world("score", "--tasks", TASKS, "--responses", "said.jsonl", "--out", "again", "--quiet", "--max-errors", 1)
    assert done.returncode == 0, done.stderr[-3000:]
    again = read_results(world.folder / "again")
    for task, result in results.tasks.items():
        assert (again.tasks[task].items_hash, again.tasks[task].value) == (result.items_hash, result.value)


def test_pictures_are_images_to_vllm_as_to_transformers(tiny_model: Path) -> None:
    clip = video(1, 8, 64, 64)
    tall, wide = (replace(video(seed, 1, *size), reader="still") for seed, size in ((2, (96, 64)), (3, (32, 128))))
    requests = [
        request("<video>What is it?", tall),
        request("<video> or <video>? Then <video>", wide, clip, tall),
        request("No picture at all."),
        request("<video>The same frame, moving?", replace(tall, reader="images")),
    ]
    answers = texts(ask(make("vllm", model=str(tiny_model), base_urls=(), args={"dtype": "float32"}), requests))
    assert answers == texts(ask(make("hf", model=str(tiny_model), base_urls=(), args={"device": "cpu"}), requests))


def test_varied_answers_score_as_in_lmms_eval(world: World) -> None:
    counts = {"videomme": 7, "mvbench_action_antonym": 6, "temporal_grounding_charades": 6, "mlvu_dev": 8}
    lines = []
    for task, count in counts.items():
        answers = WINDOWS if "grounding" in task else CHOICES
        for number in range(count):
            answer = {"id": f"lmms:{task}-{number}", "response": answers[number % len(answers)]}
            lines.append(json.dumps(answer) + "\n")
    (world.folder / "answers.jsonl").write_text("".join(lines))
    done = world("score", "--tasks", TASKS, "--responses", "answers.jsonl", "--out", "scored", "--quiet")
    assert done.returncode == 0, done.stderr[-3000:]
    results = read_results(world.folder / "scored")
    assert all(0 < results.tasks[f"lmms:{task}"].value < 1 for task in lmms_world.TASKS), "both sides of the scale"
    assert_equal_to_theirs(world, "scored")
    for task in ("videomme", "temporal_grounding_charades"):  # means over the samples, so ours must be theirs
        result = results.tasks[f"lmms:{task}"]
        assert result.value == pytest.approx(result.rules[f"lmms_eval/{result.metric}"].value, abs=1e-6)
