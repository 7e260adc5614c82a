"""Training questions: a step's batch follows from (seed, step), splits share no video, frames are the harness's own."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import TrainConfig
from trainer.dataset import Questions, mixture
from viubench.datasets import pretext_items
from viubench.errors import ViubenchError
from viubench.pretext.build import build
from viubench.runner import pipeline
from viubench.runner.config import EvalConfig
from viubench.runner.plan import Plan
from viubench.runner.protocols import protocol_of
from viubench.schema import Recipe, RecipeEntry, Resize, Sampling, Task
from viubench.tasks.registry import Catalogue
from viubench.video import synthetic
from viubench.video.frame_cache import FrameCache
from viubench.video.loader import Media
from viubench.video.process_pool import KillablePool

CHECK = Resize(max_pixels=96 * 96, min_pixels=64 * 64)
SIZES = {"mirrored": 6, "counted": 4, "cut": 5}


def task(name: str, kind: str, evaluator: str, question: str = "<video> Which?", **params: Any) -> Task:
    data = {"task": name, "domain": "test", "question": question, "metric": "m", "protocol": "viubench-128"}
    return Task.model_validate(data | {"pretext": {"kind": kind, "params": params}, "evaluator": {"name": evaluator}})


TASKS = {
    one.task: one
    for one in (
        task("mirrored", "ground", "temporal_iou", perturb=["mirror", "swap", "noise"], length=[3, 6]),
        task("counted", "count", "shape_counts", max_frames=1, max_instances=2, min_gap=1),
        task("cut", "jigsaw", "permutation", "{clips}", n=4),
    )
}


def made(videos: Path, out: Path, store: FrameCache, sizes: dict[str, int] = SIZES) -> Path:
    entries = [RecipeEntry(task=name, n=n) for name, n in sizes.items()]
    recipe = Recipe(recipe="test", sampling=Sampling(frames=16), check=CHECK, items=entries)
    build(recipe, TASKS, videos, out, cache=store)
    return out


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `a` and `b` of equally named clips of other scenes, `items-a` and `items-b` built from them."""
    folder = tmp_path_factory.mktemp("world")
    for seed, name in enumerate("ab"):
        synthetic.draw(folder / name, 2, seed, seconds=3, size=(128, 96))
        made(folder / name, folder / f"items-{name}", FrameCache(folder / "frames"))
    return folder


def config(world: Path, **more: Any) -> TrainConfig:
    tasks = {"mirrored": {"weight": 3}, "counted": {"weight": 1}, "cut": {"weight": 2}}
    items = {"train": str(world / "items-a"), "validation": str(world / "items-b")}
    data: dict[str, Any] = {"run_name": "t", "tasks": tasks, "items": items, "max_steps": 9, "train_batch_size": 6}
    return TrainConfig.model_validate(data | more)


def read(world: Path, tests: tuple[Path, ...] = (), **more: Any) -> Questions:
    return Questions.read(config(world, **more), Catalogue(), FrameCache(world / "frames"), tests=tests)


def refused(world: Path, **more: Any) -> ViubenchError:
    with pytest.raises(ViubenchError) as caught:
        read(world, **more)
    return caught.value


def items(train: Path, validation: Path, **more: str) -> dict[str, Any]:
    return {"items": {"train": str(train), "validation": str(validation)} | more}


def copied(folder: Path, to: Path, videos: Path) -> Path:
    """A build folder copied, its videos lying elsewhere."""
    shutil.copytree(folder, to)
    about = json.loads((to / "build.json").read_bytes())
    (to / "build.json").write_text(json.dumps(about | {"videos_root": str(videos)}))
    return to


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]


def write_lines(folder: Path, lines: list[dict[str, Any]]) -> None:
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


# --- batches ----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), steps=st.lists(st.integers(0, 300), min_size=1, max_size=4))
def test_a_batch_follows_from_seed_and_step_alone(world: Path, seed: int, steps: list[int]) -> None:
    one = read(world, seed=seed)
    asked = {step: one.batch(step) for step in steps}
    for step in reversed(steps):
        assert read(world, seed=seed).batch(step) == asked[step]


def test_other_seeds_steps_and_streams_ask_otherwise(world: Path) -> None:
    batches = [read(world, seed=seed).batch(step) for seed in (0, 1) for step in (0, 1)]
    assert len({tuple(sample.id for sample in batch) for batch in batches}) == 4
    questions = read(world)
    streams = [[questions.draw(stream, "mirrored", number).id for number in range(12)] for stream in ("x", "y")]
    assert streams[0] != streams[1]


