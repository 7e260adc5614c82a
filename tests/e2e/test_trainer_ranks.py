"""Two processes under torchrun train as one does, through the command: in every way to hold the weights, killed, wrong.

One process runs within pytest, which has imported everything already; its numbers are the same.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import vowel_rewards
import yaml
from training_world import config, untimed

from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import read
from trainer.rewards import Rewarder
from trainer.sft import FOLDER
from viubench import cli

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch knows no other processes"),
]

UPDATES: dict[str, dict[str, Any]] = {
    "full": {"kind": "full"},
    "lora": {"kind": "lora", "rank": 4, "targets": ["q_proj", "v_proj"]},
    "split": {"kind": "full", "split": True},
}
WARM = {"steps": 4, "batch": 3, "warm_up": 0, "look_every": 1, "marks": {"few": {"score": 0.9, "exact": 0.5}}}

NUMBERS, SMALL = 1e-4, 1e-6
"""How far a number of the log may be from one process's, relative and absolute: sums of float32 in another order."""

WEIGHTS = 5e-3
"""How far the weights may be from one process's, relative to how far training moved them (L2 norms): AdamW moves a
weight whose gradient is all but zero by the sign of its rounding error."""


class Runs:
    """The trainings of this file, by their folder in `root`: three questions a step, warm start, then GRPO."""

    def __init__(self, root: Path, world: Path, model: Path) -> None:
        self.root, self.world, self.model = root, world, model
        self.environment = os.environ | {"OMP_NUM_THREADS": "1"} | vowel_rewards.patched(root)

    def arguments(self, name: str, update: str, **changes: Any) -> list[str]:
        usual: dict[str, Any] = {"steps": 3, "groups": 3, "lr": 0.001, "warm_start": WARM}
        chosen = config(self.world, self.model, update=UPDATES[update], **usual | changes)
        file = self.root / f"{name}.yaml"
        file.write_text(yaml.safe_dump(chosen.model_dump(mode="json", exclude_none=True) | {"clip": None}))
        return [
            "train", "--config", str(file), "--out", str(self.root / name), "--device", "cpu", "--quiet",
            "--frame-cache", str(self.world / "frames"),
        ]  # fmt: skip

    def alone(self, name: str, update: str) -> Path:
        """By one process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["viubench", *self.arguments(name, update)])
            patch.setattr(Rewarder, "__call__", vowel_rewards.vowels)
            with pytest.raises(SystemExit) as ended:
                cli.main()
            torch.set_flush_denormal(False)
        assert not ended.value.code
        return self.root / name

    def start(self, name: str, update: str, told: dict[str, str], **changes: Any) -> subprocess.Popen[str]:
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "viubench"]
        return subprocess.Popen(
            [sys.executable, *launch, *self.arguments(name, update, **changes)], text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment | told,
        )  # fmt: skip

    def together(self, name: str, update: str, **changes: Any) -> Path:
        """By two processes."""
        out, errors = (process := self.start(name, update, {}, **changes)).communicate()
        assert process.returncode == 0, errors[-4000:]
        assert out.count("trained: ") == 1, "one of them speaks"
        return self.root / name

    def refused(self, name: str, update: str, told: dict[str, str], **changes: Any) -> str:
        """What the first line of a user's mistake says; it must be there once, and the command must end."""
        out, errors = (process := self.start(name, update, told, **changes)).communicate(timeout=120)
        assert process.returncode != 0
        assert "trained" not in out
        said = [line for line in errors.splitlines() if line.startswith("viubench: ")]
        assert len(said) == 1, errors[-4000:]
        return said[0]

    def kill(self, name: str, update: str, at: str, lines: int) -> None:
        """Stand still in a turn; SIGKILL to torchrun when so many lines are in the log."""
        process = self.start(name, update, {vowel_rewards.STILL_AT: at})
        while len(read(self.root / name)) < lines and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)  # its pipes close when all its processes are gone
        assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, world: Path, tiny_model: Path) -> Runs:
    return Runs(tmp_path_factory.mktemp("ranks"), world, tiny_model)


@pytest.fixture(scope="module")
def split(runs: Runs) -> Path:
    return runs.together("split", "split")


@pytest.fixture(scope="module")
def full_alone(runs: Runs) -> Path:
    return runs.alone("full-alone", "full")


