"""The ten faults of the paper's released scripts: for each a short proof that ours does not have it.

Most are tested at length elsewhere; here stands the short proof.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaluators
from evaluators import Question
from viubench.errors import MediaError
from viubench.pretext import build, generate
from viubench.pretext.published_rows import read_parquet
from viubench.runner.trials import drawn_clip
from viubench.schema import Clip, CountSpec, GroundSpec, JigsawSpec, Manifest, Record, Resize, Sampling
from viubench.scoring.aggregate import summarise
from viubench.scoring.grade import grade
from viubench.storage.run_dir import RunFolder, read_records
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput

SPECS = {"ground": GroundSpec, "count": CountSpec, "jigsaw": JigsawSpec}
INTERVAL = Question(target=[3.2, 8.1], params={"times": [0.0, 10.0]})


def draw(kind: str, seed: int = 0, **params: Any) -> generate.Drawn:
    """The first answerable question at or after `seed`."""
    for attempt in range(seed, seed + 50):
        drawn = generate.draw(SPECS[kind].model_validate({"params": params}), attempt, [drawn_clip(0)])
        if isinstance(drawn, generate.Drawn):
            return drawn
    raise AssertionError(f"no answerable {kind} question in 50 draws")


def manifest() -> Manifest:
    task = {
        "evaluator": {"name": "temporal_iou", "params": {}}, "metric": "miou", "scores": ["iou"], "items_hash": "i",
        "chance": 0.25, "blind": 0.3, "blind_statement": "",
    }  # fmt: skip
    return Manifest.model_validate(
        {
            "argv": [],
            "model": {"name": "m"},
            "engine": {"kind": "hf"},
            "tasks": {"t": task},
            "packages": {},
            "protocols": {"t": {"protocol": "p", "hash": "h"}},
            "seed": 0,
            "hardware": {},
            "started": "",
        }
    )


def test_1_a_jigsaw_row_named_shuffled_is_read_and_rewarded(tmp_path: Path) -> None:
    row = {
        "data_source": "shuffled",
        "prompt": [{"role": "user", "content": "<video><video><video> Which order?"}],
        "videos": [{"video": f"{part}.mp4"} for part in "abc"],
        "reward_model": {"style": "rule", "ground_truth": "312"},
        "extra_info": {"index": 0},
    }
    pd.DataFrame([row]).to_parquet(tmp_path / "rows.parquet")
    (sample,) = read_parquet(tmp_path / "rows.parquet")
    evaluator = evaluators.get("permutation")
    assert evaluator.reward(evaluator.parse("312", sample), sample) == 1
    assert 0 < evaluator.reward(evaluator.parse("321", sample), sample) < 1


def test_2_what_failed_stays_in_the_denominator() -> None:
    statuses = ("ok", "ok", "unparsed", "media_error", "engine_error", "refused", "truncated", "ok")
    records = [
        Record(task="t", id=str(k), cluster=str(k), status=status, scores={"iou": 1.0} if status == "ok" else {})
        for k, status in enumerate(statuses)
    ]
    result = summarise(records, manifest()).tasks["t"]
    assert result.n == 8
    assert result.value == pytest.approx(3 / 8)
    assert result.as_published == 1
    assert sum(result.statuses.values()) == 8


@pytest.mark.parametrize("text", ["The answer is B", "(B)", "**B.** It falls", "B"])
def test_3_a_choice_is_more_than_its_first_character(text: str) -> None:
    item = Question(target="B", options=("it rises", "it falls"))
    answer = evaluators.get("choice").parse(text, item)
    assert answer is not None
    assert answer.value == "B"


@pytest.mark.parametrize(
    "text", ["from 3.2 s to 8.1 s", "At 1-2 people, I see it from 3.2s until 8.1s", "00:03.2 - 00:08.1"]
)
def test_4_intervals_as_people_write_them(text: str) -> None:
    answer = evaluators.get("temporal_iou").parse(text, INTERVAL)
    assert answer is not None
    assert answer.value == [3.2, 8.1]


def test_4_reversed_ends_are_not_swapped_in_silence() -> None:
    assert grade("8.1-3.2", "stop", INTERVAL, evaluators.get("temporal_iou")).status == "unparsed"  # type: ignore[arg-type]


def test_5_timestamps_are_true_seconds_of_the_source(clips: Path, tmp_path: Path) -> None:
    clip = Clip(path=sorted(path.name for path in clips.iterdir())[0])
    video = FrameCache(tmp_path).get(clip, clips, Sampling(kind="even", frames=48, middle=0.9), Resize())
    assert video.times == pytest.approx([index / video.fps for index in video.indices], abs=1e-3)
    wanted = np.linspace(0.05, 0.95, 97)[1::2] * video.duration  # centres of 48 equal parts of the middle 90 %
    assert np.abs(np.array(video.times) - wanted).max() <= 0.5 / video.fps + 1e-6


def test_6_a_failed_video_is_an_error_never_a_frame_rate(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("no video")
    with pytest.raises(MediaError, match="not a video"):
        FrameCache(tmp_path / "store").get(Clip(path="broken.mp4"), tmp_path, Sampling(), Resize())
    with pytest.raises(ValueError, match="fps"):
        VideoInput(np.zeros((1, 2, 2, 3), np.uint8), fps=0, indices=(0,), times=(0.0,), total=1, duration=1.0)


@pytest.mark.parametrize("name", ["zoom_in", "zoom_out", "noise", "saturation", "blur", "rotate_90", "rotate_270"])
def test_7_seeded_one_strength_an_item_and_the_frame_keeps_its_size(name: str) -> None:
    strengths = {"blur": 20} if name == "blur" else {}  # the small drawn frames need a strong one to be seen
    one, two = (draw("ground", perturb=name, **strengths) for _ in range(2))
    assert one == two
    assert all(isinstance(value, int | float) for value in one.params.strength.values())
    video = drawn_clip(0)
    (shown,) = generate.apply(one.params, 1, [video])
    (again,) = generate.apply(one.params, 1, [video])
    assert shown.pixels.shape == video.pixels.shape
    assert shown.pixel_hash() == again.pixel_hash()


def test_8_sources_are_never_touched_and_nothing_is_compressed(clips: Path, tmp_path: Path) -> None:
    def state() -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in clips.iterdir()}

    before = state()
    catalogue = Catalogue()
    recipe = catalogue.recipes["viubench-mini"]
    build.build(recipe, catalogue.tasks_of(recipe), clips, tmp_path / "out", n=2, cache=FrameCache(tmp_path / "store"))
    assert state() == before
    drawn, video = draw("ground", perturb="mirror"), drawn_clip(0)
    (shown,) = generate.apply(drawn.params, 0, [video])
    start, stop = drawn.params.segment
    outside = [k for k in range(48) if not start <= k < stop]
    assert np.array_equal(shown.pixels[outside], video.pixels[outside])
    assert np.array_equal(shown.pixels[start:stop], video.pixels[start:stop, :, ::-1])


def test_9_every_question_has_an_answer_one_can_see() -> None:
    still = drawn_clip(0)
    still = VideoInput(
        np.repeat(still.pixels[:1], 48, axis=0), still.fps, still.indices, still.times, still.total, still.duration
    )
    for name in ("shuffle", "stutter", "slow", "fast"):
        spec = GroundSpec.model_validate({"params": {"perturb": name}})
        assert all(isinstance(generate.draw(spec, seed, [still]), generate.Rejected) for seed in range(20)), name
    for seed in range(20):
        drawn = draw("ground", seed, perturb="shuffle")
        assert all(source != k for k, source in enumerate(drawn.params.strength["order"]))
    drawn, video = draw("count"), drawn_clip(0)
    (shown,) = generate.apply(drawn.params, 0, [video])
    frames = {shape.frame for shape in drawn.params.shapes}
    changed = {k for k in range(48) if not np.array_equal(shown.pixels[k], video.pixels[k])}
    assert changed == frames


def test_10_answers_are_logged_resumable_and_have_error_bars(tmp_path: Path) -> None:
    for names in (["a"], ["a", "b"]):
        with RunFolder.claim(tmp_path) as folder:
            folder.begin(manifest())
            for name in names:
                if (name, 0) not in folder.done:
                    score = {"iou": 0.5 if name == "a" else 0.7}
                    folder.append(Record(task="t", id=name, cluster=name, status="ok", response="x", scores=score))
            folder.write_results(summarise(read_records(tmp_path), manifest()))
    assert [record.id for record in read_records(tmp_path)] == ["a", "b"]
    result = summarise(read_records(tmp_path), manifest()).tasks["t"]
    assert result.ci[0] < result.value < result.ci[1]
