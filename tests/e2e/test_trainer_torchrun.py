"""Two processes of torchrun train as one does, by the command: full weights and adapters; killed, resumed, and wrong.

torchrun is started twice. The first start is killed in the middle of a training, the second resumes it. One process is
this one, which has imported everything; its numbers must be the same.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
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
    "max_steps": 4, "train_batch_size": 4, "warmup_steps": 0, "eval_steps": 1,
    "thresholds": {"few": {"score": 0.9, "exact": 0.5}},
}  # fmt: skip

NUMBERS, SMALL = 1e-3, 1e-6
"""How far a metric may be from that of one process, relative and absolute: sums of float32 in another order."""

WEIGHTS = 5e-3
"""How far the weights may be from those of one process, relative to how far training moved them (L2 norms): AdamW moves
a weight whose gradient is all but zero by the sign of its rounding error."""


@dataclass
class Trainings:
    """Trainings of this file, by their folder in `root`: four questions a step, warm start, then GRPO."""

    root: Path
    world: Path
    model: Path

    def arguments(self, name: str, finetuning: str, changes: dict[str, Any]) -> list[str]:
        usual: dict[str, Any] = {
            "max_steps": 3, "train_batch_size": 4, "learning_rate": 0.001, "warm_start": WARM, "beta": 0.1,
        }  # fmt: skip
        chosen = config(self.world, self.model, finetuning=FINETUNING[finetuning], **usual | changes)
        file = self.root / f"{name}.yaml"
        file.write_text(yaml.safe_dump(chosen.model_dump(mode="json", exclude_none=True)))
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
        # Two processes write into one pipe: a line may begin within another.
        return set(re.findall(rf"{name} [01] (\d+)", self.killed[0] + self.resumed[0]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, world: Path, tiny_model: Path) -> Trainings:
    return Trainings(tmp_path_factory.mktemp("torchrun"), world, tiny_model)


@pytest.fixture(scope="module")
def output(runs: Trainings) -> Output:
    """Both starts: a training is killed within a step; it is resumed, and in the last a reward goes wrong."""
    process = runs.torchrun(
        runs.plan("full", "full"),
        runs.plan("lora", "lora"),
        runs.plan("stopped", "full", turns={"still_at": [2, 2, 0]}),
    )
    while len(read(runs.root / "stopped")) < 2 and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)  # for the checkpoint behind the line
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    killed = process.communicate(timeout=60)  # its pipes close when all its processes are gone
    assert process.returncode == -signal.SIGKILL, killed[1][-4000:]
    process = runs.torchrun(
        runs.plan("stopped", "full"), runs.plan("wrong", "lora", turns={"wrong_at": [1, 3, 0]}, warm_start=None)
    )
    resumed = process.communicate(timeout=600)
    assert process.returncode not in (0, -signal.SIGKILL), resumed[1][-4000:]
    return Output(killed, resumed)


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


def test_full_weights_in_every_process(runs: Trainings, output: Output, tiny_model: Path) -> None:
    assert output.codes("full") == {"0"}
    alone = runs.alone("full-alone", "full")
    close(runs.root / "full", alone, tiny_model)
    lines = read(alone)
    assert min(line["grad_norm"] for line in lines) > 0
    assert max(line["few/reward"] for line in lines) > 0
    assert len({line["few/reward"] for line in lines}) > 1, "the rewards follow from the answers"


def test_adapters(runs: Trainings, output: Output, tiny_model: Path) -> None:
    assert output.codes("lora") == {"0"}
    close(runs.root / "lora", runs.alone("lora-alone", "lora"), tiny_model)
    assert (last(runs.root / "lora") / "adapter" / "adapter_model.safetensors").is_file()


def test_killed_then_resumed_ends_as_never_stopped(runs: Trainings, output: Output) -> None:
    assert output.codes("stopped") == {"0"}, output.resumed
    assert output.resumed[0].count(f"trained: {runs.root / 'stopped'}") == 1
    stopped, full = runs.root / "stopped", runs.root / "full"
    for name in ("model.safetensors", "optimizer.pt"):
        assert (last(stopped) / name).read_bytes() == (last(full) / name).read_bytes()
    assert untimed(read(stopped)) == untimed(read(full))


def test_a_reward_that_goes_wrong_in_the_second_process_ends_both(runs: Trainings, output: Output) -> None:
    assert "0" not in output.codes("wrong")
    assert any("is 1.5, not a number in [0, 1] (after 1 steps" in line for line in errors(output.resumed[1]))
    assert [line["step"] for line in read(runs.root / "wrong")] == [0]


def test_the_result_is_printed_once(runs: Trainings, output: Output) -> None:
    assert (output.killed[0] + output.resumed[0]).count("trained: ") == 3