def weights(folder: Path) -> Any:
    """All weights of a checkpoint in one float64 vector."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


def last(folder: Path) -> Path:
    found = checkpoint.latest(folder)
    assert found is not None
    return found


def close(run: Path, alone: Path, base: Path) -> None:
    """Every number of both logs and the weights of both ends are those of one process, up to rounding."""
    for folder in (FOLDER, "."):
        lines, expected = (untimed(read(which / folder)) for which in (run, alone))
        assert [line["step"] for line in lines] == list(range({FOLDER: 2, ".": 3}[folder]))
        for line, one in zip(lines, expected, strict=True):
            assert line.keys() == one.keys()
            for name, number in one.items():
                # The gap is rounding itself.
                due = (
                    pytest.approx(number, rel=NUMBERS, abs=SMALL)
                    if not name.startswith("gap")
                    else pytest.approx(0, abs=1e-4)
                )
                assert line[name] == due, (folder, line["step"], name)
        one, start = weights(last(alone / folder)), weights(base)
        moved = (one - start).norm()
        assert moved / start.norm() > 1e-3
        apart = float((weights(last(run / folder)) - one).norm() / moved)
        assert apart < WEIGHTS


def test_full_weights_in_every_process(runs: Runs, full_alone: Path, tiny_model: Path) -> None:
    close(runs.together("full", "full"), full_alone, tiny_model)
    lines = read(full_alone)
    assert min(line["grad_norm"] for line in lines) > 0
    assert min(line["few/reward"] for line in lines) > 0
    assert len({line["few/reward"] for line in lines}) > 1, "the rewards follow from the answers"


def test_adapters(runs: Runs, tiny_model: Path) -> None:
    close(run := runs.together("lora", "lora"), runs.alone("lora-alone", "lora"), tiny_model)
    assert (last(run) / "adapter" / "adapter_model.safetensors").is_file()


def test_full_weights_split(runs: Runs, split: Path, full_alone: Path, tiny_model: Path) -> None:
    """Against one process with all weights; the checkpoint is a whole one, which transformers opens."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    close(split, full_alone, tiny_model)
    opened = AutoModelForImageTextToText.from_pretrained(last(split))
    saved = {name: tensor.shape for name, tensor in opened.state_dict().items()}
    base = AutoModelForImageTextToText.from_pretrained(tiny_model)
    assert saved == {name: tensor.shape for name, tensor in base.state_dict().items()}
    assert opened.config.text_config.vocab_size == base.config.text_config.vocab_size
    AutoProcessor.from_pretrained(last(split))


def test_vllm_samples_in_every_process(runs: Runs) -> None:
    """Each process has an engine of its own, which gets the whole weights before each step, also from shards."""
    pytest.importorskip("vllm")
    vllm = {"engine": "vllm", "engine_args": {"max_model_len": 4096}}
    lines = read(runs.together("vllm", "split", warm_start=None, rollout=vllm))
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert lines[-1]["kl"] > 0.001, "the weights moved"
    assert max(line["gap_max"] for line in lines) < 1e-4, "and the engines' with them"


def test_wrong_then_killed_then_ended_as_never_stopped(runs: Runs, split: Path) -> None:
    """A reward of the second process is no share; started again, killed within a step; gone on with by two or one."""
    said = runs.refused("stopped", "split", {vowel_rewards.WRONG_AT: "(1, 2, 0)"})
    assert "is 1.5, not a number in [0, 1] (after 1 steps; they are saved in" in said
    stopped = runs.root / "stopped"
    assert [path.name for path in checkpoint.complete(stopped)] == ["checkpoint-000001"]
    runs.kill("stopped", "split", "(2, 2, 0)", lines=2)
    assert last(stopped).name == "checkpoint-000002"
    shutil.copytree(stopped, runs.root / "by-one")
    runs.together("stopped", "split")
    for name in ("model.safetensors", "trainer/optimizer.safetensors", "trainer/random.safetensors"):
        assert (last(stopped) / name).read_bytes() == (last(split) / name).read_bytes()
    assert untimed(read(stopped)) == untimed(read(split))
    by_one = runs.alone("by-one", "split")
    assert (weights(last(by_one)) - weights(last(split))).norm() / weights(last(split)).norm() < WEIGHTS
    assert read(by_one)[-1]["grad_norm"] == pytest.approx(read(split)[-1]["grad_norm"], rel=NUMBERS)


def test_a_mistake_of_all_is_told_once(runs: Runs) -> None:
    video = next((runs.world / "clips-train").iterdir())
    moved = shutil.move(video, runs.root)
    try:
        assert video.name in runs.refused("without", "full", {})
    finally:
        shutil.move(moved, video)
    assert not (runs.root / "without").exists()
