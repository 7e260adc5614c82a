"""Evaluations during training: the harness's own run on a checkpoint, finished after a kill, never of other weights."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import inprocess
import pytest
from tiny_training import config, go, untimed

from trainer import harness_eval
from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import read
from trainer.config import TrainConfig
from trainer.harness_eval import HarnessEvaluation
from viubench.errors import ViubenchError
from viubench.storage.run_dir import read_results

pytest.importorskip("torch")
pytestmark = pytest.mark.engine

HARNESS = {"eval_steps": 2, "engine": "hf", "engine_args": {"device": "cpu"}, "limit": 2}


def chosen(world: Path, model: Path, **more: Any) -> TrainConfig:
    return config(world, model, max_steps=2, eval_steps=2, eval_limit=1, harness_eval=HARNESS | more)


def trained(world: Path, model: Path, out: Path) -> list[dict[str, Any]]:
    what = chosen(world, model)
    go(what, world, out, evaluation=HarnessEvaluation(what, out, world / "frames"))
    return read(out)


def here(command: list[str], log: Path, **_: Any) -> int:
    """In place of a child process: the same command in this one, for its effect on the run folder."""
    inprocess.viubench(*[word for word in command[3:] if word != "--quiet"])
    return 0


def test_a_checkpoint_is_evaluated_and_the_evaluation_goes_on_after_a_kill(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first evaluation is a process of its own; the others run here."""
    lines = trained(world, tiny_model, tmp_path)
    run = tmp_path / "evaluations" / "step-000002"
    results = read_results(run)
    assert (results.engine, results.tasks["few"].n) == ("hf", 2)
    assert not (tmp_path / "evaluations" / "step-000001").exists()
    # As if killed after the last checkpoint, in its evaluation: the same command does what is missing.
    monkeypatch.setattr(harness_eval.child_process, "run", here)
    records = run / "records.jsonl"
    (run / "results.json").unlink()
    first = records.read_text().splitlines(keepends=True)[0]
    records.write_text(first)
    assert trained(world, tiny_model, tmp_path) == lines
    assert records.read_text().startswith(first), "what was answered is not asked again"
    assert read_results(run).tasks["few"].value == results.tasks["few"].value
    # Other weights under the same name: the old evaluation is not taken for theirs.
    shutil.rmtree(tmp_path / "checkpoint-000002")
    manifest = run / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"fingerprint": "', '"fingerprint": "x'))
    assert untimed(trained(world, tiny_model, tmp_path)) == untimed(lines)
    assert records.read_text().splitlines(keepends=True)[0] != first, "its seconds are others"


def test_an_evaluation_that_fails_stops_the_run_with_its_reason(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    what = chosen(world, tiny_model, engine_args={"dtyp": "float16"})
    with pytest.raises(ViubenchError, match=r"exit code 2: .*no argument .dtyp.*after 2 steps; they are saved in"):
        go(what, world, tmp_path, evaluation=HarnessEvaluation(what, tmp_path, world / "frames"))
    assert checkpoint.latest(tmp_path) == tmp_path / "checkpoint-000002"


def test_the_command_says_what_the_configuration_says(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    what = chosen(world, tiny_model, engine="vllm", engine_args={"a": "1", "b": "x=y"}, limit=None)
    given = HarnessEvaluation(what, tmp_path, Path("cache"), (Path("mine"),)).command(tmp_path / "c", tmp_path / "r")
    assert given[:3] == ["-m", "viubench", "run"]
    pairs = dict(zip(given[3::2], given[4::2], strict=False))
    assert pairs["--tasks"] == str(world / "validation")
    assert (pairs["--engine"], pairs["--protocol"], pairs["--frame-cache"]) == ("vllm", "viubench-128", "cache")
    assert {"--engine-arg=a=1", "--engine-arg=b=x=y", "--include-path=mine"} <= set(given)
    assert not {"--limit", "--videos", "--fresh"} & set(given)
    less = replace(HarnessEvaluation(what.model_copy(update={"protocol": ""}), tmp_path))
    assert "--protocol" not in less.command(tmp_path / "c", tmp_path / "r")


@pytest.mark.skipif(sys.platform != "linux", reason="a parent's death is only told on Linux")
def test_an_engine_does_not_outlive_a_training_that_is_killed(tmp_path: Path) -> None:
    """The child of a process that gets SIGKILL is told to end."""
    note = f"import os, time; open({str(tmp_path / 'child')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    start = "from pathlib import Path; from trainer.harness_eval import HarnessEvaluation; "
    start += (
        f"HarnessEvaluation.command = lambda *_: ['-c', {note!r}]; HarnessEvaluation(None, Path({str(tmp_path)!r}))(2)"
    )
    parent = subprocess.Popen([sys.executable, "-c", start])
    while not (tmp_path / "child").is_file() or not (tmp_path / "child").read_text():
        time.sleep(0.01)
    child = int((tmp_path / "child").read_text())
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(6000):  # far longer than it takes, and far shorter than it would sleep
        if not alive(child):
            break
        time.sleep(0.01)
    assert not alive(child)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A dead process whose new parent has not asked for its end is still in the table.
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
