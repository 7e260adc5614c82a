"""A GRPO step by the trainer's own parts: its seconds, tokens and memory, and how many weights it changed.

Example:
    step(model="scratch/2b", world="scratch/world", finetuning="full", checkpointing=True, device="cuda", ...)

Questions, frames, rollouts, loss and optimizer are those of `viubench train`; only the checkpoint is not saved. Rewards
are random: random weights never answer, and equal rewards have no gradient.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from tests.bench import machine
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.grpo import VideoGRPOTrainer
from trainer.model.policy import Policy
from trainer.processes import Processes
from trainer.rewards import Rewarder
from trainer.rollouts.base import PolicyRollouts
from trainer.rollouts.sampler import Sampler
from trainer.stage import Stage
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache

QUESTIONS, ANSWERS = 2, 8
WATCHED = 50_000
"""At most so many weights of each tensor are compared, evenly spread."""


class Measured(VideoGRPOTrainer):
    """The trainer, with the memory of rollouts and updates apart."""

    update_gb = rollout_gb = 0.0

    def sample(self, prompts: Any) -> dict[str, Any]:
        self.update_gb = peak_gb()  # of the step before
        result = super().sample(prompts)
        self.rollout_gb = peak_gb()
        return result

    def _save_checkpoint(self, *_: Any) -> None:
        """Nothing is kept."""


def step(
    model: str, world: str, finetuning: str, checkpointing: bool, device: str, steps: int, **shown: int
) -> dict[str, Any]:
    """`steps` steps of 2 questions with 8 answers each, the first one to warm up; figures are means over the others."""
    began, folder = time.perf_counter(), Path(world)
    config, out = configured(model, folder, finetuning, checkpointing, steps, **shown), folder / f"{time.time_ns()}"
    out.mkdir()
    processes = Processes.join(device)
    store = FrameCache(folder / "frames")
    questions = Questions.read(config, Catalogue(), store, multiple=32)
    vision = not config.freeze_vision_tower
    policy = Policy.open(model, finetuning=config.finetuning, train_vision=vision, device=processes.device)
    rewarder, lines, changed = Rewarder({"ground": "random"}, questions.evaluators, config.seed), [], {}

    def after_step(metrics: dict[str, Any]) -> None:
        if not lines:
            changed.update(moved(trainer.model, before))
        lines.append(metrics)

    stage = Stage(config, out, questions, policy, rewarder=rewarder, processes=processes, progress=after_step)
    sampler = Sampler(config, policy, PolicyRollouts(policy, 1), questions, rewarder, processes)
    trainer = Measured(stage, sampler)
    trainer.add_callback(stage)
    before = watched(trainer.model)
    loaded = time.perf_counter() - began
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
        "rollout GB": trainer.rollout_gb, "update GB": max(trainer.update_gb, peak_gb()), **changed,
        "grad norm": lines[-1]["grad_norm"], "gap": lines[-1]["gap"], "load s": round(loaded, 1),
    }  # fmt: skip


def configured(
    model: str, world: Path, finetuning: str, checkpointing: bool, steps: int, tokens: int, frames: int, side: int
) -> TrainConfig:
    """The configuration; frames are shown at side x side pixels, answers have `tokens` tokens."""
    protocol = world / "protocol.yaml"
    protocol.write_text(
        f"protocol: gpu\nsampling: {{kind: even, frames: {frames}}}\n"
        f"resize: {{max_pixels: {side * side}, min_pixels: 1024, multiple: 32}}\ndecoding: {{max_tokens: {tokens}}}\n"
    )
    return TrainConfig.model_validate(
        {
            "run_name": "gpu", "model": model, "tasks": {"ground": {"reward": "random"}}, "protocol": str(protocol),
            "items": {split: str(world / split) for split in ("train", "validation")},
            "max_steps": steps, "train_batch_size": QUESTIONS,
            "num_generations": ANSWERS, "max_completion_length": tokens, "learning_rate": 1e-6,
            "finetuning": {"type": finetuning}, "freeze_vision_tower": finetuning == "lora", "bf16": True,
            "gradient_checkpointing": checkpointing, "save_steps": steps, "log_completions": 0, "report_to": [],
        }
    )  # fmt: skip


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


def peak_gb() -> float:
    """Most memory in use on the GPU since the last call, or of the process without one, in 10^9 bytes."""
    if not torch.cuda.is_available():
        return round(machine.peak_mb() / 1e3, 1)
    peak = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 1)
