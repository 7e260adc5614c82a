"""What is handed to verl, without verl: rows, pixels, rewards and options, against what verl itself made of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import verl_exports
from pyarrow import parquet
from typer.testing import CliRunner

from trainer.config import TrainConfig, load, recipe_names
from trainer.dataset import Questions
from trainer.verl import export, frames, launch, reward
from trainer.verl.export import hydra_value, overrides
from viubench.cli import app
from viubench.engines.hf import encode
from viubench.errors import ViubenchError
from viubench.system import verl_doctor
from viubench.video.frame_cache import FrameCache

GOLDEN = verl_exports.GOLDEN / "overrides.json"


@pytest.fixture(scope="module")
def world(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    verl_exports.items(clips, root / "items", FrameCache(root / "frames"))
    return root


@pytest.fixture(scope="module")
def questions(world: Path) -> Questions:
    return verl_exports.questions(world / "items", FrameCache(world / "frames"))


@pytest.fixture(scope="module")
def written(questions: Questions, world: Path) -> export.VerlExport:
    return export.export(questions, world / "handed")


@pytest.fixture(scope="module")
def rows(written: export.VerlExport) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = parquet.read_table(written.parquet).to_pylist()
    return table


# --- rows -------------------------------------------------------------------------------------------------------


def test_rows_are_the_questions_of_every_step_in_order(rows: list[dict[str, Any]], questions: Questions) -> None:
    asked = [sample.id for step in range(2) for sample in questions.batch(step)]
    assert [row["extra_info"]["id"] for row in rows] == asked
    for number, row in enumerate(rows):
        assert set(row) == {"data_source", "prompt", "videos", "ability", "reward_model", "extra_info"}
        (turn,) = row["prompt"]
        assert turn["role"] == "user"
        assert turn["content"].count("<video>") == len(row["videos"]) > 0
        assert row["extra_info"]["index"] == number
        kind = "strict" if "count" in row["data_source"] else "smooth"
        assert json.loads(row["reward_model"]["ground_truth"])["kind"] == kind
    assert {len(row["videos"]) for row in rows} == {1, 6}


def test_a_row_shows_the_runner_s_videos(rows: list[dict[str, Any]], questions: Questions) -> None:
    for row, (sample, shown) in zip(rows, verl_exports.asked(questions, 2), strict=True):
        assert [one["place"] for one in row["videos"]] == list(range(len(shown)))
        (told,) = {one["video"] for one in row["videos"]}
        read = frames.videos(told, str(questions.store.root))
        for ours, theirs in zip(shown, read, strict=True):
            assert np.array_equal(theirs.pixels, ours.pixels), sample.id
            assert (theirs.times, theirs.indices) == (ours.times, ours.indices)


def test_a_node_without_the_frames_decodes_them(
    rows: list[dict[str, Any]], questions: Questions, tmp_path: Path
) -> None:
    told = rows[0]["videos"][0]["video"]
    (kept, *_), (decoded, *_) = (frames.videos(told, str(root)) for root in (questions.store.root, tmp_path / "own"))
    assert np.array_equal(kept.pixels, decoded.pixels)
    assert list((tmp_path / "own").glob("*.frames"))


def test_answers_that_ask_at_once_read_a_question_once(
    rows: list[dict[str, Any]], questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames._read.cache_clear()
    reads: list[str] = []
    read = frames.FrameSource.read

    def slow(self: frames.FrameSource, cache: FrameCache) -> Any:
        reads.append(self.root)
        time.sleep(0.05)
        return read(self, cache)

    monkeypatch.setattr(frames.FrameSource, "read", slow)
    told = rows[0]["videos"][0]["video"]
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda _: frames.videos(told, str(questions.store.root)), range(8)))
    assert len(reads) == 1
    assert all(one is shown[0] for one in shown)


def test_the_export_says_the_disk_it_takes_and_holds_no_frames(questions: Questions, tmp_path: Path) -> None:
    said: list[str] = []
    written = export.export(questions, tmp_path / "full", log=said.append)
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == [
        "train.parquet", "verl_agent.yaml", "verl_reward.py",
    ]  # fmt: skip
    assert written.parquet.stat().st_size < 12 * verl_doctor.BYTES_PER_ROW
    many = len({sample.id for sample, _ in verl_exports.asked(questions, 2)})
    assert said[0].startswith(f"{many} questions take at most 0 MB of questions in {tmp_path / 'full'} (")
    assert f"at most 0 MB of frames in {questions.store.root} (" in said[0], "they are there since the build"
    told = [frames.FrameSource.of(sample, questions.train) for sample, _ in verl_exports.asked(questions, 2)]
    clips = {one.selections[0]: one for one in told}
    many_bytes = sum(verl_exports.shown_bytes(one, questions.store) for one in clips.values())
    assert frames.missing_bytes(told, FrameCache(tmp_path / "empty")) == many_bytes > 1_000_000
    assert frames.missing_bytes(told, FrameCache(tmp_path / "empty", max_bytes=1000)) == 1000


def test_an_export_for_which_there_is_no_space_is_refused(
    questions: Questions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=100))
    with pytest.raises(ViubenchError, match="too little space: at most"):
        export.export(questions, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_true_answer_earns_one(rows: list[dict[str, Any]], questions: Questions) -> None:
    for row, (sample, _) in zip(rows, verl_exports.asked(questions, 2), strict=True):
        truth = row["reward_model"]["ground_truth"]
        told = reward.compute_score(row["data_source"], row["extra_info"]["answer"], truth, row["extra_info"])
        assert told == pytest.approx({"score": 1, "exact": 1, "parsed": 1})
        assert json.loads(truth)["params"] == json.loads(json.dumps(dict(sample.params)))


def test_a_prompt_that_may_be_too_long_is_refused_by_name(questions: Questions, tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="100") as raised:
        export.export(questions, tmp_path, max_prompt=100)
    assert raised.value.where


def test_control_text_of_a_question_is_data() -> None:
    assert export.content("<video>\nWhat is <image> or <video>?", 1) == "<video>\nWhat is < image> or < video>?"


def test_a_random_reward_is_not_handed_over(world: Path, tmp_path: Path) -> None:
    tasks = {name: {"weight": 1, "reward": "random"} for name in verl_exports.TASKS}
    asked = verl_exports.questions(world / "items", FrameCache(world / "frames"), tasks=tasks)
    with pytest.raises(ViubenchError, match="random reward cannot be exported to verl"):
        export.export(asked, tmp_path)


# --- rewards and inputs, against verl -----------------------------------------------------------------------------


def test_a_thousand_rewards_are_those_of_verl_s_reward_manager() -> None:
    golden = json.loads((verl_exports.GOLDEN / "rewards.json").read_text())
    assert len(golden) == len(verl_exports.ANSWERS) == 1000
    for answered, theirs in zip(verl_exports.ANSWERS, golden, strict=True):
        truth = {key: verl_exports.TRUTHS[answered.task][key] for key in ("evaluator", "target", "params")}
        told = [
            reward.compute_score(
                reward.PREFIX + answered.task, answered.text,
                json.dumps(truth | {"task": answered.task, "kind": kind, "options": []}), {"cut": answered.cut},
            )
            for kind in ("smooth", "strict")
        ]  # fmt: skip
        assert [told[0]["score"], told[1]["score"], told[0]["exact"], told[0]["parsed"]] == theirs, answered
    assert {0.0, 1.0} < {row[0] for row in golden}


def test_our_engine_s_prompt_is_the_one_verl_is_held_to(questions: Questions, tiny_model: Path) -> None:
    """`make test-verl` compares verl's prompts, and those of its vLLM, with the same tokens."""
    transformers = pytest.importorskip("transformers")
    processor = transformers.AutoProcessor.from_pretrained(tiny_model)
    for sample, shown in verl_exports.asked(questions, 2):
        inputs = encode(processor, sample.question, shown)
        assert inputs["input_ids"][0].tolist() == verl_exports.written_out(processor, sample.question, shown)


