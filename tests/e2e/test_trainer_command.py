"""`viubench train` as a user starts it: killed and started again it ends in the same bytes, and mistakes are told."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked
import pytest
import yaml
from tiny_training import config, untimed

from trainer.checkpoints.checkpoint import complete
from trainer.checkpoints.metrics_log import read
from viubench import cli

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine


def told(world: Path, model: Path, folder: Path, **changes: Any) -> list[str]:
    """The arguments of a training whose configuration lies in `folder`; it goes to `run` where the command is run."""
    chosen = config(world, model, **changes).model_dump(mode="json", exclude_none=True)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(chosen))
    return ["train", "--config", str(file), "--out", "run", "--device", "cpu", "--frame-cache", str(world / "frames")]


def finish(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command in this process, in `folder`; returns what it prints."""
    folder.mkdir(exist_ok=True)
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["viubench", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    torch.set_flush_denormal(False)
    assert not ended.value.code
    return capsys.readouterr().out


def kill_after(lines: int, arguments: list[str], folder: Path) -> None:
    """Start a process, and send SIGKILL as soon as so many lines are in the log."""
    folder.mkdir()

    def program() -> None:
        sys.argv = ["viubench", *arguments]
        cli.main()

    with (folder / "printed").open("w") as out:
        process = forked.start(program, cwd=folder, stdout=out, stderr=out)
    while len(read(folder / "run")) < lines and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"


def content(checkpoint: Path) -> dict[str, bytes]:
    """Every file of a checkpoint; of its log line and of the list of digests without what a clock decides."""
    files = {str(path.relative_to(checkpoint)): path.read_bytes() for path in checkpoint.rglob("*") if path.is_file()}
    state = json.loads(files["trainer/state.json"])
    state["log"] = untimed([state["log"]])
    listed = json.loads(files["trainer/files.json"])
    del listed["trainer/state.json"], listed["trainer_state.json"], files["trainer_state.json"]  # has all log lines
    return files | {"trainer/state.json": json.dumps(state).encode(), "trainer/files.json": json.dumps(listed).encode()}


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_six_steps_equal_three_a_kill_and_three(
    tiny_model: Path, world: Path, tmp_path: Path, one_thread: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Random rewards move the weights of a model that cannot answer yet; every file of the checkpoint is compared."""
    tasks = {"few": {"weight": 1, "reward": "random"}, "order": {"weight": 1, "reward": "random"}}
    arguments = told(
        world, tiny_model, tmp_path, max_steps=6, train_batch_size=4, micro_batch_size=2, tasks=tasks, save_steps=3,
        eval_steps=3, eval_limit=2,
    )  # fmt: skip
    assert "checkpoint-000006" in finish([*arguments, "--quiet"], tmp_path / "whole", capsys)
    kill_after(4, [*arguments, "--quiet"], tmp_path / "killed")
    assert [path.name for path in complete(tmp_path / "killed" / "run")] == ["checkpoint-000003"]
    out = finish([*arguments, "--quiet"], tmp_path / "killed", capsys)
    assert out == "trained: run/checkpoint-000006\nbest: run/checkpoint-000003 (validation score 0.000)\n"
    whole, killed = (tmp_path / name / "run" for name in ("whole", "killed"))
    assert untimed(read(killed)) == untimed(read(whole))
    assert max(line["grad_norm"] for line in read(whole)) > 0
    for step in ("checkpoint-000003", "checkpoint-000006"):
        assert content(killed / step) == content(whole / step)
    assert (whole / "checkpoint-000003" / "model.safetensors").read_bytes() != (
        whole / "checkpoint-000006" / "model.safetensors"
    ).read_bytes()


# --- mistakes -------------------------------------------------------------------------------------------------


def refused(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says on standard error; it must end by itself, as a user's mistake."""
    monkeypatch.setattr(sys, "argv", ["viubench", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    return errors


def test_mistakes_are_told_before_anything_is_written(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = told(world, tiny_model, tmp_path)

    def says(*more: str) -> str:
        return refused([*arguments, *more], monkeypatch, capsys)

    assert "share a source video" in says("--validation", str(world / "train"))
    assert "share a source video" in says("--tests", str(world / "test"), "--tests", str(world / "train"))
    assert "no such checkpoint folder: nowhere" in says("--model", "nowhere")
    assert "no item of few" in says("--items", str(without(world, tmp_path, '"few"')))
    assert "the answer '' is none of temporal_iou" in says("--items", str(unanswered(world, tmp_path)))
    assert "the model takes no videos" in says("--model", str(blind(tiny_model, tmp_path)))
    assert "it lacks a processor" in says("--model", str(text_only(tiny_model, tmp_path)))
    file = Path(arguments[2])
    file.write_text(file.read_text().replace("num_generations:", "num_generation:"))
    assert "config.yaml" in (errors := says())
    assert "did you mean 'num_generations'" in errors
    assert not (tmp_path / "run" / "train.jsonl").exists()


def copied(world: Path, folder: Path, name: str) -> Path:
    """A copy of the training items, whose videos stay where they are."""
    copy = folder / name
    shutil.copytree(world / "train", copy)
    return copy


def without(world: Path, folder: Path, mark: str) -> Path:
    copy = copied(world, folder, "without")
    file = copy / "items.jsonl"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if mark not in line))
    return copy


def unanswered(world: Path, folder: Path) -> Path:
    copy = copied(world, folder, "unanswered")
    file = copy / "items.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0]["answer"] = ""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return copy


def blind(model: Path, folder: Path) -> Path:
    """The checkpoint with the processor of a model for still pictures."""
    from transformers import AutoTokenizer, CLIPImageProcessor, LlavaProcessor

    copy = folder / "blind"
    shutil.copytree(model, copy)
    (copy / "processor_config.json").unlink()
    tokenizer = AutoTokenizer.from_pretrained(model)
    LlavaProcessor(CLIPImageProcessor(), tokenizer, chat_template=tokenizer.chat_template).save_pretrained(copy)
    return copy


def text_only(model: Path, folder: Path) -> Path:
    copy = folder / "text"
    shutil.copytree(model, copy)
    (copy / "processor_config.json").unlink()
    return copy


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["viubench", *told(world, tiny_model, tmp_path), "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    out = capsys.readouterr().out
    assert "few" in out
    assert "4 steps of 2 questions, 4 answers each: 32 answers" in out
    assert not (tmp_path / "run").exists()
