"""`viubench watch` as a training is watched: checkpoints appear while it runs, it is killed, and goes on."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import checkpoint_folders as folders
from training_runs import write_training

from reports.pages import watch_page
from viubench.schema import GateOutcome, WatchEntry, WatchScore
from viubench.storage.run_dir import read_records, read_results
from viubench.video import synthetic
from viubench.watch.history import read
from viubench.watch.scheduler import Waiting

SKILLED = Path(__file__).with_name("scripted_model.py")


def command(*arguments: object) -> list[str]:
    return [sys.executable, str(SKILLED), *map(str, arguments)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return os.environ | {"VIUBENCH_CACHE": str(tmp_path_factory.mktemp("cache")), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def items(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dozen questions of each of two tasks, about clips small enough to take no time."""
    folder = tmp_path_factory.mktemp("watch")
    synthetic.draw(folder / "clips", 4, seed=3, seconds=4.0, size=(96, 64), fps=8)
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        "recipe: few\nsampling: {frames: 12}\nitems:\n"
        "  - {task: few, base: viubench_ground_mirror, n: 24, params: {length: [2, 4]}}\n"
        "  - {task: order, base: viubench_jigsaw_easy, n: 24}\n"
    )
    made = ("build", "--recipe", recipe, "--videos", folder / "clips", "--out", folder / "items", "--quiet")
    subprocess.run(command(*made), env=environment, check=True, capture_output=True)
    return folder / "items"


def checkpoint(folder: Path, skill: float, pace: float = 0.0, torn: int = 0) -> Path:
    config = {"model_type": "skilled", "skill": skill, "pace": pace}
    return folders.write(folder, seed=int(1000 * skill), config=config, torn=torn)


def until(true: Callable[[], bool], what: str, process: subprocess.Popen[str] | None = None) -> None:
    for _ in range(1200):
        if true():
            return
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)
    pytest.fail(f"waited in vain for {what}")


def free(run: Path) -> bool:
    """Whether no process writes to a run folder any more."""
    with (run / ".lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def answered(out: Path, step: int) -> int:
    return sum(file.read_bytes().count(b"\n") for file in out.glob(f"runs/step-{step:06d}-*/records.jsonl"))


def test_checkpoints_appear_while_it_runs_and_it_is_killed(
    items: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    def started(*more: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(watch + list(more), stdout=pipe, stderr=pipe, text=True, env=environment)

    train, base, told = tmp_path / "train", tmp_path / "base", tmp_path / "told"
    train.mkdir()
    model = checkpoint(tmp_path / "base-model", 0.9)
    run = command("run", "--model", model, "--engine", "hf", "--tasks", items, "--out", base, "--quiet")
    done = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tell = f"sh -c 'echo $VIUBENCH_STEP $VIUBENCH_VERDICT >> {told}'"
    watch = command("watch", train, "--tasks", items, "--engine", "hf", "--gate", base, "--on-regression", tell)
    watch += ["--settle", "0.4", "--poll", "0.1", "--workers", "1"]
    out = train / "watch"

    checkpoint(train / "checkpoint-100", 0.9)
    first = started()
    until(lambda: len(read(out)) == 1, "the first checkpoint", first)
    refused = subprocess.run(watch, env=environment, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "another watch is writing" in refused.stderr

    checkpoint(train / "checkpoint-200", 0.91, torn=3)
    broken = checkpoint(train / "step-300", 0.5)
    (broken / "config.json").write_text('{"model_type": "skilled"}')
    checkpoint(train / "checkpoint-400", 0.05, pace=0.1)
    until(lambda: answered(out, 400) >= 3, "answers of the regressing one", first)
    first.kill()
    first.communicate()
    half = next(out.glob("runs/step-000400-*/records.jsonl")).parent
    until(lambda: free(half), "the end of the orphan")
    before = [record.id for record in read_records(half)]
    assert 3 <= len(before) < 48
    assert [one.step for one in read(out)] == [100, 300]

    second = started()
    until(lambda: answered(out, 400) > len(before), "it to go on", second)
    second.terminate()
    assert second.wait(30) == 128 + signal.SIGTERM
    assert "rerun the same command to resume" in second.communicate()[1]
    assert free(half), "no child is left"

    checkpoint(train / "checkpoint-200", 0.91)
    third = started("--once")
    output, errors = third.communicate(timeout=120)
    assert third.returncode == 4, errors  # one of them cannot be evaluated
    assert [line.split(":")[0] for line in output.splitlines()] == ["step 200", "step 400"]

    entries = read(out)
    assert [(one.step, one.status, one.verdict) for one in entries] == [
        (100, "evaluated", "pass"), (300, "failed", None), (200, "evaluated", "pass"), (400, "evaluated", "regress"),
    ]  # fmt: skip
    assert "'pace'" in entries[1].reason
    assert [record.id for record in read_records(half)][: len(before)] == before, "nothing is asked again"
    assert len(list(out.glob("runs/step-*/results.json"))) == 3
    results = read_results(out / entries[3].run)
    assert {task: score.value for task, score in entries[3].tasks.items()} == {
        task: result.value for task, result in results.tasks.items()
    }
    assert told.read_text() == "400 regress\n"
    page = (out / "watch.html").read_text()
    assert "Yes, at step 400" in page
    assert "checkpoint-200" in page

    history = (out / "history.jsonl").read_bytes()
    again = started("--once", "--quiet")
    assert again.communicate(timeout=60)[0] == ""
    assert (out / "history.jsonl").read_bytes() == history
    assert json.loads(history.splitlines()[0])["schema"] == 1


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_from_disk_on_a_phone(chromium: Any, scheme: str, tmp_path: Path) -> None:
    score = WatchScore(metric="accuracy", value=0.5, ci=(0.4, 0.6), n=9)
    gate = GateOutcome(against="a", verdict="regress", exit_code=1, tasks={"t": "regress"}, reason="a loss " * 40)
    lines = [
        WatchEntry(step=k, name="a-very-long-name-" * 9 + str(k), path="", fingerprint="f", status="evaluated",
              gate=gate, tasks={"t" * 90: score, "u": score}, mean=score)
        for k in (10, 20)
    ]  # fmt: skip
    waiting = [Waiting("x" * 200, 30, "y" * 300)]
    watch_page.write(tmp_path / "watch.html", "z" * 200, lines, waiting, write_training(tmp_path / "train", steps=30))
    tab = chromium.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    faults: list[str] = []
    tab.on("console", lambda message: faults.append(message.text))
    tab.goto((tmp_path / "watch.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    plots = tab.locator("svg.plot")
    assert plots.count() == 3
    assert all((plot.bounding_box() or {"width": 0})["width"] > 250 for plot in plots.all())
    colour = tab.locator(".plot .verdict.regress").first.evaluate("e => getComputedStyle(e).fill")
    assert colour == ("rgb(138, 75, 0)" if scheme == "light" else "rgb(240, 179, 94)"), "the style sheet is allowed"
    assert faults == []
    tab.close()