def test_a_batch_has_the_weights_shares(world: Path) -> None:
    questions = read(world)
    for step in range(20):
        assert Counter(s.task for s in questions.batch(step)) == {"mirrored": 3, "counted": 1, "cut": 2}
    assert len(read(world, train_batch_size=4).batch(0)) == 4


@settings(max_examples=50)
@given(weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=6), draws=st.integers(1, 400))
def test_no_task_is_a_whole_draw_ahead_of_its_share(weights: list[float], draws: int) -> None:
    named = {f"t{k}": weight for k, weight in enumerate(weights)}
    drawn = list(islice(mixture(named), draws))
    counts = Counter(name for name, _ in drawn)
    for name, weight in named.items():
        assert counts[name] - draws * weight / sum(weights) < 1 + 1e-9
        assert [number for other, number in drawn if other == name] == list(range(counts[name]))


def test_every_item_comes_once_an_epoch_and_in_another_order_in_the_next(world: Path) -> None:
    questions = read(world)
    asked = [sample for step in range(40) for sample in questions.batch(step)]
    for name, size in SIZES.items():
        ids = [sample.id for sample in asked if sample.task == name]
        epochs = [ids[start : start + size] for start in range(0, len(ids) - size + 1, size)]
        if name == "mirrored":  # three a batch, six in all: epochs end where batches do, though not in draw order
            assert all(set(epoch) == set(epochs[0]) and len(set(epoch)) == size for epoch in epochs)
            assert len({frozenset(epoch[:3]) for epoch in epochs}) > 2, "the items of a batch change too"
        assert max(Counter(ids).values()) - min(Counter(ids).values()) <= 1
        assert len(Counter(ids)) == size


def test_limit_leaves_the_first_items_of_a_task(world: Path) -> None:
    tasks = {"mirrored": {"limit": 2}, "cut": {"limit": 99}}
    questions = read(world, tasks=tasks)
    everything = pretext_items.read(world / "items-a", Catalogue(), questions.store).samples
    first = [sample.id for sample in everything if sample.task == "mirrored"][:2]
    assert Counter(s.task for s in questions.train.samples) == {"mirrored": 2, "cut": 5}
    assert {s.id for step in range(9) for s in questions.batch(step) if s.task == "mirrored"} == set(first)
    assert set(questions.evaluators) == {"mirrored", "cut"}


def test_validation_is_the_first_items_of_each_task(world: Path) -> None:
    questions = read(world)
    assert Counter(s.task for s in questions.validation()) == SIZES
    assert [s.task for s in questions.validation(2)] == ["mirrored"] * 2 + ["counted"] * 2 + ["cut"] * 2
    assert not {s.id for s in questions.validation()} & {s.id for s in questions.train.samples}


def test_the_hash_tells_items_apart_and_not_where_they_lie(world: Path, tmp_path: Path) -> None:
    swapped = read(world, **items(world / "items-b", world / "items-a"))
    assert read(world).hash() != swapped.hash()
    assert read(world).hash() != read(world, tasks={"cut": {}}).hash()
    shutil.copytree(world / "a", tmp_path / "a")
    folder = copied(world / "items-a", tmp_path / "items-a", tmp_path / "a")
    assert read(world, **items(folder, world / "items-b")).hash() == read(world).hash()


# --- refusals ---------------------------------------------------------------------------------------------------


def test_splits_that_share_a_file_are_refused_by_its_path(world: Path, tmp_path: Path) -> None:
    folder = copied(world / "items-a", tmp_path / "again", world / "a")
    kept = [line for line in lines_of(folder) if line["video"] == "clip-01.mp4" and "other" not in line["params"]]
    for line in kept:
        line["params"]["content"] = "0" * 32  # so that only the path can tell
    write_lines(folder, kept)
    tasks = {item["task"]: {} for item in kept}
    error = refused(world, tasks=tasks, **items(world / "items-a", folder))
    assert error.message.endswith("the training and the validation items share a source video: clip-01.mp4")


