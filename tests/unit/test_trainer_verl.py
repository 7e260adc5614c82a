"""What is handed to verl: rows in its schema, the pixels the runner shows, our rewards, and a fixed configuration."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pyarrow import parquet

from evaluators import Question
from trainer import verl, verl_reward
from viubench import planning, tiny
from viubench.cli.export_verl import verl as command
from viubench.errors import ViubenchError
from viubench.gather import Wishes
from viubench.planning import Planned
from viubench.runner import clip_wants, shown
from viubench.tasks import Catalogue
from viubench.video.store import FrameStore

GOLDEN = Path(__file__).parent / "golden" / "verl_overrides.txt"
TASKS = "viubench_ground_mirror,viubench_count_easy,viubench_jigsaw_easy"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return FrameStore(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("handed")


@pytest.fixture(scope="module")
def planned(clips: Path, folder: Path, store: FrameStore) -> Planned:
    wishes = Wishes(TASKS, clips, protocol="viubench-128", limit=2)
    return planning.plan(wishes, Catalogue(), folder, store, verl.MULTIPLE)


@pytest.fixture(scope="module")
def rows(planned: Planned, folder: Path, store: FrameStore) -> list[dict[str, Any]]:
    written = verl.export(planned, folder, store)
    assert written.rows == 6
    assert written.too_long == ()
    table: list[dict[str, Any]] = parquet.read_table(written.parquet).to_pylist()
    return table


def test_rows_have_the_schema_and_one_mark_per_video(rows: list[dict[str, Any]]) -> None:
    assert [row["extra_info"]["index"] for row in rows] == list(range(6))
    for row in rows:
        assert set(row) == {"data_source", "prompt", "videos", "ability", "reward_model", "extra_info"}
        (turn,) = row["prompt"]
        assert turn["role"] == "user"
        assert turn["content"].count("<video>") == len(row["videos"]) > 0
        assert row["reward_model"]["style"] == "rule"
    assert {len(row["videos"]) for row in rows} == {1, 6}


def test_pictures_are_the_runner_s_pixels(rows: list[dict[str, Any]], planned: Planned, store: FrameStore) -> None:
    samples = {sample.id: sample for sample in planned.plan.samples}
    for row in rows:
        sample = samples[row["extra_info"]["id"]]
        videos = shown(sample, [store.get(c, r, s, z) for r, c, s, z in clip_wants(sample, planned.plan)])
        assert len(videos) == len(row["videos"])
        for video, written in zip(videos, row["videos"], strict=True):
            read = [cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB) for path in written["video"]]
            assert np.array_equal(np.stack(read), video.pixels)
            assert written["max_pixels"] == written["min_pixels"] == read[0].shape[0] * read[0].shape[1]
            told = video.times[0] + np.arange(len(video)) / written["sample_fps"]
            assert np.abs(told - np.array(video.times)).max() < 0.05


def test_the_true_answer_earns_one_on_the_pictures_clock(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        truth = row["reward_model"]["ground_truth"]
        result = verl_reward.compute_score(row["data_source"], row["extra_info"]["answer"], truth, row["extra_info"])
        assert result == pytest.approx({"score": 1, "exact": 1, "parsed": 1})
        if "ground" in row["data_source"]:
            params = json.loads(truth)["params"]
            fps = row["videos"][0]["sample_fps"]
            assert params["times"][0] == 0
            assert json.loads(truth)["target"][0] == pytest.approx(params["segment"][0] / fps, abs=0.15)


def answers(kind: str, dice: random.Random) -> str:
    low, high = sorted(round(dice.uniform(0, 9), 1) for _ in range(2))
    order = "".join(str(clip) for clip in dice.sample(range(1, 7), 6))
    counts = ", ".join(f"{shape}: {dice.randint(0, 5)}" for shape in ("circle", "triangle", "square"))
    return (
        {
            "ground": f"{low}-{high}",
            "jigsaw": order,
            "count": counts,
        }[kind]
        if dice.random() < 0.8
        else dice.choice(["", "I cannot say.", f"The answer is {order}", f"{high}-{low}", counts])
    )


def test_a_thousand_rewards_equal_the_evaluator_s(rows: list[dict[str, Any]], planned: Planned) -> None:
    dice = random.Random(0)
    seen: dict[str, set[float]] = {}
    for number in range(1000):
        row = rows[number % len(rows)]
        task, text = row["extra_info"]["task"], row["reward_model"]["ground_truth"]
        truth = json.loads(text)
        item = Question(truth["target"], tuple(truth["options"]), truth["params"])
        evaluator = planned.plan.graders[task]
        answer = answers(task.split("_")[1], dice) if dice.random() < 0.9 else row["extra_info"]["answer"]
        expected = evaluator.reward(evaluator.parse(answer, item), item)
        result = verl_reward.compute_score(row["data_source"], answer, text)
        assert result["score"] == expected
        strict = json.dumps(truth | {"kind": "strict"})
        assert verl_reward.compute_score(row["data_source"], answer, strict)["score"] == float(expected > 1 - 1e-9)
        seen.setdefault(task, set()).add(round(expected, 3))
    assert len(seen) == 3
    assert all(len(values) >= 5 and {0.0, 1.0} <= values for values in seen.values())


def test_the_copied_file_works_alone(rows: list[dict[str, Any]], folder: Path, tmp_path: Path) -> None:
    row = rows[0]
    call = [row["data_source"], row["extra_info"]["answer"], row["reward_model"]["ground_truth"]]
    code = (
        "import importlib.util, json, sys\n"
        f"spec = importlib.util.spec_from_file_location('custom', {str(folder / 'verl_reward.py')!r})\n"
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
        ("shuffled", TRUTH, "unknown data_source 'shuffled'"),
        ("viubench/order", "{", "not JSON"),
        ("viubench/order", [1], "not an object"),
        ("viubench/order", {"task": "order"}, "not an object with"),
        ("viubench/order", TRUTH | {"kind": "soft"}, "smooth or strict"),
        ("viubench/order", TRUTH | {"target": [1, 1]}, "not a permutation"),
        ("viubench/order", TRUTH | {"evaluator": {"name": "permutatoin", "params": {}}}, "did you mean permutation"),
    ],
)
def test_an_unknown_source_or_a_damaged_truth_is_said(source: str, truth: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        verl_reward.compute_score(source, "213", truth if isinstance(truth, str) else json.dumps(truth))


def test_too_long_prompts_are_left_out_and_named(planned: Planned, tmp_path: Path, store: FrameStore) -> None:
    with pytest.raises(ViubenchError, match="no question is left: 6 of 6"):
        verl.export(planned, tmp_path, store, max_prompt=100)


def test_control_text_of_a_question_is_data() -> None:
    assert verl.content("<video>\nWhat is <image> or <video>?", 1) == "<video>\nWhat is < image> or < video>?"


def rendered(**changes: Any) -> list[str]:
    root = Path("/handed")
    return verl.overrides(
        {**verl.PAPER, **changes}, train=root / "train.parquet", reward=root / "verl_reward.py", out=root / "out",
        rows=30_000,
    )  # fmt: skip


def test_the_paper_s_overrides_are_those_of_the_golden_file() -> None:
    assert rendered() == GOLDEN.read_text().splitlines()


def test_overrides_follow_the_configuration() -> None:
    lines = rendered(update={"kind": "lora", "rank": 8, "alpha": 16}, vision="frozen", kl=0.0, steps=1000)
    for line in ("model.lora_rank=8", "actor.freeze_vision_tower=true", "actor.use_kl_loss=false"):
        assert f"actor_rollout_ref.{line}" in lines
    assert "trainer.total_epochs=3" in lines
    with pytest.raises(ViubenchError, match="end of an epoch of 468 steps"):
        rendered(steps=1000, save={"every": 234})
    with pytest.raises(ViubenchError, match="fewer than the 40000 of one step"):
        rendered(groups=40_000)


def test_the_command_writes_all_there_is_to_start(
    clips: Path, tmp_path: Path, store: FrameStore, capsys: pytest.CaptureFixture[str]
) -> None:
    command("viubench_jigsaw_easy", tmp_path, videos=clips, limit=2, groups=1, reward="strict", protocol="viubench-128",
            frame_cache=store.root, quiet=True)  # fmt: skip
    assert "2 questions in" in capsys.readouterr().out
    (row, _) = parquet.read_table(tmp_path / "train.parquet").to_pylist()
    assert json.loads(row["reward_model"]["ground_truth"])["kind"] == "strict"
    assert (
        f"reward.custom_reward_function.path={tmp_path / 'verl_reward.py'}" in (tmp_path / "overrides.txt").read_text()
    )


def test_the_processor_leaves_the_pixels_when_told_so(tmp_path: Path) -> None:
    """What `data.mm_processor_kwargs` is for: Qwen3-VL's own limits would enlarge these frames."""
    transformers = pytest.importorskip("transformers")
    tiny.write(tmp_path / "tiny")
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "tiny")
    patch = processor.video_processor.patch_size
    frames = np.zeros((4, 3, 2 * verl.MULTIPLE, 3 * verl.MULTIPLE), np.uint8)
    told = processor.video_processor(videos=[frames], do_resize=False, do_sample_frames=False, return_tensors="np")
    assert told["video_grid_thw"].tolist() == [[2, 64 // patch, 96 // patch]]


def test_verl_s_own_dataset_and_configuration_take_it(rows: list[dict[str, Any]], folder: Path) -> None:
    rl_dataset = pytest.importorskip("verl.utils.dataset.rl_dataset", reason="verl has an environment of its own")
    hydra = pytest.importorskip("hydra", reason="verl has an environment of its own")
    verl_trainer = pytest.importorskip("verl.trainer", reason="verl has an environment of its own")
    with hydra.initialize_config_dir(str(Path(verl_trainer.__file__).parent / "config"), version_base=None):
        config = hydra.compose("ppo_trainer", rendered())
    assert config.data.image_patch_size == 16
    assert config.data.mm_processor_kwargs.do_resize is False
    data = rl_dataset.RLHFDataset(str(folder / "train.parquet"), None, config.data, processor=object())
    assert len(data) == len(rows)
    for number, row in enumerate(rows):
        (turn,) = data[number]["raw_prompt"]
        assert [p["video"] for p in turn["content"] if p["type"] == "video"] == [v["video"] for v in row["videos"]]
