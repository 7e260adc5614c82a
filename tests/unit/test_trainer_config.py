"""The training configuration: every recipe loads, every mistake is told with its place, the hash knows what matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trainer.config import TrainConfig, load, names
from trainer.sft import LOOKS
from viubench.errors import ViubenchError
from viubench.tasks.registry import Catalogue

LEAST: dict[str, Any] = {"train": "t", "tasks": {"a": {}}, "steps": 10}
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
    assert names() == sorted([*PAPER, "tiny-cpu", "qwen3-vl-8b-1node"])


@pytest.mark.parametrize("name", names())
def test_a_recipe_loads_names_what_there_is_and_claims_no_gpu_run(name: str) -> None:
    recipe, catalogue = load(name), Catalogue()
    assert recipe.train == name
    assert "run on a GPU" in recipe.description
    catalogue.protocol(recipe.protocol)
    if name != "tiny-cpu":
        assert all(catalogue.task(task).pretext for task in recipe.tasks)
        built = {entry.task: entry.n for entry in catalogue.recipe("videossr-30k").items}
        assert {task: mix.weight for task, mix in recipe.tasks.items()} == {task: built[task] for task in recipe.tasks}
        assert recipe.steps * recipe.groups <= sum(built[task] for task in recipe.tasks)


def test_the_paper_s_training_is_the_paper_s() -> None:
    paper = load("videossr-8xh200")
    assert (paper.lr, paper.kl, paper.groups, paper.rollouts, paper.max_tokens) == (1e-6, 1e-3, 64, 8, 2048)
    assert paper.update.kind == "full"
    assert paper.warm_start is None
    protocol = Catalogue().protocol(paper.protocol)
    assert (protocol.sampling.frames, protocol.resize.max_pixels) == (48, 256 * 256)


@pytest.mark.parametrize("name", PAPER[1:])
def test_an_ablation_differs_from_the_paper_s_training_in_its_tasks_alone(name: str) -> None:
    ablation, paper = load(name), load(PAPER[0])
    own = {"train", "description", "tasks", "steps"}
    assert ablation.model_dump(exclude=own) == paper.model_dump(exclude=own)
    assert {task.reward for task in ablation.tasks.values()} == {"strict" if "strict" in name else "smooth"}


def test_the_tiny_recipe_stops_its_warm_start_by_score_and_exact_match_of_every_task() -> None:
    tiny = load("tiny-cpu")
    assert tiny.warm_start is not None
    assert set(tiny.warm_start.marks) == set(tiny.tasks)
    assert all(mark.score >= 0.5 and mark.exact >= 0.15 for mark in tiny.warm_start.marks.values())
    assert tiny.evaluate.n * LOOKS >= 192, "one look alone may be luck"


@pytest.mark.parametrize(
    ("text", "message", "place", "hint"),
    [
        ("train: t\nsteps: 3\ntasks:\n  a: {wieght: 2}\n", "unknown key 'tasks.a.wieght'", ":4:7", "'weight'"),
        ("train: t\nsteps: 3\ntasks: {a: {}}\nrolouts: 8\n", "unknown key 'rolouts'", ":4:1", "'rollouts'"),
        ("train: t\nsteps: 3\ntasks: {a: {}}\nupdate: {rnk: 8}\n", "unknown key 'update.rnk'", ":4:10", "'rank'"),
        ("train: t\nsteps: 0\ntasks: {a: {}}\n", "steps: ", ":2:1", None),
        ("train: t\ntasks: {a: {}}\n", "the key 'steps' is missing", ":1:1", None),
        ("train: t\nsteps: 3\nwarm_up: 4\ntasks: {a: {}}\n", "warm_up is 4 of 3 steps", ":1:1", None),
        (
            "train: t\nsteps: 3\ntasks: {a: {}, b: {}}\nwarm_start: {steps: 5, marks: {a: {score: 0.6, exact: 0.2}}}\n",
            "only one names 'b'",
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
    [{"temperature": 0}, {"rollouts": 1}, {"lr": "nan"}, {"lr": 0}, {"kl": -1}, {"clip": 1}, {"seed": -1},
     {"final_lr": 1.1}, {"max_grad_norm": "inf"}, {"tasks": {}}, {"tasks": {"a": {"weight": 0}}},
     {"dtype": "float16"}, {"save": {"every": 0}}, {"train": "../t"}, {"update": {"targets": []}}],
    ids=str,
)  # fmt: skip
def test_numbers_have_bounds(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**change)


def test_the_hash_knows_what_decides_the_weights_and_nothing_else() -> None:
    same = [
        {"train": "u"}, {"description": "d"}, {"items": {"train": "x"}}, {"save": {"every": 3}},
        {"guards": {"alarm": "stop"}}, {"evaluate": {"harness": {"every": 5}}},
    ]  # fmt: skip
    other: list[dict[str, Any]] = [
        {"seed": 1}, {"lr": 0.1}, {"model": "m"}, {"steps": 11}, {"update": {"rank": 2}}, {"evaluate": {"n": 3}},
    ]  # fmt: skip
    assert {config(**change).hash() for change in same} == {config().hash()}
    assert len({config(**change).hash() for change in [{}, *other]}) == len(other) + 1


def test_the_command_line_replaces_what_it_gives_and_nothing_else() -> None:
    file = config(model="m", items={"train": "a", "validation": "b"})
    assert file.given() == file
    given = file.given(model="n", validation="c", videos="v")
    assert given == config(model="n", items={"train": "a", "validation": "c", "videos": "v"})


def test_the_allowed_gap_knows_the_number_format() -> None:
    assert config(dtype="float32").max_gap < config(dtype="bfloat16").max_gap
    assert config(guards={"max_gap": 0.5}).max_gap == 0.5