def test_the_copied_file_works_alone(rows: list[dict[str, Any]], written: export.VerlExport, tmp_path: Path) -> None:
    row = rows[0]
    call = [row["data_source"], row["extra_info"]["answer"], row["reward_model"]["ground_truth"]]
    code = (
        "import importlib.util, json, sys\n"
        f"spec = importlib.util.spec_from_file_location('custom', {str(written.reward)!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "score = module.compute_score(*json.load(sys.stdin), extra_info=None, more=1)\n"
        "print(json.dumps([score, [m for m in sys.modules if m.split('.')[0] in ('viubench', 'trainer', 'torch')]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(call), capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert json.loads(done.stdout) == [{"score": 1.0, "exact": 1.0, "parsed": 1.0}, []]


TRUTH = {
    "task": "order", "kind": "smooth", "evaluator": {"name": "permutation", "params": {}},
    "target": [2, 1, 3], "options": [], "params": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "truth", "says"),
    [
        ("shuffled", TRUTH, "ground_truth of shuffled: .*it is of 'order'"),
        ("viubench/order", "{", "JSONDecodeError"),
        ("viubench/order", [1], "list indices"),
        ("viubench/order", {"task": "order"}, "KeyError.'kind'"),
        ("viubench/order", TRUTH | {"kind": "soft"}, "KeyError.'soft'"),
        ("viubench/order", TRUTH | {"target": [1, 1]}, "not a permutation"),
        ("viubench/order", TRUTH | {"evaluator": {"name": "permutatoin", "params": {}}}, "did you mean permutation"),
    ],
)
def test_an_unknown_source_or_a_damaged_truth_is_said(source: str, truth: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        reward.compute_score(source, "213", truth if isinstance(truth, str) else json.dumps(truth))


# --- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", verl_exports.RECIPES)
def test_the_overrides_of_a_recipe_are_those_of_the_golden_file(recipe: str) -> None:
    """`make test-verl` composes the same lines with verl's own configuration."""
    lines = overrides(load(recipe), verl_exports.handed(), Path("/out"))
    assert lines == json.loads(GOLDEN.read_text())[recipe]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_handed_over_or_refused_for_a_reason(name: str) -> None:
    """A new recipe must be composed by verl (`verl_exports.RECIPES`), or be named here."""
    refused = {"tiny-cpu": "warm_start", "tiny-clips": "warm_start", "qwen3-vl-8b-1node": "finetuning.type"}
    if name in verl_exports.RECIPES:
        assert overrides(load(name), verl_exports.handed(), Path("/out"))
        return
    with pytest.raises(ViubenchError) as raised:
        overrides(load(name).override(model="m"), verl_exports.handed(), Path("/out"))
    assert raised.value.where == refused[name]


def test_texts_are_quoted_for_hydra() -> None:
    assert hydra_value(None) == "null"
    assert hydra_value(True) == "true"
    assert hydra_value("/plain/path-1.0") == "/plain/path-1.0"
    assert hydra_value('odd, "x" ${y}') == '"odd, \\"x\\" \\${y}"'


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"model": ""}, "model"),
        ({"bf16": False}, "bf16"),
        ({"loss_type": "cispo"}, "loss_type"),
        ({"scale_rewards": "batch"}, "scale_rewards"),
        ({"num_iterations": 2}, "num_iterations"),
        ({"trl": {"optim": "sgd"}}, "trl"),
        ({"finetuning": {"type": "lora"}}, "finetuning.type"),
        ({"train_batch_size": 63, "num_generations": 3}, "train_batch_size"),
        ({"warm_start": {"max_steps": 5, "thresholds": {"t": {"score": 0.9, "exact": 0.2}}}}, "warm_start"),
    ],
)
def test_what_verl_cannot_train_as_it_says_is_refused(changes: dict[str, Any], where: str) -> None:
    data: dict[str, Any] = {
        "run_name": "t",
        "model": "m",
        "bf16": True,
        "tasks": {"t": {"weight": 1}},
        "max_steps": 2,
        "train_batch_size": 64,
    }
    with pytest.raises(ViubenchError) as raised:
        overrides(TrainConfig.model_validate(data | changes), verl_exports.handed(), Path("/out"))
    assert raised.value.where == where


