from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import checkpoint_folders as folders
import paired_runs
import pytest
from typer.testing import CliRunner
from watched_runs import HOSTILE, run_of

from viubench.cli import app
from viubench.cli.watch import parse_command
from viubench.errors import ViubenchError
from viubench.schema import GateConfig
from viubench.system import tracking
from viubench.watch.history import History, read
from viubench.watch.loop import WatchLoop
from viubench.watch.reference import Reference, exit_code


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A baseline, a good checkpoint, one that lost, a broken and a half-written one; no engine is started."""
    model = folders.write(tmp_path / "base-model", seed=99)
    run_of(tmp_path / "base", model, 0.8, n=200)
    train = tmp_path / "train"
    for step in (100, 200, 300):
        folders.write(train / f"checkpoint-{step}", seed=step)
    (train / "checkpoint-300" / "broken").touch()
    folders.write(train / "checkpoint-400", seed=4, torn=1)

    def answer(self: WatchLoop, model: Path, run: Path) -> str:
        if (model / "broken").exists():
            return HOSTILE
        run_of(run, model, 0.3 if model.name.endswith("200") else 0.8, n=200)
        return ""

    monkeypatch.setattr(WatchLoop, "_run_checkpoint", answer)
    return tmp_path


def watched(world: Path, *more: object) -> Any:
    command = ["watch", str(world / "train"), "--tasks", "items", "--once", "--settle", "0.05", *map(str, more)]
    return CliRunner().invoke(app, command)


def test_a_tracker_gets_every_checkpoint_at_its_step(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: dict[int, Mapping[str, float]] = {}

    class Notes:
        def __init__(self, name: str, folder: Path, facts: Mapping[str, Any]) -> None:
            logged[-1] = {name: 0.0}

        def log(self, values: Mapping[str, float], step: int) -> None:
            logged[step] = values

        def close(self) -> None:
            logged[-2] = {}

    monkeypatch.setattr(tracking, "BACKENDS", {"wandb": Notes})
    monkeypatch.setattr(tracking, "find_spec", lambda name: True)
    assert watched(world, "--gate", world / "base", "--track", "wandb").exit_code == 4
    assert logged.keys() == {-2, -1, 100, 200}, "the third checkpoint failed: it has no score"
    assert logged[-1] == {"watch-train": 0.0}
    assert [(logged[step]["mean"], logged[step]["gate/regress"]) for step in (100, 200)] == [(0.8, 0.0), (0.3, 1.0)]


def test_once_evaluates_what_is_there_and_ends_with_the_worst_code(world: Path) -> None:
    done = watched(world, "--gate", world / "base")
    assert done.exit_code == 4, done.output
    first, second, third = done.stdout.splitlines()
    assert re.fullmatch(r"step 100: mean 80\.0 \(\d+\.\d–\d+\.\d\), pass", first)
    assert second.startswith("step 200: mean 30.0 (")
    assert "regress (t: a loss of 50.0 points" in second
    assert third.startswith("step 300: failed, </style>")
    assert "\x1b" not in done.output
    assert "step 400: waiting for checkpoint-400: torn weights: " in done.stderr
    shutil.rmtree(world / "train" / "checkpoint-300")
    again = watched(world, "--gate", world / "base")
    assert (again.stdout, again.exit_code) == ("", 4), "what is known is not evaluated again, and counts"
    entries = read(world / "train" / "watch")
    assert [one.status for one in entries] == ["evaluated", "evaluated", "failed"]
    assert [exit_code(entries[:k]) for k in (1, 2, 3)] == [0, 1, 4]


def test_without_a_gate_the_code_is_0_and_a_gate_can_come_later(world: Path) -> None:
    assert watched(world, "--quiet").exit_code == 0
    out = world / "train" / "watch"
    assert [one.verdict for one in read(out)] == [None, None, None]
    config = world / "gate.yaml"
    for content, verdict in (("alpha: 0.05", "regress"), ("margins: {default: 0.9}", "pass")):
        config.write_text(content)
        assert watched(world, "--gate", world / "base", "--config", config).exit_code == 4
        assert [one.verdict for one in read(out)[-2:]] == ["pass", verdict]
        assert watched(world, "--gate", world / "base", "--config", config).stdout == ""
    assert len(read(out)) == 3 + 2 + 2


def test_a_gate_that_cannot_compare_is_an_error_and_ends_nothing(world: Path) -> None:
    paired_runs.write(world / "other", {"other": paired_runs.rows([1.0, 0.0])})
    done = watched(world, "--gate", world / "other")
    assert [one.verdict for one in read(world / "train" / "watch")] == ["error", "error", None]
    assert done.exit_code == 4
    (world / "gate.yaml").write_text("margins: {nobody: 0.1}")
    done = watched(world, "--gate", world / "base", "--config", world / "gate.yaml")
    assert "error (the gate's margins name 'nobody'" in done.stdout


def test_the_command_on_a_regression_knows_what_it_is_about_and_may_fail(world: Path) -> None:
    told = world / "told"
    script = world / "tell.py"
    script.write_text(
        "import os, sys\n"
        "told = {name: value for name, value in os.environ.items() if name.startswith('VIUBENCH_')}\n"
        "open(sys.argv[1], 'a').write(str(told))\n"
        "sys.exit(3)\n"
    )
    done = watched(world, "--gate", world / "base", "--on-regression", f"{sys.executable} {script} {told}")
    assert "the command on regression ended with exit code 3" in done.stderr
    heard = told.read_text()
    run = read(world / "train" / "watch")[1].run
    for name, value in {
        "CHECKPOINT": world / "train" / "checkpoint-200",
        "STEP": "200",
        "RUN": world / "train" / "watch" / run,
        "VERDICT": "regress",
    }.items():
        assert f"'VIUBENCH_{name}': '{value}'" in heard
    assert heard.count("VIUBENCH_STEP") == 1
    assert [one.command for one in read(world / "train" / "watch")] == [None, 3, None]
    assert "the command on regression ended with exit code 3" in (world / "train" / "watch" / "watch.html").read_text()


def test_mistakes_are_told_before_anything_is_evaluated(world: Path) -> None:
    for arguments, said in (
        (["--gate", world / "nowhere"], "nowhere"),
        (["--gate", world / "base", "--config", world / "no.yaml"], "no.yaml"),
        (["--on-regression", "true"], "name a reference run with --gate"),
        (["--gate", world / "base", "--on-regression", "no-such-program x"], "no such program: 'no-such-program'"),
        (["--gate", world / "base", "--on-regression", "sh -c 'x"], "cannot be parsed"),
    ):
        done = watched(world, *arguments)
        assert isinstance(done.exception, ViubenchError), done.output
        assert said in f"{done.exception.message} {done.exception.where} {done.exception.hint}"
        assert not (world / "train" / "watch").exists()
    missing = CliRunner().invoke(app, ["watch", str(world / "none"), "--tasks", "items"])
    assert isinstance(missing.exception, ViubenchError)
    assert "no such folder" in missing.exception.message


def test_a_full_disk_is_told_and_nothing_is_lost(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: History, entry: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(History, "append", full)
        done = watched(world)
    assert isinstance(done.exception, ViubenchError)
    assert done.exception.message == "the watch stopped: No space left on device"
    assert len(watched(world).stdout.splitlines()) == 3


def test_once_gives_what_settles_its_time_and_no_more(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept, sleep = [], time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (slept.append(seconds), sleep(seconds)))
    command = ["watch", str(world / "train"), "--tasks", "items", "--once", "--settle", "0.6"]
    ahead = time.time() + 3600  # however slow the start is, they were changed just now
    for step in (100, 200, 300):
        (world / "train" / f"checkpoint-{step}" / "new").touch()
        os.utime(world / "train" / f"checkpoint-{step}" / "new", (ahead, ahead))
    assert CliRunner().invoke(app, command).exit_code == 0
    assert slept.count(0.6) == 1
    assert len(read(world / "train" / "watch")) == 3


def test_the_reference_run_changes_with_its_records_and_with_the_configuration(world: Path) -> None:
    config = world / "gate.yaml"
    config.write_text("alpha: 0.01")
    first = Reference.load(str(world / "base"), None)
    assert first.against == Reference.load(str(world / "base"), None).against
    assert first.against != Reference.load(str(world / "base"), config).against
    shutil.rmtree(world / "base")
    run_of(world / "base", world / "base-model", 0.7)
    assert first.against != Reference.load(str(world / "base"), None).against
    assert first.config == GateConfig()
    assert parse_command(f"{sys.executable} 'c d'", "base") == [sys.executable, "c d"]
