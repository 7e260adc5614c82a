"""A training configuration in verl's words: Hydra overrides of the `ppo_trainer` of verl 0.9.

Example:
    >>> overrides(load("videossr-8xh200"), written, Path("runs/verl"))[0]
    'data.train_files=["/handed/train.parquet"]'

The configuration is the one source of every value; what verl cannot do is refused, what it does otherwise is said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from trainer.verl.export import AGENT, Written
from viubench.errors import ViubenchError

PATCH = 16
"""Pixels per side of a patch of Qwen3-VL; verl's own default is 14."""

GPU_SHARE = 0.6
"""Of a GPU's memory, for vLLM while it answers."""


def overrides(config: TrainConfig, written: Written, out: Path, *, gpus: int = 8, nodes: int = 1) -> list[str]:
    """The overrides of a training on `written`, whose checkpoints go to `out`.

    Args:
        gpus: per node.

    Raises:
        ViubenchError: see `refuse`.
    """
    refuse(config, gpus * nodes)
    found = {
        **_data(config, written),
        **_model(config),
        **_actor(config),
        **_rollout(config, written),
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": config.normalise == "std",
        "algorithm.use_kl_in_reward": False,
        "reward.custom_reward_function.path": str(written.reward),
        "reward.custom_reward_function.name": "compute_score",
        "trainer.project_name": "viubench",
        "trainer.experiment_name": config.train,
        "trainer.default_local_dir": str(out.resolve()),
        "trainer.logger": ["console", "tensorboard"],
        "trainer.n_gpus_per_node": gpus,
        "trainer.nnodes": nodes,
        # One pass over the parquet, which holds every step. Its end is the end of the training, so that no checkpoint
        # falls on the end of an epoch before, from where verl goes on without training (its issue 5725).
        "trainer.total_epochs": 1,
        "trainer.total_training_steps": config.steps,
        "trainer.save_freq": config.save.every,
        "trainer.max_actor_ckpt_to_keep": config.save.keep_last,
        "trainer.test_freq": config.evaluate.every or -1,
        "trainer.val_before_train": config.evaluate.every > 0,
        "trainer.resume_mode": "auto",
    }
    return [f"{key}={hydra_value(value)}" for key, value in found.items()]


def refuse(config: TrainConfig, gpus: int) -> None:
    """Raises ViubenchError for a configuration that verl cannot train as it says, on so many GPUs."""
    faults = {
        "model": (not config.model, "no model is named", "name it with --model"),
        "warm_start": (
            config.warm_start is not None,
            "verl has no warm start",
            "warm up with this project's own loop and give its checkpoint as --model",
        ),
        "update.kind": (
            config.update.kind == "lora",
            "adapters are not handed to verl: its merger leaves them beside weights that were not trained",
            "use update: {kind: full}, or this project's own loop",
        ),
        "dtype": (config.dtype != "bfloat16", f"verl does not train in {config.dtype}", "use bfloat16"),
        "groups": (
            config.groups * config.rollouts % (gpus * config.micro_batch) != 0,
            f"{config.groups} questions of {config.rollouts} answers are no whole number of micro-batches of "
            f"{config.micro_batch} on {gpus} GPUs",
            "change groups, rollouts, micro_batch or the number of GPUs",
        ),
    }
    for where, (fault, message, hint) in faults.items():
        if fault:
            raise ViubenchError(message, where=where, hint=hint)


def differences(config: TrainConfig) -> list[str]:
    """What verl does otherwise than this project's own loop with the same configuration, one sentence each."""
    found = []
    if config.final_lr < 1:
        found.append("the learning rate falls along a cosine, not a straight line")
    if config.evaluate.every and config.save.keep_best:
        found.append("verl keeps the last checkpoints, not the best")
    if config.evaluate.harness:
        found.append("evaluate.harness is not run: evaluate the finished checkpoint with viubench run")
    return found


def _data(config: TrainConfig, written: Written) -> dict[str, Any]:
    return {
        "data.train_files": [str(written.parquet)],
        "data.val_files": [str(written.validation or written.parquet)],
        "data.train_batch_size": config.groups,
        "data.max_prompt_length": written.max_prompt,
        "data.max_response_length": config.max_tokens,
        "data.filter_overlong_prompts": False,
        "data.truncation": "error",
        "data.shuffle": False,
        "data.seed": config.seed,
        "data.video_key": "videos",
        "data.image_patch_size": PATCH,
        # The group is empty in verl's file: a plain override could not add to it.
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
    schedule = {"lr_scheduler_type": "constant"} if config.final_lr == 1 else {
        "lr_scheduler_type": "cosine", "min_lr_ratio": config.final_lr
    }  # fmt: skip
    return {
        f"{actor}.optim.lr": config.lr,
        f"{actor}.optim.lr_warmup_steps": config.warm_up,
        **{f"{actor}.optim.{key}": value for key, value in schedule.items()},
        f"{actor}.optim.weight_decay": config.weight_decay,
        f"{actor}.grad_clip": config.max_grad_norm,
        f"{actor}.ppo_mini_batch_size": config.groups,
        f"{actor}.ppo_micro_batch_size_per_gpu": config.micro_batch,
        # Without a clip verl's own stands: one update a batch is on-policy, the ratio is 1 and nothing is clipped.
        **{f"{actor}.clip_ratio{end}": config.clip for end in ("", "_low", "_high") if config.clip is not None},
        f"{actor}.loss_agg_mode": "token-mean",
        f"{actor}.use_kl_loss": config.kl > 0,
        f"{actor}.kl_loss_coef": config.kl,
        f"{actor}.kl_loss_type": "low_var_kl",
        f"{actor}.entropy_coeff": 0,
        f"{actor}.freeze_vision_tower": config.vision == "frozen",
        f"{actor}.data_loader_seed": config.seed,
        f"{actor}.fsdp_config.seed": config.seed,
        f"{actor}.fsdp_config.dtype": config.dtype,
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": config.micro_batch,
        "actor_rollout_ref.ref.fsdp_config.param_offload": True,
    }


def _rollout(config: TrainConfig, written: Written) -> dict[str, Any]:
    rollout = "actor_rollout_ref.rollout"
    return {
        f"{rollout}.name": "vllm",
        f"{rollout}.n": config.rollouts,
        f"{rollout}.temperature": config.temperature,
        f"{rollout}.top_p": 1.0,
        f"{rollout}.top_k": -1,
        f"{rollout}.seed": config.seed,
        f"{rollout}.dtype": config.dtype,
        f"{rollout}.max_num_batched_tokens": written.max_prompt + config.max_tokens,
        f"{rollout}.tensor_model_parallel_size": 1,
        f"{rollout}.gpu_memory_utilization": GPU_SHARE,
        f"{rollout}.log_prob_micro_batch_size_per_gpu": config.micro_batch,
        f"{rollout}.agent.default_agent_loop": AGENT,
        f"{rollout}.agent.agent_loop_config_path": str(written.agent),
    }


def hydra_value(value: Any) -> str:
    """A value in Hydra's override grammar; texts are quoted where it would read more into them."""
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
