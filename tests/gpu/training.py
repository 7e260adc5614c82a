"""A GRPO step by the trainer's own parts: its seconds, tokens and memory, and how many weights it changed.

Example:
    step(model="scratch/2b", world="scratch/world", finetuning="full", checkpointing=True, ...)

Questions, frames, rollouts, loss and optimizer are those of `viubench train`; only the checkpoint is not saved. Rewards
are random: random weights never answer, and equal rewards have no gradient.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from tests.gpu import material
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.grpo import VideoGRPOTrainer
from trainer.model.policy import Policy
from trainer.processes import Processes
from trainer.rewards import Rewarder
from trainer.rollouts.sampler import PolicyRollouts, Sampler
from trainer.stage import Stage
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache

QUESTIONS, ANSWERS = 2, 8
WATCHED = 50_000
"""At most so many weights of each tensor are compared, evenly spread."""


class Unsaved(VideoGRPOTrainer):
    """The trainer without checkpoints."""

    def _save_checkpoint(self, *_: Any) -> None:
        return


def step(
    model: str, world: str, device: str, finetuning: str, checkpointing: bool, protocol: str, steps: int, tokens: int
) -> dict[str, Any]:
    """`steps` steps of 2 questions with 8 answers each, the first one to warm up; figures are means over the others."""
    began, folder = time.perf_counter(), Path(world)
    config = TrainConfig.model_validate(
        {
            "run_name": "gpu", "model": model, "tasks": {"ground": {"reward": "random"}}, "protocol": protocol,
            "items": {split: str(folder / split) for split in ("train", "validation")}, "max_steps": steps,
            "train_batch_size": QUESTIONS, "num_generations": ANSWERS, "max_completion_length": tokens,
            "finetuning": {"type": finetuning}, "freeze_vision_tower": finetuning == "lora", "learning_rate": 1e-6,
            "bf16": True, "gradient_checkpointing": checkpointing, "log_completions": 0, "report_to": [],
        }
    )  # fmt: skip
    lines, changed = [], {}

    def after_step(metrics: dict[str, Any]) -> None:
        if not lines:
            changed.update(moved(trainer.model, before))
        lines.append(metrics)

    trainer = opened(config, folder, device, after_step)
    before, loaded = watched(trainer.model), time.perf_counter() - began
    trainer.train()
    trained = [one for one in trainer.model.parameters() if one.requires_grad]
    answers = sum(int(one.rollouts.mask.sum()) for one in trainer._answered)
    seconds, rollout = (fmean(line[name] for line in lines[1:]) for name in ("seconds", "seconds/rollout"))
    return {
        "model": Path(model).name, "weights": finetuning, "checkpointing": checkpointing,
        "trained": sum(one.numel() for one in trained), "formats": sorted({str(one.dtype)[6:] for one in trained}),
        "prompt tokens": trainer._answered[0].packed.inputs["input_ids"].shape[1], "answer tokens": answers,
        "step s": round(seconds, 2), "rollout s": round(rollout, 2),
        "rollout tokens/s": round(answers / rollout, 1), "update tokens/s": round(answers / (seconds - rollout), 1),
        "peak GB": material.peak_gb(), **changed, "grad norm": lines[-1]["grad_norm"], "gap": lines[-1]["gap"],
        "load s": round(loaded, 1),
    }  # fmt: skip


def opened(config: TrainConfig, world: Path, device: str, progress: Callable[[dict[str, Any]], None]) -> Unsaved:
    """The trainer as `viubench train` builds it."""
    processes, out = Processes.join(device), world / f"{time.time_ns()}"
    out.mkdir()
    questions = Questions.read(config, Catalogue(), FrameCache(world / "frames"), multiple=32)
    policy = Policy.open(
        config.model, dtype=config.dtype, finetuning=config.finetuning, train_vision=not config.freeze_vision_tower,
        device=processes.device, bf16=config.bf16,
    )  # fmt: skip
    rewarder = Rewarder({"ground": "random"}, questions.evaluators, config.seed)
    stage = Stage(config, out, questions, policy, rewarder=rewarder, processes=processes, progress=progress)
    trainer = Unsaved(stage, Sampler(config, policy, PolicyRollouts(policy, 1), questions, rewarder, processes))
    trainer.add_callback(stage)
    return trainer


def watched(model: Any) -> dict[str, Any]:
    """Some weights of each trained tensor, float32 on the CPU."""
    return {name: _some(one).clone() for name, one in model.named_parameters() if one.requires_grad}


def moved(model: Any, before: dict[str, Any]) -> dict[str, float]:
    """Percent of the trained weights that differ from those `before`, and that would if they were bfloat16.

    A bfloat16 weight moves only where adding the same step to it gives another number of that format.
    """
    total, fine, coarse = 0, 0.0, 0.0
    for name, parameter in model.named_parameters():
        if name in before:
            old, new, many = before[name], _some(parameter), parameter.numel()
            short = old.bfloat16()
            total += many
            fine += many * float((new != old).float().mean())
            coarse += many * float(((short.float() + (new - old)).bfloat16() != short).float().mean())
    return {"changed %": round(100 * fine / total, 3), "in bfloat16 %": round(100 * coarse / total, 3)}


def _some(parameter: Any) -> Any:
    return parameter.detach().flatten()[:: max(1, parameter.numel() // WATCHED)].float().cpu()
