"""What a training brought: recomputed here from the answers, and every promise broken once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import evaluators
from trainer.demo import acceptance
from trainer.demo.pipeline import demo_config, swap
from viubench.datasets import pretext_items
from viubench.errors import ViubenchError
from viubench.pretext.build import build
from viubench.schema import Item, Recipe, Record
from viubench.tasks.registry import Catalogue
from viubench.video import synthetic
from viubench.video.frame_cache import FrameCache

RECIPE = {
    "recipe": "few",
    "sampling": {"frames": 8, "middle": 1.0},
    "check": {"max_pixels": 1024, "min_pixels": 1024, "multiple": 32},
    "items": [{"task": name, "n": 70} for name in ("tiny_ground", "tiny_jigsaw", "tiny_count")],
}
GOOD: dict[str, Any] = {
    "warm": 0.6, "grpo": 0.8, "constant_floor": 0.4, "swapped_video": 0.42, "n": 512,
    "diff": {"mean": 0.2, "lo": 0.17, "hi": 0.23}, "exact": {"warm": 0.2, "grpo": 0.5},
    "distinct": {"warm": 50, "grpo": 40},
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    catalogue, recipe, store = Catalogue(), Recipe.model_validate(RECIPE), FrameCache(root / "frames")
    for seed, split in enumerate(("train", "test")):
        synthetic.draw(root / "clips" / split, 6, seed=seed, seconds=8, size=(64, 64), fps=4, dusk=True)
        clips = root / "clips" / split
        build(recipe, catalogue.tasks_of(recipe), clips, root / split, seed=0, workers=1, cache=store)
    swap(root / "test", root / "swapped")
    return root


def answered(world: Path, items: str, run: Path, right: float) -> Path:
    """A run that gives the true answer to a share of the items and "1234" to the others."""
    built = pretext_items.read(world / items, Catalogue(), FrameCache(world / "frames"))
    run.mkdir()
    lines = []
    for place, sample in enumerate(built.samples):
        text = sample.answer_text if place % 10 < 10 * right else "1234"
        record = Record(
            task=sample.task, id=sample.id, cluster=sample.cluster, status="ok", question=sample.question,
            response=text, finish_reason="stop", target=sample.target,
        )  # fmt: skip
        lines.append(record.model_dump_json() + "\n")
    (run / "records.jsonl").write_text("".join(lines))
    return run


def test_the_summary_is_what_the_answers_give(world: Path, tmp_path: Path) -> None:
    runs = {name: answered(world, "test", tmp_path / name, right) for name, right in
            (("base", 0.0), ("warm", 0.3), ("grpo", 0.9))}  # fmt: skip
    swapped = answered(world, "swapped", tmp_path / "swapped", 0.0)
    items = {split: world / split for split in ("train", "test", "swapped")}
    told = acceptance.summary(runs | {"swapped": swapped}, items, Catalogue(), FrameCache(world / "frames"))
    built = pretext_items.read(world / "test", Catalogue(), FrameCache(world / "frames"))
    for name, task in built.tasks.items():
        grader = evaluators.get(task.evaluator.name, **task.evaluator.params)
        found = {}
        for run, folder in runs.items():
            records = {r["id"]: r for r in map(json.loads, (folder / "records.jsonl").read_text().splitlines())}
            samples = [s for s in built.samples if s.task == name]
            found[run] = [grader.reward(grader.parse(records[s.id]["response"], s), s) for s in samples]
        one = told["tasks"][name]
        assert one["n"] == 70
        assert one["grpo"] == pytest.approx(fmean(found["grpo"]))
        gain = fmean(b - a for a, b in zip(found["warm"], found["grpo"], strict=True))
        assert one["diff"]["mean"] == pytest.approx(gain)
        assert one["diff"]["lo"] < gain < one["diff"]["hi"]
        assert one["exact"]["grpo"] == pytest.approx(fmean(value == 1 for value in found["grpo"]))
        assert one["grpo"] > one["constant_floor"] > 0
    assert told["n"] == 210
    assert told["diff"]["mean"] == pytest.approx(fmean(task["diff"]["mean"] for task in told["tasks"].values()))
    assert "tiny_jigsaw" in acceptance.table(told)


def test_an_item_without_a_record_is_an_error(world: Path, tmp_path: Path) -> None:
    run = answered(world, "test", tmp_path / "run", 1.0)
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    (run / "records.jsonl").write_text("".join(lines[:-1]))
    built = pretext_items.read(world / "test", Catalogue(), FrameCache(world / "frames"))
    with pytest.raises(ViubenchError, match="1 items have no record"):
        acceptance.rewards(run, built)


def test_swapped_items_keep_question_and_answer_and_show_another_video(world: Path) -> None:
    def read(split: str) -> list[Item]:
        return [Item.model_validate_json(line) for line in (world / split / "items.jsonl").read_text().splitlines()]

    for item, swapped in zip(read("test"), read("swapped"), strict=True):
        assert (item.task, item.question, item.answer) == (swapped.task, swapped.question, swapped.answer)
        assert item.params != swapped.params
    others = sum(item.video != swapped.video for item, swapped in zip(read("test"), read("swapped"), strict=True))
    assert others > 150, "nearly all of another clip"


def test_a_training_that_holds_its_promise_passes_and_any_breach_is_said() -> None:
    told = {"tasks": {name: copy.deepcopy(GOOD) for name in ("tiny_count", "tiny_jigsaw")}}
    assert acceptance.failures(told) == []
    breaches = {
        ("diff", "lo"): 0.02,
        ("exact", "grpo"): 0.27,
        ("grpo",): 0.59,
        ("swapped_video",): 0.6,
        ("distinct", "grpo"): 20,
    }
    for path, value in breaches.items():
        broken = copy.deepcopy(told)
        place = broken["tasks"]["tiny_jigsaw"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        found = acceptance.failures(broken)
        assert len(found) == 1
        assert found[0].startswith("tiny_jigsaw: ")


def test_a_control_differs_in_seed_and_reward_alone() -> None:
    plain, control = demo_config("tiny-cpu", 0, "smooth", warm=True), demo_config("tiny-cpu", 3, "random", warm=False)
    assert {mix.reward for mix in control.tasks.values()} == {"random"}
    assert control.warm_start is None
    assert plain.warm_start is not None
    same = {"seed", "tasks", "warm_start"}
    assert plain.model_dump(exclude=same) == control.model_dump(exclude=same)