def test_splits_that_share_equal_bytes_are_refused_wherever_they_lie(world: Path, tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    shutil.copy(world / "a" / "clip-01.mp4", tmp_path / "copies" / "renamed.mp4")
    folder = made(tmp_path / "copies", tmp_path / "copied", FrameCache(world / "frames"), {"cut": 1, "counted": 1})
    tasks: dict[str, Any] = {"cut": {}}
    error = refused(world, tasks=tasks, **items(world / "items-a", folder))
    assert "share a source video: renamed.mp4 (there clip-01.mp4)" in error.message
    error = refused(world, tests=(folder,))
    assert f"the training and the test ({folder}) items share" in error.message
    with pytest.raises(ViubenchError, match="the validation and the test"):
        read(world, tests=(world / "items-b",))


def test_a_folder_is_no_validation_of_itself(world: Path) -> None:
    assert "share a source video: clip-0" in refused(world, **items(world / "items-a", world / "items-a")).message


def test_a_task_without_items_is_refused(world: Path) -> None:
    error = refused(world, tasks={"cut": {}, "guessed": {}})
    assert error.message == "there is no item of guessed"
    assert "mirrored" in (error.hint or "")
    assert "validation items" in refused(world, items={"train": str(world / "items-a")}).message


def test_an_item_without_an_answer_is_refused_by_name(world: Path, tmp_path: Path) -> None:
    folder = copied(world / "items-a", tmp_path / "items-a", world / "a")
    lines = lines_of(folder)
    lines[2]["answer"] = ""
    write_lines(folder, lines)
    error = refused(world, **items(folder, world / "items-b"))
    assert lines[2]["id"] in (error.where or "")


def test_a_task_has_one_evaluator(world: Path, tmp_path: Path) -> None:
    folder = copied(world / "items-b", tmp_path / "items-b", world / "b")
    about = json.loads((folder / "build.json").read_bytes())
    about["tasks"]["cut"]["evaluator"] = {"name": "shape_counts"}
    (folder / "build.json").write_text(json.dumps(about))
    write_lines(folder, [line | ({"answer": "1,2,3"} if line["task"] == "cut" else {}) for line in lines_of(folder)])
    assert "cut has another evaluator" in refused(world, **items(world / "items-a", folder)).message


def test_a_missing_video_is_told_before_the_training_begins(world: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    folder = copied(world / "items-a", tmp_path / "items-a", tmp_path / "a")
    error = refused(world, **items(folder, world / "items-b"))
    assert "clip-0" in error.message
    assert "items.videos" in (error.hint or "")


def test_videos_says_where_they_lie_now(world: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copy(world / name / "clip-00.mp4", tmp_path / f"{name}.mp4")
    folders = []
    for name in "ab":
        folder = copied(world / f"items-{name}", tmp_path / f"items-{name}", tmp_path / "gone")
        lines = [line for line in lines_of(folder) if line["video"] == "clip-00.mp4" and line["task"] == "cut"]
        write_lines(folder, [line | {"video": f"{name}.mp4"} for line in lines])
        folders.append(folder)
    questions = read(world, tasks={"cut": {}}, **items(*folders, videos=str(tmp_path)))
    assert len(questions.videos(questions.batch(0)[0])) == 4


# --- frames -----------------------------------------------------------------------------------------------------


def test_the_frames_are_those_a_run_of_the_harness_shows(world: Path, tmp_path: Path) -> None:
    questions, catalogue = read(world, protocol="viubench-256"), Catalogue()
    store = FrameCache(tmp_path / "cold")
    built = pretext_items.read(world / "items-a", catalogue, store)
    options = EvalConfig(protocol="viubench-256")
    seen = {name: protocol_of(options, catalogue, one.protocol, None, one) for name, one in built.tasks.items()}
    plan = Plan(built.samples, seen, {}, dict.fromkeys(built.tasks, built.videos))
    kinds = Counter[int]()
    with KillablePool(1, 60) as pool:
        media = Media(store, pool)
        for sample in built.samples:
            theirs = pipeline.shown(sample, asyncio.run(pipeline.load(sample, plan, media)))
            ours = questions.videos(sample)
            assert [video.times for video in ours] == [video.times for video in theirs]
            assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(ours, theirs, strict=True))
            kinds[len(ours)] += 1
    assert kinds == {1: SIZES["mirrored"] + SIZES["counted"], 4: SIZES["cut"]}


def test_validation_frames_come_from_the_validation_videos(world: Path) -> None:
    questions = read(world)
    for sample in questions.validation(1):
        assert questions.videos(sample)[0].source == sample.params["content"]


def test_a_video_that_changed_since_the_build_is_refused(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "a", tmp_path / "a")
    questions = read(world, **items(copied(world / "items-a", tmp_path / "items-a", tmp_path / "a"), world / "items-b"))
    sample = questions.batch(0)[0]
    shutil.copy(world / "b" / "clip-00.mp4", tmp_path / "a" / sample.clips[0].path)
    with pytest.raises(ViubenchError, match="changed") as caught:
        questions.videos(sample)
    assert sample.id in (caught.value.where or "")
