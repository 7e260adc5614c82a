"""The training configuration: every recipe loads, every mistake is told with its place, the hash knows what matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trainer.config import TrainConfig, load, recipe_names
from trainer.sft import REQUIRED_PASSES
from viubench.errors import ViubenchError
from viubench.tasks.registry import Catalogue

LEAST: dict[str, Any] = {"run_name": "t", "tasks": {"a": {}}, "max_steps": 10}
HEAD, TASK = "run_name: t\nmax_steps: 3\n", "tasks: {a: {}}\n"
PAPER = ("videossr-8xh200", "ablation-strict", "only-ground", "only-count", "only-jigsaw")


def config(**more: Any) -> TrainConfig:
    return TrainConfig.model_validate(LEAST | more)


def refused(tmp_path: Path, text: str) -> ViubenchError:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ViubenchError) as caught:
        load(path)
    return caught.value


def test_the_recipes_are_these() -> None:
    assert recipe_names() == sorted([*PAPER, "tiny-clips", "tiny-cpu", "qwen3-vl-8b-1node"])


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_loads_names_what_there_is_and_claims_no_gpu_run(name: str) -> None:
    recipe, catalogue = load(name), Catalogue()
    assert recipe.run_name == name
    assert "run on a GPU" in recipe.description
    catalogue.protocol(recipe.protocol)
    if not name.startswith("tiny-"):
        assert all(catalogue.task(task).pretext for task in recipe.tasks)
        built = {entry.task: entry.n for entry in catalogue.recipe("videossr-30k").items}
        assert {task: mix.weight for task, mix in recipe.tasks.items()} == {task: built[task] for task in recipe.tasks}
        assert recipe.max_steps * recipe.train_batch_size <= sum(built[task] for task in recipe.tasks)


def test_the_paper_s_training_is_the_paper_s() -> None:
    paper = load("videossr-8xh200")
    assert (paper.learning_rate, paper.beta, paper.train_batch_size) == (1e-6, 1e-3, 64)
    assert (paper.num_generations, paper.max_completion_length) == (8, 2048)
    assert paper.finetuning.type == "full"
    assert paper.warm_start is None
    protocol = Catalogue().protocol(paper.protocol)
    assert (protocol.sampling.frames, protocol.resize.max_pixels) == (48, 256 * 256)


@pytest.mark.parametrize("name", PAPER[1:])
def test_an_ablation_differs_from_the_paper_s_training_in_its_tasks_alone(name: str) -> None:
    ablation, paper = load(name), load(PAPER[0])
    own = {"run_name", "description", "tasks", "max_steps"}
    assert ablation.model_dump(exclude=own) == paper.model_dump(exclude=own)
    assert {task.reward for task in ablation.tasks.values()} == {"strict" if "strict" in name else "smooth"}


def test_the_tiny_recipe_stops_its_warm_start_by_score_and_exact_match_of_every_task() -> None:
    tiny = load("tiny-cpu")
    assert tiny.warm_start is not None
    assert set(tiny.warm_start.thresholds) == set(tiny.tasks)
    assert all(one.score >= 0.5 and one.exact >= 0.15 for one in tiny.warm_start.thresholds.values())
    assert tiny.eval_limit * REQUIRED_PASSES >= 192, "one validation alone may be luck"


@pytest.mark.parametrize(
    ("text", "message", "place", "hint"),
    [
        (f"{HEAD}tasks:\n  a: {{wieght: 2}}\n", "unknown key 'tasks.a.wieght'", ":4:7", "'weight'"),
        (f"{HEAD}{TASK}num_generation: 8\n", "unknown key 'num_generation'", ":4:1", "'num_generations'"),
        (f"{HEAD}{TASK}finetuning: {{lora_k: 8}}\n", "unknown key 'finetuning.lora_k'", ":4:14", "'lora_r'"),
        (f"run_name: t\nmax_steps: 0\n{TASK}", "max_steps: ", ":2:1", None),
        (f"run_name: t\n{TASK}", "the key 'max_steps' is missing", ":1:1", None),
        (f"{HEAD}warmup_steps: 4\n{TASK}", "warmup_steps is 4 of 3 steps", ":1:1", None),
        (
            f"{HEAD}tasks: {{a: {{}}, b: {{}}}}\n"
            "warm_start: {max_steps: 5, thresholds: {a: {score: 0.6, exact: 0.2}}}\n",
            "'b' is in one",
            ":1:1",
            None,
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(
    text: str, message: str, place: str, hint: str | None, tmp_path: Path
) -> None:
    error = refused(tmp_path, text)
    assert message in error.message
    assert (error.where or "").endswith(f"c.yaml{place}")
    assert hint is None or hint in (error.hint or "")


def test_a_recipe_that_is_none_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(ViubenchError) as caught:
        load("tiny-gpu")
    assert caught.value.hint == "did you mean 'tiny-cpu'?"
    with pytest.raises(ViubenchError, match=r"cannot read none\.yaml"):
        load("none.yaml")


@pytest.mark.parametrize(
    "change",
    [{"temperature": 0}, {"num_generations": 1}, {"learning_rate": "nan"}, {"learning_rate": 0}, {"beta": -1},
     {"epsilon": 0}, {"seed": -1}, {"min_lr_ratio": 1.1}, {"max_grad_norm": "inf"}, {"tasks": {}},
     {"tasks": {"a": {"weight": 0}}}, {"dtype": "float16"}, {"save_steps": 0}, {"run_name": "../t"},
     {"finetuning": {"lora_target_modules": []}}, {"loss_type": "ppo"}, {"report_to": ["wandbs"]},
     {"dynamic_sampling": "drop"}, {"length_penalty": 1.5}, {"checks": {"patience": -1}}, {"num_iterations": 0}],
    ids=str,
)  # fmt: skip
def test_numbers_have_bounds(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**change)


def test_the_hash_knows_what_decides_the_weights_and_nothing_else() -> None:
    same = [
        {"run_name": "u"}, {"description": "d"}, {"items": {"train": "x"}}, {"save_steps": 3},
        {"checks": {"on_collapse": "stop"}}, {"harness_eval": {"eval_steps": 5}}, {"log_completions": 0},
        {"report_to": []}, {"save_total_limit": 9}, {"save_best": False},
    ]  # fmt: skip
    memory = [
        {"micro_batch_size": 2}, {"gradient_checkpointing": True}, {"max_steps": 11},
    ]  # fmt: skip
    less = {"engine": "vllm", "engine_args": {"gpu_memory_utilization": 0.2}}
    other: list[dict[str, Any]] = [
        {"seed": 1}, {"learning_rate": 0.1}, {"model": "m"}, {"finetuning": {"lora_r": 2}}, {"eval_limit": 3},
        {"loss_type": "cispo"}, {"epsilon_high": 0.28}, {"num_iterations": 2}, {"mini_batch_size": 32}, {"bf16": True},
        {"importance_sampling_level": "sequence"}, {"dynamic_sampling": "skip"}, {"soft_punish_cache": 9},
        {"length_penalty": 0.1}, {"mask_truncated_completions": True}, {"trl": {"optim": "adamw_8bit"}},
        {"finetuning": {"type": "lora", "load_in_4bit": True}},
    ]  # fmt: skip
    assert {config(**change).hash() for change in same} == {config().hash()}
    assert {config(**change).hash() for change in memory} == {config().hash()}, "what an out-of-memory asks for"
    assert config(rollout=less).hash() == config(rollout={"engine": "vllm"}).hash() != config().hash()
    assert len({config(**change).hash() for change in [{}, *other]}) == len(other) + 1


def test_the_command_line_replaces_what_it_gives_and_nothing_else() -> None:
    file = config(model="m", items={"train": "a", "validation": "b"})
    assert file.override() == file
    given = file.override(model="n", validation="c", videos="v")
    assert given == config(model="n", items={"train": "a", "validation": "c", "videos": "v"})


def test_the_allowed_gap_depends_on_the_number_format() -> None:
    adapters = {"type": "lora"}
    assert config().max_logprob_gap < config(dtype="bfloat16", finetuning=adapters).max_logprob_gap
    assert config(bf16=True).max_logprob_gap == config(dtype="bfloat16", finetuning=adapters).max_logprob_gap
    assert config(checks={"max_logprob_gap": 0.5}).max_logprob_gap == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "bfloat16"}, "take dtype: float32 with bf16: true"),
        ({"finetuning": {"load_in_4bit": True}}, "load_in_4bit is for type: lora"),
        ({"finetuning": {"type": "lora", "fsdp": True}}, "fsdp is for type: full"),
        ({"train_batch_size": 8, "mini_batch_size": 3}, "mini_batch_size 3 does not divide 8 questions"),
        ({"train_batch_size": 8, "mini_batch_size": 16}, "mini_batch_size 16 does not divide 8 questions"),
        ({"num_iterations": 2, "save_steps": 3}, "save_steps must be a multiple of the 2 optimizer steps"),
        ({"train_batch_size": 8, "mini_batch_size": 2, "save_steps": 4, "eval_steps": 2}, "eval_steps must be"),
        ({"num_iterations": 2, "harness_eval": {"eval_steps": 3}}, "harness_eval.eval_steps must be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_together_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**change)


def test_bfloat16_weights_are_for_adapters_alone() -> None:
    """A step at the usual rates is lost to their rounding; frozen weights under an adapter do not move."""
    assert config(dtype="bfloat16", finetuning={"type": "lora"}).dtype == "bfloat16"
    assert config(bf16=True).dtype == "float32"


def test_optimizer_steps_of_a_batch() -> None:
    assert config().steps_per_batch == 1
    several = {"train_batch_size": 8, "mini_batch_size": 2, "num_iterations": 3, "save_steps": 12}
    assert config(**several).steps_per_batch == 12