# --- commands -------------------------------------------------------------------------------------------------------


def recipe(world: Path, model: Path | str) -> Path:
    path = world / "train.yaml"
    path.write_text(
        f"run_name: t\nmodel: {model}\ntasks: {{viubench_jigsaw_easy: {{weight: 1}}}}\nprotocol: viubench-128\n"
        "max_steps: 2\ntrain_batch_size: 2\nnum_generations: 4\nbf16: true\n"
    )
    return path


def test_the_command_writes_all_there_is_to_start(world: Path, tmp_path: Path) -> None:
    words = ["export", "verl", "--config", recipe(world, "m"), "--items", world / "items", "--out", tmp_path,
             "--frame-cache", world / "frames", "--gpus", "1", "--quiet"]  # fmt: skip
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert "2 steps, 4 questions in" in done.output
    lines = (tmp_path / "overrides.txt").read_text()
    assert f"reward.custom_reward_function.path={tmp_path / 'verl_reward.py'}" in lines
    assert len(parquet.read_table(tmp_path / "train.parquet")) == 4


def test_a_dry_run_names_what_verl_s_environment_lacks(world: Path, tmp_path: Path) -> None:
    words = ["train", "--engine", "verl", "--config", recipe(world, "m"), "--items", world / "items", "--out", tmp_path,
             "--verl-python", sys.executable, "--gpus", "1", "--dry-run"]  # fmt: skip
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 1
    assert "verl" in done.output
    assert "not installed" in done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["export", "verl", "--config", "qwen3-vl-8b-1node"], "LoRA is not exported to verl"),
        (["export", "verl", "--config", "videossr-8xh200", "--gpus", "7"], "no multiple of micro-batches"),
        (["export", "verl", "--config", "videossr-8xh200"], "no folder of training items was given"),
        (["train", "--engine", "verl", "--config", "only-count", "--dry-run"], "no such interpreter: none was given"),
    ],
)
def test_mistakes_at_the_command_line_are_said(words: list[str], says: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path)], env={"VIUBENCH_VERL_PYTHON": ""})
    assert isinstance(done.exception, ViubenchError), done.output
    assert says in str(done.exception)
    assert not list(tmp_path.iterdir())


