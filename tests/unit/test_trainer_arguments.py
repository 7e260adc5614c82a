"""The configuration as TRL's arguments: the split of a batch, what passes through, what is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from trainer.arguments import OWN, grpo_arguments, micro_batches, sft_arguments
from trainer.config import TrainConfig
from trainer.processes import SINGLE, Processes
from viubench.errors import ViubenchError

pytest.importorskip("trl")

LEAST: dict[str, Any] = {"run_name": "t", "tasks": {"a": {}}, "max_steps": 10, "save_steps": 4, "report_to": []}
THRESHOLDS = {"a": {"score": 0.6, "exact": 0.2}}


def config(**more: Any) -> TrainConfig:
    return TrainConfig.model_validate(LEAST | more)


def arguments(processes: Processes = SINGLE, **more: Any) -> Any:
    return grpo_arguments(config(**more), Path("out"), processes)


def refused(processes: Processes = SINGLE, **more: Any) -> ViubenchError:
    with pytest.raises(ViubenchError) as caught:
        arguments(processes, **more)
    return caught.value


# --- the split of a batch ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("micro", "passes", "minis"), [(1, 1, 1), (2, 3, 1), (1, 4, 2), (3, 2, 4)])
def test_a_step_sees_a_mini_batch_and_a_generation_the_whole_batch(micro: int, passes: int, minis: int) -> None:
    mini = micro * passes
    sizes = {"train_batch_size": mini * minis, "mini_batch_size": mini, "micro_batch_size": micro}
    found = arguments(num_generations=4, save_steps=minis, **sizes)
    answers = found.per_device_train_batch_size
    assert answers == micro * 4
    assert answers * found.gradient_accumulation_steps == mini * 4
    assert answers * found.steps_per_generation == mini * minis * 4


def test_questions_are_split_over_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    # GRPOConfig asks accelerate how many processes there are, and counts the answers to a batch with it.
    from transformers import TrainingArguments

    monkeypatch.setattr(TrainingArguments, "world_size", property(lambda self: 4))
    found = arguments(Processes(1, 4), train_batch_size=32, mini_batch_size=16, micro_batch_size=2)
    assert (found.per_device_train_batch_size, found.gradient_accumulation_steps) == (2 * 8, 2)
    assert found.steps_per_generation == 4
    assert found.generation_batch_size == 32 * 8


@pytest.mark.parametrize(
    ("processes", "more", "where", "hint"),
    [
        (Processes(0, 3), {"train_batch_size": 64}, "train_batch_size", "a multiple of 3"),
        (Processes(0, 2), {"train_batch_size": 8, "mini_batch_size": 1}, "train_batch_size", "a multiple of 2"),
    ],
)
def test_questions_that_cannot_be_split_evenly_are_refused(
    processes: Processes, more: dict[str, Any], where: str, hint: str
) -> None:
    error = refused(processes, **({"save_steps": 8} | more))
    assert "cannot be split" in error.message
    assert error.where == where
    assert hint in str(error.hint)


@pytest.mark.parametrize(
    ("questions", "processes", "most", "expected"), [(18, 1, 32, (18, 1)), (18, 2, 4, (3, 3)), (7, 1, 4, (1, 7))]
)
def test_a_micro_batch_is_the_largest_that_fits(
    questions: int, processes: int, most: int, expected: tuple[int, int]
) -> None:
    found = micro_batches(config(micro_batch_size=most), questions, "x", Processes(0, processes))
    assert found == expected
    assert found[0] * found[1] * processes == questions


# --- what passes through ----------------------------------------------------------------------------------------------

CHANGED: dict[str, Any] = {
    "seed": 3, "max_steps": 12, "num_iterations": 2, "num_generations": 4, "temperature": 0.7,
    "max_completion_length": 9, "loss_type": "dr_grpo", "epsilon": 0.1, "epsilon_high": 0.28, "beta": 0.5,
    "use_bias_correction_kl": True, "importance_sampling_level": "sequence", "scale_rewards": "none",
    "vllm_importance_sampling_correction": False, "vllm_importance_sampling_mode": "sequence_mask",
    "vllm_importance_sampling_clip_max": 3.0, "mask_truncated_completions": True,
}  # fmt: skip
SHARED = {
    "run_name", "learning_rate", "warmup_steps", "weight_decay", "max_grad_norm", "bf16", "gradient_checkpointing",
    "save_steps", "report_to",
}  # fmt: skip
"""Of the warm start too."""


def test_every_key_of_trl_arrives_there() -> None:
    found, plain = arguments(**CHANGED), arguments()
    assert not OWN & set(CHANGED)
    names = {field.name for field in fields(found)} & set(TrainConfig.model_fields)
    assert names - OWN == set(CHANGED) | SHARED
    for name, value in CHANGED.items():
        assert getattr(found, name) == value
        assert getattr(plain, name) != value


def test_the_rest_of_a_training() -> None:
    found = arguments(
        learning_rate=2e-5, weight_decay=0.3, max_grad_norm=0.7, warmup_steps=2, gradient_checkpointing=True,
        trl={"optim": "adamw_torch", "adam_beta2": 0.99},
    )  # fmt: skip
    assert (found.learning_rate, found.weight_decay, found.max_grad_norm) == (2e-5, 0.3, 0.7)
    assert (found.warmup_steps, found.gradient_checkpointing, found.adam_beta2) == (2, True, 0.99)
    assert (found.output_dir, found.save_steps, found.logging_steps, found.shuffle_dataset) == ("out", 4, 1, False)
    assert not found.use_vllm


def test_the_learning_rate_decays_to_its_share() -> None:
    assert arguments().lr_scheduler_type == "constant_with_warmup"
    found = arguments(learning_rate=1e-4, min_lr_ratio=0.1)
    assert found.lr_scheduler_type == "polynomial"
    assert found.lr_scheduler_kwargs == {"lr_end": pytest.approx(1e-5), "power": 1.0}


def test_a_warm_start_has_its_own_batch_and_rate() -> None:
    warm = {"max_steps": 6, "train_batch_size": 8, "warmup_steps": 1, "learning_rate": 0.01, "thresholds": THRESHOLDS}
    found = sft_arguments(config(micro_batch_size=2, warm_start=warm), Path("out"), SINGLE)
    assert (found.max_steps, found.gradient_accumulation_steps, found.learning_rate) == (6, 4, 0.01)
    assert found.lr_scheduler_kwargs["lr_end"] == pytest.approx(0.001)
    with pytest.raises(ViubenchError, match="8 questions cannot be split over 3 processes"):
        sft_arguments(config(warm_start=warm), Path("out"), Processes(0, 3))


def test_a_warm_start_takes_the_keys_of_trl_that_transformers_has() -> None:
    trl = {"optim": "adafactor", "adam_beta2": 0.9, "delta": 3.0}
    warm = {"max_steps": 6, "train_batch_size": 8}
    found = sft_arguments(config(warm_start=warm, trl=trl), Path("out"), SINGLE)
    assert (found.optim, found.adam_beta2) == ("adafactor", 0.9)
    assert arguments(trl=trl).delta == 3.0, "of GRPO alone"


# --- trl: -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("adam_beta_2", "adam_beta_2 is no field of TRL's GRPOConfig", "adam_beta2"),
        ("learning_rate", "learning_rate is decided by other keys", "docs/training.md"),
        ("use_vllm", "use_vllm is decided by other keys", "docs/training.md"),
        ("gradient_accumulation_steps", "gradient_accumulation_steps is decided", "docs/training.md"),
        ("push_to_hub", "push_to_hub is decided by other keys", "docs/training.md"),
        ("frobnicate", "frobnicate is no field", "docs/training.md"),
    ],
)
def test_a_key_under_trl_that_does_not_belong_there_is_refused_by_name(name: str, message: str, hint: str) -> None:
    error = refused(trl={name: 1})
    assert message in error.message
    assert error.where == f"trl.{name}"
    assert hint in str(error.hint)


def test_what_trl_itself_refuses_is_told() -> None:
    error = refused(trl={"optim": "no_such_optimizer"})
    assert "no_such_optimizer" in error.message
