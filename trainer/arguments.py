"""A training configuration as the arguments of TRL's GRPOTrainer.

Example:
    arguments = grpo_arguments(load("tiny-cpu"), Path("runs/train"), Processes())
    arguments.steps_per_generation, arguments.gradient_accumulation_steps  # micro-batches of a batch, of a step
"""

from __future__ import annotations

import os
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config import TrainConfig
from trainer.processes import TIMEOUT, Processes
from viubench.errors import ViubenchError

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from trainer.trl_imports import GRPOConfig

SAME = (
    "seed", "max_steps", "num_iterations", "num_generations", "temperature", "max_completion_length", "loss_type",
    "epsilon", "epsilon_high", "beta", "use_bias_correction_kl", "importance_sampling_level", "scale_rewards",
    "vllm_importance_sampling_correction", "vllm_importance_sampling_mode", "vllm_importance_sampling_clip_max",
    "mask_truncated_completions",
)  # fmt: skip
"""Keys of the configuration that are passed on as they are."""

DECIDED = (
    "output_dir", "use_vllm", "use_cpu", "shuffle_dataset", "generation_batch_size", "steps_per_generation",
    "per_device_train_batch_size", "gradient_accumulation_steps", "lr_scheduler_type", "lr_scheduler_kwargs",
    "save_strategy", "eval_strategy", "logging_strategy", "do_eval", "push_to_hub", "load_best_model_at_end",
)  # fmt: skip
"""Fields of GRPOConfig that other keys decide, or that this trainer does otherwise."""


def grpo_arguments(config: TrainConfig, out: Path, processes: Processes) -> GRPOConfig:
    """TRL's arguments of a training into folder `out`.

    Raises:
        ViubenchError: questions that cannot be split evenly, or a key under `trl` that GRPOConfig does not have.
    """
    from trainer.trl_imports import GRPOConfig

    micro_batches = _micro_batches(config, config.train_batch_size, "train_batch_size", processes)
    step = config.mini_batch_size or config.train_batch_size
    values = shared_arguments(config, out, processes) | {name: getattr(config, name) for name in SAME}
    values |= {
        "per_device_train_batch_size": config.micro_batch_size * config.num_generations,
        "steps_per_generation": micro_batches,
        "gradient_accumulation_steps": _micro_batches(config, step, "mini_batch_size", processes),
        "router_aux_loss_coef": 0.0,
        "shuffle_dataset": False,  # the questions' order is our own, a function of seed and step
        "learning_rate": config.learning_rate,
        "warmup_steps": config.warmup_steps,
        "model_init_kwargs": {"dtype": "bfloat16" if config.bf16 else config.dtype},  # of the reference model
        **_schedule(config.learning_rate, config.min_lr_ratio),
    }
    known = sorted(field.name for field in fields(GRPOConfig) if field.init)
    for name in config.trl:
        if name not in known or name in values or name in DECIDED:
            close = get_close_matches(name, known, n=1)
            raise ViubenchError(
                f"trl: {name} " + ("is decided by other keys" if name in known else "is no field of TRL's GRPOConfig"),
                where=f"trl.{name}",
                hint=f"did you mean {close[0]!r}?" if close and close[0] != name else "see docs/training.md",
            )
    return _built(GRPOConfig, values | config.trl)


def shared_arguments(config: TrainConfig, out: Path, processes: Processes) -> dict[str, Any]:
    """What the warm start and GRPO have in common, as keyword arguments of transformers' TrainingArguments."""
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(out / "tensorboard")
    values: dict[str, Any] = {
        "output_dir": str(out),
        "run_name": config.run_name,
        "use_cpu": processes.device == "cpu",
        "ddp_find_unused_parameters": False,  # every question has frames and an answer
        "ddp_timeout": int(TIMEOUT.total_seconds()),
        "seed": config.seed,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "bf16": config.bf16,
        "gradient_checkpointing": config.gradient_checkpointing,
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": list(config.report_to),
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    if config.finetuning.fsdp and processes.size > 1:
        if processes.device == "cpu":
            raise ViubenchError(
                "weights are sharded over GPUs only", where="finetuning.fsdp", hint="leave fsdp out on a CPU"
            )
        values |= {"fsdp": "full_shard", "fsdp_config": {"fsdp_version": 2, "state_dict_type": "FULL_STATE_DICT"}}
    return values


def sft_arguments(config: TrainConfig, out: Path, processes: Processes) -> TrainingArguments:
    """Arguments of the warm start into folder `out`. Raises as `grpo_arguments`."""
    from transformers import TrainingArguments

    warm = config.warm_start
    assert warm is not None, "called only with a warm start"
    values = shared_arguments(config, out, processes) | {
        "max_steps": warm.max_steps,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": _micro_batches(config, warm.train_batch_size, "warm_start", processes),
        "learning_rate": warm.learning_rate,
        "warmup_steps": warm.warmup_steps,
        **_schedule(warm.learning_rate, 0.1),
    }
    return _built(TrainingArguments, values)


def _micro_batches(config: TrainConfig, questions: int, where: str, processes: Processes) -> int:
    """Forward passes of each process for so many questions."""
    share = processes.size * config.micro_batch_size
    if questions % share:
        raise ViubenchError(
            f"{questions} questions cannot be split over {processes.size} processes with micro-batches of "
            f"{config.micro_batch_size}",
            where=where,
            hint=f"take a multiple of {share}, or another micro_batch_size or number of processes",
        )
    return questions // share


def _schedule(peak: float, least: float) -> dict[str, Any]:
    """Linear decay from `peak` to the share `least` of it."""
    if least == 1:
        return {"lr_scheduler_type": "constant_with_warmup"}
    return {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": peak * least, "power": 1.0}}


def _built(kind: Any, values: dict[str, Any]) -> Any:
    try:
        return kind(**values)
    except (TypeError, ValueError, ImportError, RuntimeError) as error:  # the libraries' own checks
        raise ViubenchError(f"TRL refuses the configuration: {error}", where="training") from error