FAKE = """#!{python}
import pathlib, shutil, sys
words = sys.argv[1:]
log = pathlib.Path({log!r})
log.write_text((log.read_text() if log.exists() else "") + words[1] + "\\n")
if words[1] == "verl.trainer.main_ppo":
    home = pathlib.Path(next(w.partition("=")[2] for w in words if w.startswith("trainer.default_local_dir=")))
    (home / "global_step_2").mkdir(parents=True)
    (home / "latest_checkpointed_iteration.txt").write_text("{reached}")
else:
    shutil.copytree({model!r}, words[words.index("--target_dir") + 1])
"""
"""An interpreter that does what verl leaves behind, and nothing else."""


@pytest.mark.parametrize("reached", [2, 1])
def test_the_launcher_trains_merges_and_checks(
    reached: int, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, log = tmp_path / "python", tmp_path / "log"
    fake.write_text(FAKE.format(python=sys.executable, log=str(log), model=str(tiny_model), reached=reached))
    fake.chmod(0o755)
    monkeypatch.setattr(launch, "checks", lambda *_, **__: [])
    asked = verl_exports.questions(world / "items", FrameCache(world / "frames"), model=str(tiny_model))
    out = tmp_path / "out"
    said: list[str] = []
    if reached < 2:
        with pytest.raises(ViubenchError, match="verl ended after step 1 of 2"):
            launch.launch(asked, out, str(fake), gpus=1, log=said.append)
        assert not list(out.glob("checkpoint-*"))
        return
    finished = launch.launch(asked, out, str(fake), gpus=1, log=said.append)
    assert finished == out / "checkpoint-000002"
    assert (finished / "model.safetensors").is_file()
    assert log.read_text().split() == ["verl.trainer.main_ppo", "verl.model_merger"]
    assert launch.launch(asked, out, str(fake), gpus=1, log=said.append) == finished, "not done again"
    assert len(log.read_text().split()) == 2
    other = verl_exports.questions(world / "items", FrameCache(world / "frames"), model=str(tiny_model), seed=9)
    with pytest.raises(ViubenchError, match="holds a training with another config"):
        launch.launch(other, out, str(fake), gpus=1, log=said.append)
