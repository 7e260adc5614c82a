"""The GRPO loop on the tiny checkpoint: it goes on where it stopped, and its log says how each step went."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import logged_answers
import pytest
from tiny_training import FINETUNING, Stop, Vowels, config, go, opened, stop_after, untimed, weights

from trainer import grpo
from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import read

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine

KINDS: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": {"finetuning": FINETUNING["lora"], "beta": 0.1},
    "reused": {"num_iterations": 2, "epsilon_high": 0.3},
    "curriculum": {"curriculum": {"type": "reward_variance"}, "train_batch_size": 4},
    "checkpointed": {"gradient_checkpointing": True, "dynamic_sampling": "skip"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_training_ends_as_one_never_stopped(
    kind: str, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    chosen = config(world, tiny_model, **KINDS[kind])
    whole = go(chosen, world, tmp_path / "whole")
    with pytest.raises(Stop):
        go(chosen, world, tmp_path / "stopped", stop_after(2))  # after the checkpoint of step 2, before that of step 4
    resumed = weights(go(chosen, world, tmp_path / "stopped"))
    assert all(torch.equal(one, resumed[name]) for name, one in weights(whole).items())
    last, other = (checkpoint.latest(tmp_path / name) for name in ("whole", "stopped"))
    assert last is not None
    assert other is not None
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt"):
        assert (last / name).read_bytes() == (other / name).read_bytes()
    logs = [read(tmp_path / name) for name in ("whole", "stopped")]
    assert untimed(logs[0]) == untimed(logs[1])
    assert [line["step"] for line in logs[0]] == [0, 1, 2, 3]
    assert max(line["grad_norm"] for line in logs[0]) > 0
    assert logged_answers.read(tmp_path / "whole").equals(logged_answers.read(tmp_path / "stopped"))
    if kind != "lora":
        fresh = weights(opened(chosen))
        assert any(not torch.equal(one, fresh[name]) for name, one in weights(whole).items())
    else:
        assert (last / "adapter" / "adapter_model.safetensors").is_file()


def test_a_line_says_how_the_step_went(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    go(config(world, tiny_model, max_steps=2), world, tmp_path / "run")
    first, second = read(tmp_path / "run")
    assert first["few/reward"] == pytest.approx(first["reward"], rel=1e-5)
    assert first["reward"] > 0
    assert first["few/length"] == first["length"] == first["completions/mean_length"]
    assert first["kl"] == pytest.approx(0, abs=1e-9), "the first step's policy is the reference"
    assert second["kl"] > 1e-6
    assert first["gap"] <= first["gap_max"] < 1e-4
    assert 0 < first["entropy"] < math.log(300)
    assert first["learning_rate"] == 0.01
    assert first["grad_norm"] > 0
    assert 0 < first["floor/few"] < 1
    assert not any(key.startswith("validation/") for key in first)
    assert 0 <= second["validation/few/reward"] <= 1
    assert {"zero_advantage", "strict", "parsed", "few/distinct", "few/top", "seconds/rollout"} <= set(first)
    answers = logged_answers.read(tmp_path / "run")
    assert len(answers) == 2 * 8
    assert answers.groupby("step").reward.mean()[0] == pytest.approx(first["reward"], rel=1e-5)


def test_random_rewards_follow_from_the_turn_alone(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    chosen = config(world, tiny_model, tasks={"few": {"reward": "random"}}, max_steps=2, save_steps=1)
    go(chosen, world, tmp_path / "run")
    first, second = read(tmp_path / "run")
    assert 0.2 < first["few/reward"] < 0.8
    assert first["few/reward"] != second["few/reward"]
    assert first["zero_advantage"] == first["few/parsed"] == 0, "nothing can be read, and yet there is an advantage"
    assert second["validation/few/reward"] == 0, "validations have the true score"
