"""The GRPO loop on the tiny checkpoint: it moves the weights towards the reward, and goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainer import grpo
from trainer.config import TrainConfig
from trainer.data import Questions
from trainer.log import read
from trainer.policy import Policy
from trainer.rewards import Reward
from viubench.errors import ViubenchError
from viubench.pretext.build import build
from viubench.schema import Recipe
from viubench.tasks import Catalogue
from viubench.video import draw
from viubench.video.store import FrameStore

pytest.importorskip("torch")
pytestmark = pytest.mark.engine

TASK = "viubench_ground_mirror"


class Vowels:
    """A reward that a random model earns now and then: the share of vowels in what it says."""

    def __init__(self, *_: Any) -> None: ...

    def __call__(self, sample: Any, text: str, finish_reason: str, turn: Any = None) -> Reward:
        share = sum(letter in "aeiou" for letter in text) / max(len(text), 1)
        return Reward(share, 0.0, True, text)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("training")
    catalogue = Catalogue()
    recipe = Recipe.model_validate(
        {
            "recipe": "few",
            "sampling": {"frames": 12},
            "items": [{"task": "few", "base": TASK, "n": 4, "params": {"length": [2, 4]}}],
        }
    )
    for seed, split in enumerate(("train", "validation")):
        draw.draw(root / f"clips-{split}", 2, seed=seed + 3, seconds=4.0, size=(96, 64), fps=8)
        store = FrameStore(root / "frames")
        build(recipe, catalogue.tasks_of(recipe), root / f"clips-{split}", root / split, seed=0, workers=1, store=store)
    return root


def config(world: Path, tiny_model: Path, **changes: Any) -> TrainConfig:
    base: dict[str, Any] = {
        "train": "smoke", "model": str(tiny_model), "tasks": {"few": {"weight": 1}}, "protocol": "viubench-128",
        "items": {"train": str(world / "train"), "validation": str(world / "validation")}, "steps": 4, "groups": 2,
        "rollouts": 4, "max_tokens": 6, "lr": 0.01, "clip": None, "kl": 0.001, "dtype": "float32",
        "update": {"kind": "full"}, "save": {"every": 2}, "evaluate": {"every": 2, "n": 1},
    }  # fmt: skip
    return TrainConfig.model_validate(base | changes)


def go(chosen: TrainConfig, world: Path, out: Path, stop: int | None = None) -> Policy:
    """Train in `out` with a freshly opened model; `stop` ends the process's work after that step, as a kill would."""
    questions = Questions.read(chosen, Catalogue(), FrameStore(world / "frames"))
    policy = Policy.open(
        Path(chosen.model), dtype="float32", lora=None, train_vision=True, device="cpu", seed=chosen.seed
    )

    def progress(told: dict[str, Any]) -> None:
        if told["step"] == stop:
            raise KeyboardInterrupt

    grpo.train(chosen, out, questions, policy, progress)
    return policy


def untimed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if not key.startswith("seconds")} for line in lines]


def test_a_stopped_training_ends_as_one_never_stopped(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    chosen = config(world, tiny_model)
    whole = go(chosen, world, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        go(chosen, world, tmp_path / "stopped", stop=2)  # after the checkpoint of step 2, before that of step 4
    resumed = go(chosen, world, tmp_path / "stopped")
    for (name, one), (_, other) in zip(whole.trainable(), resumed.trainable(), strict=True):
        assert torch.equal(one, other), name
    logs = [read(tmp_path / name) for name in ("whole", "stopped")]
    assert untimed(logs[0]) == untimed(logs[1])
    assert [line["step"] for line in logs[0]] == [0, 1, 2, 3]
    assert all(line["gap"] < 1e-4 for line in logs[0])
    assert max(line["grad_norm"] for line in logs[0]) > 0
    fresh = Policy.open(tiny_model, dtype="float32", lora=None, train_vision=True, device="cpu")
    assert any(not torch.equal(a, b) for (_, a), (_, b) in zip(whole.trainable(), fresh.trainable(), strict=True))


def test_a_model_that_does_not_see_its_video_is_not_trained(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Policy, "swapped_gap", lambda *_: 0.0)
    with pytest.raises(ViubenchError, match="does not see its video"):
        go(config(world, tiny_model), world, tmp_path / "run")
    assert not read(tmp_path / "run")


def test_the_learning_rate_rises_and_falls(tiny_model: Path, world: Path) -> None:
    chosen = config(world, tiny_model, steps=11, warm_up=2, lr=1.0, final_lr=0.1)
    rates = [grpo.learning_rate(chosen, step) for step in range(11)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[-1] == pytest.approx(0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)
