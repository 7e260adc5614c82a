"""A small world to train in: two tasks over drawn clips, the videos of training, validation and test apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer import grpo
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.model.policy import Policy
from trainer.rewards import Reward
from viubench.pretext.build import build
from viubench.schema import Recipe
from viubench.tasks.registry import Catalogue
from viubench.video import synthetic
from viubench.video.frame_cache import FrameCache

SPLITS = ("train", "validation", "test")
RECIPE: dict[str, Any] = {
    "recipe": "few",
    "sampling": {"frames": 12},
    "items": [
        {"task": "few", "base": "viubench_ground_mirror", "n": 4, "params": {"length": [2, 4]}},
        {"task": "order", "base": "viubench_jigsaw_easy", "n": 4},
    ],
}


FINETUNING: dict[str, dict[str, Any]] = {
    "full": {"type": "full"},
    "lora": {"type": "lora", "lora_r": 4, "lora_target_modules": ["q_proj", "v_proj"]},
    "fsdp": {"type": "full", "fsdp": True},
}


class Vowels:
    """A reward that a random model earns now and then: the share of vowels in what it says."""

    def __init__(self, *_: Any) -> None: ...

    def __call__(self, sample: Any, text: str, finish_reason: str, turn: Any = None) -> Reward:
        share = sum(letter in "aeiou" for letter in text) / max(len(text), 1)
        return Reward(share, float(share == 1), True, text)


def make(root: Path) -> Path:
    """The items of every split in `root/SPLIT`, their videos in `root/clips-SPLIT`."""
    catalogue, recipe = Catalogue(), Recipe.model_validate(RECIPE)
    store = FrameCache(root / "frames")
    for seed, split in enumerate(SPLITS):
        synthetic.draw(root / f"clips-{split}", 2, seed=seed + 3, seconds=4.0, size=(96, 64), fps=8)
        build(recipe, catalogue.tasks_of(recipe), root / f"clips-{split}", root / split, seed=0, workers=1, cache=store)
    return root


def config(world: Path, model: Path, **changes: Any) -> TrainConfig:
    base: dict[str, Any] = {
        "run_name": "smoke", "model": str(model), "tasks": {"few": {"weight": 1}}, "protocol": "viubench-128",
        "items": {"train": str(world / "train"), "validation": str(world / "validation")}, "max_steps": 4,
        "train_batch_size": 2, "num_generations": 4, "max_completion_length": 6, "learning_rate": 0.01,
        "beta": 0.001, "dtype": "float32", "save_steps": 2, "eval_steps": 2, "eval_limit": 1,
        "report_to": (),
    }  # fmt: skip
    return TrainConfig.model_validate(base | changes)


def asked(chosen: TrainConfig, world: Path) -> Questions:
    return Questions.read(chosen, Catalogue(), FrameCache(world / "frames"))


def opened(chosen: TrainConfig) -> Policy:
    adapters = chosen.finetuning.model_copy(update={"lora_alpha": 8.0})
    return Policy.open(chosen.model, finetuning=adapters, train_vision=True, bf16=chosen.bf16)


def go(
    chosen: TrainConfig,
    world: Path,
    out: Path,
    progress: Callable[[dict[str, Any]], None] = lambda told: None,
    **more: Any,
) -> Policy:
    """Train in `out` with a freshly opened model."""
    policy = opened(chosen)
    grpo.train(chosen, out, asked(chosen, world), policy, progress=progress, **more)
    return policy


class Stop(KeyboardInterrupt):
    """Ends a training between two steps."""


def stop_after(step: int) -> Any:
    def progress(told: dict[str, Any]) -> None:
        if told["step"] == step:
            raise Stop

    return progress


def weights(policy: Policy) -> dict[str, Any]:
    """What was trained, by name."""
    return {name: p.detach() for name, p in policy.base.named_parameters() if p.requires_grad}


def untimed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in line.items() if not key.startswith(("seconds", "profiling", "step_time"))}
        for line in lines
    ]
