"""A training configuration as Hydra overrides of the `ppo_trainer` of verl 0.9.

Example:
    >>> overrides(load("videossr-8xh200"), written, Path("runs/verl"))[0]
    'data.train_files=["/handed/train.parquet"]'

Every value comes from the configuration; what verl cannot do is refused, and what it does differently is listed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from trainer.verl.export import AGENT, VerlExport
from viubench.errors import ViubenchError

PATCH = 16
"""Pixels per side of a patch of Qwen3-VL; verl's own default is 14."""

GPU_SHARE = 0.6
"""Of a GPU's memory, for vLLM during the rollouts."""


def overrides(config: TrainConfig, written: VerlExport, out: Path, *, gpus: int = 8, nodes: int = 1) -> list[str]:
    """The overrides of a training on `written`, whose checkpoints go to `out`.

    Args:
        gpus: per node.

    Raises:
        ViubenchError: see `check_supported`.
    """
    check_supported(config, gpus * nodes)
    values = {
        **_data(config, written),
        **_model(config),
        **_actor(config),
        **_rollout(config, written),
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": config.scale_rewards == "group",
        "algorithm.use_kl_in_reward": False,
        "reward.custom_reward_function.path": str(written.reward),
        "reward.custom_reward_function.name": "compute_score",
        "trainer.project_name": "viubench",
        "trainer.experiment_name": config.run_name,
        "trainer.default_local_dir": str(out.resolve()),
        "trainer.logger": ["console", "tensorboard"],
        "trainer.n_gpus_per_node": gpus,
        "trainer.nnodes": nodes,
        # One pass over the parquet, which has every step: verl does not resume from a checkpoint at the end of an epoch
        # (its issue 5725).
        "trainer.total_epochs": 1,
        "trainer.total_training_steps": config.max_steps,
        "trainer.save_freq": config.save_steps,
        "trainer.max_actor_ckpt_to_keep": config.save_total_limit,
        "trainer.test_freq": config.eval_steps or -1,
        "trainer.val_before_train": config.eval_steps > 0,
        "trainer.resume_mode": "auto",
    }
    return [f"{key}={hydra_value(value)}" for key, value in values.items()]


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
        "dtype": (config.dtype != "bfloat16", f"verl does not train in {config.dtype}", "use bfloat16"),
        "train_batch_size": (
            config.train_batch_size * config.num_generations % (gpus * config.micro_batch_size) != 0,
            f"{config.train_batch_size} questions of {config.num_generations} answers are no multiple of micro-batches "
            f"of {config.micro_batch_size} on {gpus} GPUs",
            "change train_batch_size, num_generations, micro_batch_size or the number of GPUs",
        ),
    }
    for where, (fault, message, hint) in faults.items():
        if fault:
            raise ViubenchError(message, where=where, hint=hint)


def differences(config: TrainConfig) -> list[str]:
    """What verl does differently from this project's own loop with the same configuration, a sentence each."""
    sentences = []
    if config.min_lr_ratio < 1:
        sentences.append("the learning rate decays along a cosine, not linearly")
    if config.eval_steps and config.save_best:
        sentences.append("verl keeps the last checkpoints, not the best")
    if config.harness_eval:
        sentences.append("harness_eval is not run: evaluate the finished checkpoint with viubench run")
    return sentences


def _data(config: TrainConfig, written: VerlExport) -> dict[str, Any]:
    return {
        "data.train_files": [str(written.parquet)],
        "data.val_files": [str(written.validation or written.parquet)],
        "data.train_batch_size": config.train_batch_size,
        "data.max_prompt_length": written.max_prompt,
        "data.max_response_length": config.max_completion_length,
        "data.filter_overlong_prompts": False,
        "data.truncation": "error",
        "data.shuffle": False,
        "data.seed": config.seed,
        "data.video_key": "videos",
        "data.image_patch_size": PATCH,
        # The group is empty in verl's file, so that the key must be added.
        "++data.mm_processor_kwargs.do_resize": False,
    }


def _model(config: TrainConfig) -> dict[str, Any]:
    model = "actor_rollout_ref.model"
    return {
        f"{model}.path": config.model,
        f"{model}.use_remove_padding": True,
        f"{model}.enable_gradient_checkpointing": True,
        f"{model}.lora_rank": 0,
    }


def _actor(config: TrainConfig) -> dict[str, Any]:
    actor = "actor_rollout_ref.actor"
    schedule = {"lr_scheduler_type": "constant"} if config.min_lr_ratio == 1 else {
        "lr_scheduler_type": "cosine", "min_lr_ratio": config.min_lr_ratio
    }  # fmt: skip
    return {
        f"{actor}.optim.lr": config.learning_rate,
        f"{actor}.optim.lr_warmup_steps": config.warmup_steps,
        **{f"{actor}.optim.{key}": value for key, value in schedule.items()},
        f"{actor}.optim.weight_decay": config.weight_decay,
        f"{actor}.grad_clip": config.max_grad_norm,
        f"{actor}.ppo_mini_batch_size": config.train_batch_size,
        f"{actor}.ppo_micro_batch_size_per_gpu": config.micro_batch_size,
        # Without epsilon verl's own stays: with one update a batch the ratio is 1 and nothing is clipped.
        **{f"{actor}.clip_ratio{end}": config.epsilon for end in ("", "_low", "_high") if config.epsilon is not None},
        f"{actor}.loss_agg_mode": "token-mean",
        f"{actor}.use_kl_loss": config.beta > 0,
        f"{actor}.kl_loss_coef": config.beta,
        f"{actor}.kl_loss_type": "low_var_kl",
        f"{actor}.entropy_coeff": 0,
        f"{actor}.freeze_vision_tower": config.freeze_vision_tower,
        f"{actor}.data_loader_seed": config.seed,
        f"{actor}.fsdp_config.seed": config.seed,
        f"{actor}.fsdp_config.dtype": config.dtype,
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": config.micro_batch_size,
        "actor_rollout_ref.ref.fsdp_config.param_offload": True,
    }


def _rollout(config: TrainConfig, written: VerlExport) -> dict[str, Any]:
    rollout = "actor_rollout_ref.rollout"
    return {
        f"{rollout}.name": "vllm",
        f"{rollout}.n": config.num_generations,
        f"{rollout}.temperature": config.temperature,
        f"{rollout}.top_p": 1.0,
        f"{rollout}.top_k": -1,
        f"{rollout}.seed": config.seed,
        f"{rollout}.dtype": config.dtype,
        f"{rollout}.max_num_batched_tokens": written.max_prompt + config.max_completion_length,
        f"{rollout}.tensor_model_parallel_size": 1,
        f"{rollout}.gpu_memory_utilization": GPU_SHARE,
        f"{rollout}.log_prob_micro_batch_size_per_gpu": config.micro_batch_size,
        f"{rollout}.agent.default_agent_loop": AGENT,
        f"{rollout}.agent.agent_loop_config_path": str(written.agent),
    }


def hydra_value(value: Any) -> str:
    """A value in Hydra's override grammar; texts are quoted where it would parse them."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join('"' + _escaped(str(entry)) + '"' for entry in value) + "]"
    if isinstance(value, str) and not all(letter.isalnum() or letter in "_-./" for letter in value):
        return '"' + _escaped(value) + '"'
    return str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
