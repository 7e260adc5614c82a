"""Two processes of torchrun train as one does, by the command: full weights, adapters, FSDP, vLLM; killed, and wrong.

torchrun is started twice. The first start is killed in the middle of a training, the second resumes it. One process is
this one, which has imported everything; its numbers must be the same.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torchrun_trainings
import yaml
from tiny_training import FINETUNING, config, untimed

from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import read
from trainer.rewards import Rewarder
from trainer.sft import FOLDER
from viubench import cli

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed"),
]

WARM = {
    "max_steps": 4, "train_batch_size": 3, "warmup_steps": 0, "eval_steps": 1,
    "thresholds": {"few": {"score": 0.9, "exact": 0.5}},
}  # fmt: skip
VLLM: dict[str, Any] = {"warm_start": None, "rollout": {"engine": "vllm", "engine_args": {"max_model_len": 4096}}}

NUMBERS, SMALL = 1e-3, 1e-6
"""How far a metric may be from that of one process, relative and absolute: sums of float32 in another order."""

WEIGHTS = 5e-3
"""How far the weights may be from those of one process, relative to how far training moved them (L2 norms): AdamW moves
a weight whose gradient is all but zero by the sign of its rounding error."""


@dataclass
class Trainings:
    """Trainings of this file, by their folder in `root`: three questions a step, warm start, then GRPO."""

    root: Path
    world: Path
    model: Path

    def arguments(self, name: str, finetuning: str, changes: dict[str, Any]) -> list[str]:
        usual: dict[str, Any] = {"max_steps": 3, "train_batch_size": 3, "learning_rate": 0.001, "warm_start": WARM}
        chosen = config(self.world, self.model, finetuning=FINETUNING[finetuning], **usual | changes)
        file = self.root / f"{name}.yaml"
        file.write_text(yaml.safe_dump(chosen.model_dump(mode="json", exclude_none=True) | {"epsilon": None}))
        return [
            "train", "--config", str(file), "--out", str(self.root / name), "--device", "cpu", "--quiet",
            "--frame-cache", str(self.world / "frames"),
        ]  # fmt: skip

    def alone(self, name: str, finetuning: str) -> Path:
        """By one process, this one."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["viubench", *self.arguments(name, finetuning, {})])
            patch.setattr(Rewarder, "__call__", torchrun_trainings.vowels())
            with pytest.raises(SystemExit) as ended:
                cli.main()
            torch.set_flush_denormal(False)
        assert not ended.value.code
        return self.root / name

    def plan(self, name: str, finetuning: str, *, turns: dict[str, Any] | None = None, **changes: Any) -> Any:
        """One of the trainings of a start."""
        return {"name": name, "arguments": self.arguments(name, finetuning, changes), **(turns or {})}

    def torchrun(self, *plans: dict[str, Any]) -> subprocess.Popen[str]:
        """Start two processes, which run the trainings one after the other."""
        file = self.root / "plan.json"
        file.write_text(json.dumps(plans))
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", torchrun_trainings.__file__]
        return subprocess.Popen(
            [sys.executable, *launch, str(file)], text=True, start_new_session=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip


@dataclass(frozen=True)
class Output:
    """What the two starts printed."""

    killed: tuple[str, str]
    resumed: tuple[str, str]

    def codes(self, name: str) -> set[str]:
        """Exit codes of a training, of both processes in both starts."""
        lines = "".join([self.killed[0], self.resumed[0]]).splitlines()
        return {line.split()[2] for line in lines if line.split()[:1] == [name]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, world: Path, tiny_model: Path) -> Trainings:
    return Trainings(tmp_path_factory.mktemp("torchrun"), world, tiny_model)


@pytest.fixture(scope="module")
def output(runs: Trainings) -> Output:
    """Both starts: the second process's reward goes wrong; its training is killed when it is run again; resumed."""
    process = runs.torchrun(
        runs.plan("full", "full"),
        runs.plan("lora", "lora"),
        runs.plan("stopped", "fsdp", turns={"wrong_at": [1, 2, 0]}),
        runs.plan("stopped", "fsdp", turns={"still_at": [2, 2, 0]}),
    )
    while len(read(runs.root / "stopped")) < 2 and process.poll() is None:
        time.sleep(0.05)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    killed = process.communicate(timeout=60)  # its pipes close when all its processes are gone
    assert process.returncode == -signal.SIGKILL, killed[1][-4000:]
    shutil.copytree(runs.root / "stopped", runs.root / "killed")
    vllm = [runs.plan("vllm", "fsdp", **VLLM)] if find_spec("vllm") else []
    missing = runs.plan("missing", "full", items={"train": str(runs.root / "nowhere"), "validation": "nowhere"})
    process = runs.torchrun(runs.plan("fsdp", "fsdp"), runs.plan("stopped", "fsdp"), *vllm, missing)
    resumed = process.communicate(timeout=600)
    assert process.returncode == 0, resumed[1][-4000:]
    return Output(killed, resumed)


@pytest.fixture(scope="module")
def full_alone(runs: Trainings) -> Path:
    return runs.alone("full-alone", "full")


def weights(folder: Path) -> Any:
    """All weights of a checkpoint in one float64 vector."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


def last(folder: Path) -> Path:
    newest = checkpoint.latest(folder)
    assert newest is not None
    return newest


def errors(stderr: str) -> list[str]:
    """The errors that the command printed for its user."""
    return [line for line in stderr.splitlines() if line.startswith("viubench: ")]


def close(run: Path, alone: Path, base: Path) -> None:
    """Every number of both logs and the weights of both ends are those of one process, up to rounding."""
    for folder in (FOLDER, "."):
        lines, expected = (untimed(read(which / folder)) for which in (run, alone))
        assert [line["step"] for line in lines] == list(range({FOLDER: 2, ".": 3}[folder]))
        for line, one in zip(lines, expected, strict=True):
            assert line.keys() == one.keys()
            for name, number in one.items():
                # The gap is rounding itself.
                near = pytest.approx(number, rel=NUMBERS, abs=SMALL)
                assert line[name] == (pytest.approx(0, abs=1e-4) if name.startswith("gap") else near), (folder, name)
        one, start = weights(last(alone / folder)), weights(base)
        moved = (one - start).norm()
        assert moved / start.norm() > 1e-3
        apart = float((weights(last(run / folder)) - one).norm() / moved)
        assert apart < WEIGHTS


def test_full_weights_in_every_process(runs: Trainings, output: Output, full_alone: Path, tiny_model: Path) -> None:
    assert output.codes("full") == {"0"}
    close(runs.root / "full", full_alone, tiny_model)
    lines = read(full_alone)
    assert min(line["grad_norm"] for line in lines) > 0
    assert max(line["few/reward"] for line in lines) > 0
    assert len({line["few/reward"] for line in lines}) > 1, "the rewards follow from the answers"


def test_adapters(runs: Trainings, output: Output, tiny_model: Path) -> None:
    assert output.codes("lora") == {"0"}
    close(runs.root / "lora", runs.alone("lora-alone", "lora"), tiny_model)
    assert (last(runs.root / "lora") / "adapter" / "adapter_model.safetensors").is_file()


def test_sharded_weights(runs: Trainings, output: Output, full_alone: Path, tiny_model: Path) -> None:
    """Against one process with full weights; the checkpoint is a full one, which transformers opens."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    assert output.codes("fsdp") == {"0"}
    fsdp = runs.root / "fsdp"
    close(fsdp, full_alone, tiny_model)
    opened = AutoModelForImageTextToText.from_pretrained(last(fsdp))
    saved = {name: tensor.shape for name, tensor in opened.state_dict().items()}
    base = AutoModelForImageTextToText.from_pretrained(tiny_model)
    assert saved == {name: tensor.shape for name, tensor in base.state_dict().items()}
    assert opened.config.text_config.vocab_size == base.config.text_config.vocab_size
    AutoProcessor.from_pretrained(last(fsdp))


def test_vllm_samples_in_every_process(runs: Trainings, output: Output) -> None:
    """Each process has an engine of its own, which gets the full weights before each step, also from shards."""
    pytest.importorskip("vllm")
    assert output.codes("vllm") == {"0"}
    lines = read(runs.root / "vllm")
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert lines[-1]["kl"] > 0.001, "the weights moved"
    assert max(line["gap_max"] for line in lines) < 1e-4, "and the engines' with them"


def test_wrong_then_killed_then_resumed_ends_as_never_stopped(runs: Trainings, output: Output) -> None:
    """A reward of the second process is 1.5; run again, killed within a step; resumed by two processes and by one."""
    (message,) = errors(output.killed[1])
    assert "is 1.5, not a number in [0, 1] (after 1 steps; they are saved in" in message
    first = [line for line in output.killed[0].splitlines() if line.startswith("stopped ")]
    assert len(first) == 2, "both processes ended, and the killed one printed nothing"
    assert not any(line.endswith(" 0") for line in first)
    assert last(runs.root / "killed").name == "checkpoint-000002"
    assert output.resumed[0].count(f"trained: {runs.root / 'stopped'}") == 1
    stopped, fsdp = runs.root / "stopped", runs.root / "fsdp"
    assert {path.name for path in checkpoint.complete(runs.root / "killed")} == {
        "checkpoint-000001", "checkpoint-000002",
    }  # fmt: skip
    for name in ("model.safetensors", "trainer/optimizer.safetensors", "trainer/random.safetensors"):
        assert (last(stopped) / name).read_bytes() == (last(fsdp) / name).read_bytes()
    assert untimed(read(stopped)) == untimed(read(fsdp))
    by_one = runs.alone("killed", "fsdp")
    assert (weights(last(by_one)) - weights(last(fsdp))).norm() / weights(last(fsdp)).norm() < WEIGHTS
    assert read(by_one)[-1]["grad_norm"] == pytest.approx(read(fsdp)[-1]["grad_norm"], rel=NUMBERS)


def test_a_message_is_printed_once(runs: Trainings, output: Output) -> None:
    """The result by the main process, and an error that all processes have by the first of them."""
    trained = 2 + 2 + bool(find_spec("vllm"))
    assert (output.killed[0] + output.resumed[0]).count("trained: ") == trained
    (message,) = errors(output.resumed[1])
    assert "nowhere" in message
    assert "0" not in output.codes("missing")
    assert not (runs.root / "missing").exists()
