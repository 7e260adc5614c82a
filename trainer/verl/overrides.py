"""A training configuration as Hydra overrides of the `ppo_trainer` of verl 0.9, from the template `options.jinja`.

Example:
    overrides(load("videossr-8xh200"), written, Path("runs/verl"))[0]
    # 'data.train_files=["/handed/train.parquet"]'

What verl cannot do is refused, and what it does differently is listed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from trainer.config import TrainConfig
from trainer.verl.export import VerlExport
from viubench.errors import ViubenchError

TEMPLATE = Path(__file__).with_name("options.jinja")

SAVE_STEPS = 100
"""Steps from one checkpoint to the next, at most: two minutes each in the paper's setting, so three hours are lost."""

LOSSES = {"dapo": "token-mean", "grpo": "seq-mean-token-mean", "dr_grpo": "seq-mean-token-sum-norm"}
"""TRL's names of how the loss is averaged, and verl's."""

UNTOLD = (
    "mini_batch_size", "num_iterations", "use_bias_correction_kl", "importance_sampling_level",
    "mask_truncated_completions", "dynamic_sampling", "soft_punish_cache", "length_penalty", "trl",
)  # fmt: skip
"""Keys that are not in the template: they must be at their defaults."""


def overrides(config: TrainConfig, written: VerlExport, out: Path, *, gpus: int = 8, nodes: int = 1) -> list[str]:
    """The overrides of a training on `written` with `gpus` per node, whose checkpoints go to `out`; raises as
    `check_supported`."""
    check_supported(config, gpus * nodes)
    syntax = Environment(undefined=StrictUndefined, trim_blocks=True, finalize=hydra_value)  # noqa: S701  (no HTML)
    told: dict[str, Any] = {"micro": _micro_batch(config), "longest": written.max_prompt + config.max_completion_length}
    told |= {"losses": LOSSES, "save_steps": SAVE_STEPS, "out": out.resolve(), "gpus": gpus, "nodes": nodes}
    return syntax.from_string(TEMPLATE.read_text("utf-8")).render(config=config, written=written, **told).splitlines()


def hydra_value(value: Any) -> str:
    """A value in Hydra's override grammar; texts are quoted where it would parse them."""
    if isinstance(value, str | Path) and all(letter.isalnum() or letter in "_-./" for letter in str(value)):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).replace("${", "\\${")


def check_supported(config: TrainConfig, gpus: int) -> None:
    """Raises ViubenchError for a configuration that verl cannot train, on so many GPUs in all."""
    answers, micro = config.train_batch_size * config.num_generations, _micro_batch(config)
    faults = [
        ("model", not config.model, "no model was given", "give it with --model"),
        ("warm_start", config.warm_start is not None, "verl has no warm start",
         "run the warm start with this project's own loop and give its checkpoint as --model"),
        ("finetuning.type", config.finetuning.type == "lora",
         "LoRA is not exported to verl: its merger does not merge the adapters",
         "use finetuning: {type: full}, or this project's own loop"),
        ("bf16", not config.bf16, "verl computes in bfloat16, over float32 weights", "set bf16: true"),
        ("loss_type", config.loss_type not in LOSSES, f"{config.loss_type} is not exported",
         f"use {', '.join(LOSSES)}"),
        ("scale_rewards", config.scale_rewards == "batch", "verl scales advantages by group", "use group or none"),
        ("train_batch_size", answers % (gpus * micro) != 0,
         f"{config.train_batch_size} questions of {config.num_generations} answers are no multiple of micro-batches "
         f"of {micro} answers on {gpus} GPUs",
         "change train_batch_size, num_generations, micro_batch_size or the number of GPUs"),
    ]  # fmt: skip
    fields = TrainConfig.model_fields
    told = [key for key in UNTOLD if getattr(config, key) != fields[key].get_default(call_default_factory=True)]
    faults += [(key, True, f"{key} is not exported to verl", "leave it out for verl") for key in told]
    for where, fault, message, hint in faults:
        if fault:
            raise ViubenchError(message, where=where, hint=hint)


def differences(config: TrainConfig) -> list[str]:
    """What verl does differently from this project's own loop with the same configuration, a sentence each."""
    corrected = config.rollout.engine == "vllm" and config.vllm_importance_sampling_correction
    sentences = {
        f"a checkpoint is kept every {SAVE_STEPS} steps, not every {config.save_steps}": config.save_steps > SAVE_STEPS,
        "the learning rate decays along a cosine, not linearly": config.min_lr_ratio < 1,
        "verl keeps the last checkpoints, not the best": config.eval_steps and config.save_best,
        "the loss is not corrected for the log-probabilities of vLLM": corrected,
        "harness_eval is not run: evaluate the finished checkpoint with viubench run": config.harness_eval,
    }
    return [sentence for sentence, holds in sentences.items() if holds]


def _micro_batch(config: TrainConfig) -> int:
    """Answers in one forward pass on a GPU: verl counts these, this project questions with all of their answers."""
    return config.micro_batch_size * config.num_generations
