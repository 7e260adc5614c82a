"""A training configuration as Hydra overrides of the `ppo_trainer` of verl 0.9.

Example:
    overrides(load("videossr-8xh200"), written, Path("runs/verl"))[0]
    # 'data.train_files=["/handed/train.parquet"]'

Every value comes from the configuration; what verl cannot do is refused, and what it does differently is listed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from trainer.verl.export import AGENT, VerlExport
from viubench.errors import ViubenchError

PATCH = 16
"""Pixels per side of a patch of Qwen3-VL; verl's own default is 14."""

GPU_SHARE = 0.6
"""Of a GPU's memory, for vLLM during the rollouts."""

SAVE_STEPS = 100
"""Steps from one checkpoint to the next, at most: two minutes each in the paper's setting, so three hours are lost."""


LOSSES = {"dapo": "token-mean", "grpo": "seq-mean-token-mean", "dr_grpo": "seq-mean-token-sum-norm"}
"""TRL's names of how the loss is averaged, and verl's."""

UNTOLD = (
    "mini_batch_size", "num_iterations", "use_bias_correction_kl", "importance_sampling_level",
    "mask_truncated_completions", "dynamic_sampling", "soft_punish_cache", "length_penalty", "trl",
)  # fmt: skip
"""Keys that are not rendered for verl: they must be at their defaults."""


def overrides(config: TrainConfig, written: VerlExport, out: Path, *, gpus: int = 8, nodes: int = 1) -> list[str]:
    """The overrides of a training on `written`, whose checkpoints go to `out`.

    Args:
        gpus: per node.

    Raises:
        ViubenchError: see `check_supported`.
    """
    check_supported(config, gpus * nodes)
    data = {
        "train_files": [str(written.parquet)],
        "val_files": [str(written.validation or written.parquet)],
        "train_batch_size": config.train_batch_size,
        "max_prompt_length": written.max_prompt,
        "max_response_length": config.max_completion_length,
        "filter_overlong_prompts": False,
        "truncation": "error",
        "shuffle": False,
        "seed": config.seed,
        "video_key": "videos",
        "image_patch_size": PATCH,
    }
    trainer = {
        "project_name": "viubench",
        "experiment_name": config.run_name,
        "default_local_dir": str(out.resolve()),
        "logger": ["console", *config.report_to],
        "n_gpus_per_node": gpus,
        "nnodes": nodes,
        # One pass over the parquet, which has every step: verl does not resume from a checkpoint at the end of an epoch
        # (its issue 5725).
        "total_epochs": 1,
        "total_training_steps": config.max_steps,
        "save_freq": min(config.save_steps, SAVE_STEPS),
        "max_actor_ckpt_to_keep": config.save_total_limit,
        "test_freq": config.eval_steps or -1,
        "val_before_train": config.eval_steps > 0,
        "resume_mode": "auto",
    }
    grpo = {"adv_estimator": "grpo", "norm_adv_by_std_in_grpo": config.scale_rewards == "group"}
    groups: dict[str, dict[str, Any]] = {
        "data": data,
        "data.custom_cls": {"path": "pkg://trainer.verl.dataset", "name": "FrameCacheDataset"},
        # Not in verl's own file, so that the keys must be added.
        "++data": {"frame_cache": str(written.cache), "mm_processor_kwargs.do_resize": False},
        **{f"actor_rollout_ref.{part}": values for part, values in _actor(config, written).items()},
        "algorithm": grpo | {"use_kl_in_reward": False},
        "reward.custom_reward_function": {"path": str(written.reward), "name": "compute_score"},
        "trainer": trainer,
    }
    return [f"{group}.{key}={hydra_value(value)}" for group, values in groups.items() for key, value in values.items()]


def check_supported(config: TrainConfig, gpus: int) -> None:
    """Raises ViubenchError for a configuration that verl cannot train, on so many GPUs in all."""
    faults = {
        "model": (not config.model, "no model was given", "give it with --model"),
        "warm_start": (
            config.warm_start is not None,
            "verl has no warm start",
            "run the warm start with this project's own loop and give its checkpoint as --model",
        ),
        "finetuning.type": (
            config.finetuning.type == "lora",
            "LoRA is not exported to verl: its merger does not merge the adapters",
            "use finetuning: {type: full}, or this project's own loop",
        ),
        "bf16": (not config.bf16, "verl computes in bfloat16, over float32 weights", "set bf16: true"),
        "loss_type": (
            config.loss_type not in LOSSES,
            f"{config.loss_type} is not exported",
            f"use {', '.join(LOSSES)}",
        ),
        "scale_rewards": (config.scale_rewards == "batch", "verl scales advantages by group", "use group or none"),
        "train_batch_size": (
            config.train_batch_size * config.num_generations % (gpus * _micro_batch(config)) != 0,
            f"{config.train_batch_size} questions of {config.num_generations} answers are no multiple of micro-batches "
            f"of {_micro_batch(config)} answers on {gpus} GPUs",
            "change train_batch_size, num_generations, micro_batch_size or the number of GPUs",
        ),
    }
    for key in UNTOLD:
        told = getattr(config, key) != TrainConfig.model_fields[key].get_default(call_default_factory=True)
        faults[key] = (told, f"{key} is not exported to verl", "leave it out for verl")
    for where, (fault, message, hint) in faults.items():
        if fault:
            raise ViubenchError(message, where=where, hint=hint)


