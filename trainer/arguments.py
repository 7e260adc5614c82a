"""A training configuration as the arguments of TRL's GRPOTrainer and, for the warm start, of transformers' Trainer.

Example:
    arguments = grpo_arguments(load("tiny-cpu"), Path("runs/train"), Processes())
    arguments.steps_per_generation, arguments.gradient_accumulation_steps  # micro-batches of a batch, of a step
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config import TrainConfig
from trainer.processes import TIMEOUT, Processes
from viubench.errors import ViubenchError, did_you_mean

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from trainer.trl_imports import GRPOConfig

# Keys that TRL has too, and that this trainer does itself; TRL is given all others of its names.
OWN = {"eval_steps", "log_completions", "save_total_limit"}
# Fields of GRPOConfig that other keys decide, or that this trainer does otherwise.
DECIDED = (
    "output_dir", "use_vllm", "use_cpu", "shuffle_dataset", "generation_batch_size", "steps_per_generation",
    "per_device_train_batch_size", "gradient_accumulation_steps", "router_aux_loss_coef",
    "model_init_kwargs", "lr_scheduler_type", "lr_scheduler_kwargs",
    "save_strategy", "eval_strategy", "logging_strategy", "do_eval", "push_to_hub", "load_best_model_at_end",
)  # fmt: skip
# Fields of GRPOConfig about what this trainer does itself: rollouts, rewards, questions, validation, checkpoints.
WITHOUT_EFFECT = (
    "top_p", "top_k", "min_p", "repetition_penalty", "generation_kwargs", "chat_template_kwargs",
    "cache_implementation", "use_transformers_paged", "use_transformers_continuous_batching",
    "transformers_continuous_batching_config", "vllm_mode", "vllm_model_impl", "vllm_enable_sleep_mode",
    "vllm_structured_outputs_regex", "vllm_server_base_url", "vllm_server_host", "vllm_server_port",
    "vllm_server_timeout", "vllm_group_port", "vllm_gpu_memory_utilization", "vllm_max_model_length",
    "vllm_tensor_parallel_size", "reward_weights", "multi_objective_aggregation", "max_tool_calling_iterations",
    "num_generations_eval", "per_device_eval_batch_size", "num_train_epochs", "resume_from_checkpoint",
    "auto_find_batch_size", "save_only_model", "train_sampling_strategy", "remove_unused_columns",
)  # fmt: skip
SEE = "see docs/training.md"


def check(config: TrainConfig, out: Path, processes: Processes) -> None:
    """Raises as `grpo_arguments` and `sft_arguments` would, and where a package or file that `config` names is missing;
    for a command that opens a large model only then."""
    settings = config.trl.get("deepspeed")
    needed: dict[str, str] = dict.fromkeys(config.report_to, "report_to")
    needed |= {"bitsandbytes": "finetuning.load_in_4bit"} if config.finetuning.load_in_4bit else {}
    needed |= {"deepspeed": "trl.deepspeed"} if settings else {}
    for package, where in needed.items():
        if find_spec(package) is None:
            raise ViubenchError(f"{package} is not installed", where=where, hint=f"pip install {package}")
    if isinstance(settings, str) and not Path(settings).is_file():
        hint = "name a JSON file of DeepSpeed's"
        raise ViubenchError(f"there is no file {settings}", where="trl.deepspeed", hint=hint)
    # As long as such arguments live, transformers opens every model sharded.
    config = config.model_copy(update={"trl": {key: value for key, value in config.trl.items() if key != "deepspeed"}})
    grpo_arguments(config, out, processes)
    if config.warm_start is not None:
        sft_arguments(config, out, processes)


def grpo_arguments(config: TrainConfig, out: Path, processes: Processes) -> GRPOConfig:
    """TRL's arguments of a training into folder `out`. Raises ViubenchError for questions that cannot be split evenly,
    or what TRL refuses, such as a key under `trl` that GRPOConfig does not have."""
    from trainer.trl_imports import GRPOConfig

    known = [field.name for field in fields(GRPOConfig) if field.init]
    _refuse_fields(config.trl, known)
    step = config.mini_batch_size or config.train_batch_size
    size, parts = micro_batches(config, step, "train_batch_size", processes)
    values = _shared(config, known, out, processes) | {
        "per_device_train_batch_size": size * config.num_generations,
        "steps_per_generation": parts * (config.train_batch_size // step),
        "gradient_accumulation_steps": parts,
        "router_aux_loss_coef": 0.0,
        "shuffle_dataset": False,  # the questions' order is our own, a function of seed and step
        "model_init_kwargs": {"dtype": "bfloat16" if config.bf16 else config.dtype},  # of the reference model
        **_schedule(config.learning_rate, config.min_lr_ratio),
    }
    return _built(GRPOConfig, values | config.trl)


def sft_arguments(config: TrainConfig, out: Path, processes: Processes) -> TrainingArguments:
    """Arguments of the warm start into folder `out`: of `trl` those keys that transformers has, such as optim or
    deepspeed; the others are about GRPO. Raises as `grpo_arguments`."""
    from transformers import TrainingArguments

    warm, known = config.warm_start, [field.name for field in fields(TrainingArguments) if field.init]
    assert warm is not None, "called only with a warm start"
    parts = micro_batches(config, warm.train_batch_size, "warm_start.train_batch_size", processes)[1]
    values = _shared(config, known, out, processes) | {
        "max_steps": warm.max_steps,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": parts,
        "learning_rate": warm.learning_rate,
        "warmup_steps": warm.warmup_steps,
        **_schedule(warm.learning_rate, 0.1),
    }
    return _built(TrainingArguments, values | {name: value for name, value in config.trl.items() if name in known})


def micro_batches(config: TrainConfig, questions: int, where: str, processes: Processes) -> tuple[int, int]:
    """Questions in a forward pass (at most `micro_batch_size`), and such passes of each process, for an optimizer step
    of so many questions. Raises ViubenchError where the processes cannot have equally many."""
    share, rest = divmod(questions, processes.size)
    if rest:
        hint = f"take a multiple of {processes.size}, or another number of processes"
        said = f"{questions} questions cannot be split over {processes.size} processes"
        raise ViubenchError(said, where=where, hint=hint)
    size = next(size for size in range(min(config.micro_batch_size, share), 0, -1) if share % size == 0)
    return size, share // size


def _refuse_fields(names: Iterable[str], known: Sequence[str]) -> None:
    """Raises ViubenchError for a field under `trl` that is not `known` to TRL, or that cannot be set there."""
    for name in names:
        if name in TrainConfig.model_fields:
            why, hint = "is decided by other keys", f"write {name} outside trl; {SEE}"
        elif name in DECIDED:
            why, hint = "is decided by other keys", SEE
        elif name in WITHOUT_EFFECT:
            why, hint = "has no effect here", SEE
        elif name not in known:
            why, hint = "is no field of TRL's GRPOConfig", did_you_mean(name, known, SEE)
        else:
            continue
        raise ViubenchError(f"trl: {name} {why}", where=f"trl.{name}", hint=hint)


def _shared(config: TrainConfig, known: Sequence[str], out: Path, processes: Processes) -> dict[str, Any]:
    """What the warm start and GRPO have in common: the keys that are `known`, and what this trainer decides."""
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(out / "tensorboard")
    values = {name: getattr(config, name) for name in known if name in TrainConfig.model_fields.keys() - OWN}
    values |= {
        "output_dir": str(out),
        "use_cpu": processes.device == "cpu",
        "ddp_find_unused_parameters": False,  # every question has frames and an answer
        "ddp_timeout": int(TIMEOUT.total_seconds()),
        "save_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": list(config.report_to),
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    if config.finetuning.fsdp and processes.size > 1:
        if processes.device == "cpu":
            hint = "leave fsdp out on a CPU"
            raise ViubenchError("weights are sharded over GPUs only", where="finetuning.fsdp", hint=hint)
        values |= {"fsdp": "full_shard", "fsdp_config": {"fsdp_version": 2, "state_dict_type": "FULL_STATE_DICT"}}
    return values


def _schedule(peak: float, least: float) -> dict[str, Any]:
    """Linear decay from `peak` to the share `least` of it."""
    if least == 1:
        return {"lr_scheduler_type": "constant_with_warmup"}
    return {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": peak * least, "power": 1.0}}


def _built(kind: Any, values: dict[str, Any]) -> Any:
    try:
        return kind(**values)
    except (TypeError, ValueError, ImportError, RuntimeError) as error:  # the libraries' own checks
        said = f"TRL refuses the configuration: {str(error).strip()}"
        raise ViubenchError(said, where="--config", hint=SEE) from error