def differences(config: TrainConfig) -> list[str]:
    """What verl does differently from this project's own loop with the same configuration, a sentence each."""
    sentences = []
    if config.save_steps > SAVE_STEPS:
        sentences.append(f"a checkpoint is kept every {SAVE_STEPS} steps, not every {config.save_steps}")
    if config.min_lr_ratio < 1:
        sentences.append("the learning rate decays along a cosine, not linearly")
    if config.eval_steps and config.save_best:
        sentences.append("verl keeps the last checkpoints, not the best")
    if config.rollout.engine == "vllm" and config.vllm_importance_sampling_correction:
        sentences.append("the loss is not corrected for the log-probabilities of vLLM")
    if config.harness_eval:
        sentences.append("harness_eval is not run: evaluate the finished checkpoint with viubench run")
    return sentences


def _micro_batch(config: TrainConfig) -> int:
    """Answers in one forward pass on a GPU: verl counts these, this project questions with all of their answers."""
    return config.micro_batch_size * config.num_generations


def _actor(config: TrainConfig, written: VerlExport) -> dict[str, dict[str, Any]]:
    """The options of model, actor, reference and rollout."""
    micro, longest = _micro_batch(config), written.max_prompt + config.max_completion_length
    model = {
        "path": config.model,
        "use_remove_padding": True,
        "use_fused_kernels": True,
        "enable_gradient_checkpointing": True,
        "lora_rank": 0,
    }
    decay = {} if config.min_lr_ratio == 1 else {"optim.min_lr_ratio": config.min_lr_ratio}
    actor = {
        "optim.lr": config.learning_rate,
        "optim.lr_warmup_steps": config.warmup_steps,
        "optim.lr_scheduler_type": "cosine" if decay else "constant",
        **decay,
        "optim.weight_decay": config.weight_decay,
        "grad_clip": config.max_grad_norm,
        "ppo_mini_batch_size": config.train_batch_size,
        "ppo_micro_batch_size_per_gpu": micro,
        # Micro-batches of equal tokens in place of equally many answers, when a user switches them on.
        "use_dynamic_bsz": False,
        "ppo_max_token_len_per_gpu": micro * longest,
        **{f"clip_ratio{end}": config.epsilon for end in ("", "_low")},
        "clip_ratio_high": config.epsilon_high or config.epsilon,
        "loss_agg_mode": LOSSES[config.loss_type],
        "use_kl_loss": config.beta > 0,
        "kl_loss_coef": config.beta,
        "kl_loss_type": "low_var_kl",
        "entropy_coeff": 0,
        "freeze_vision_tower": config.freeze_vision_tower,
        "data_loader_seed": config.seed,
        "fsdp_config.seed": config.seed,
        "fsdp_config.dtype": "bfloat16",
    }
    reference = {"log_prob_micro_batch_size_per_gpu": micro, "fsdp_config.param_offload": True}
    rollout = {
        "name": "vllm",
        "n": config.num_generations,
        "temperature": config.temperature,
        "top_p": 1.0,
        "top_k": -1,
        "seed": config.seed,
        "dtype": "bfloat16",
        "max_model_len": longest,  # else the model's own, 262,144 tokens, which vLLM would make room for
        "max_num_batched_tokens": longest,
        "tensor_model_parallel_size": 1,
        "gpu_memory_utilization": GPU_SHARE,
        "log_prob_micro_batch_size_per_gpu": micro,
        "agent.default_agent_loop": AGENT,
        "agent.agent_loop_config_path": str(written.agent),
    }
    return {"model": model, "actor": actor, "ref": reference, "rollout": rollout}


def hydra_value(value: Any) -> str:
    """A value in Hydra's override grammar; texts are quoted where it would parse them."""
    if isinstance(value, str) and all(letter.isalnum() or letter in "_-./" for letter in value):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("${", "\\${")
