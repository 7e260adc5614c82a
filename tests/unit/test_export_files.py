"""What is written for another tool: files that give every pixel back, and questions on the clock of their file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from block_videos import blocks
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluators
from viubench.errors import ViubenchError
from viubench.export import lmms, lmms_scoring, video_files
from viubench.export.video_files import File
from viubench.schema import Clip, Resize, Sample, Sampling
from viubench.tasks.registry import Catalogue


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@settings(max_examples=8, deadline=None)
@given(
    frames=st.integers(1, 5), height=st.integers(16, 70), width=st.integers(16, 70),
    rate=st.fractions(Fraction(1, 50), 120, max_denominator=1000), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_written_video_gives_every_pixel_back(
    tmp_path_factory: pytest.TempPathFactory, frames: int, height: int, width: int, rate: Fraction, seed: int
) -> None:
    path = tmp_path_factory.mktemp("written") / "v.mp4"
    pixels = np.stack([blocks(height, width, 0, 255, seed + k) for k in range(frames)])
    video_files.write_video(path, pixels, rate)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        read = [(frame.to_ndarray(format="rgb24"), float(frame.time or 0)) for frame in container.decode(stream)]
    assert np.array_equal(np.stack([picture for picture, _ in read]), pixels)
    assert [time for _, time in read] == pytest.approx([k / float(rate) for k in range(frames)], abs=1e-3)
    assert [entry.name for entry in path.parent.iterdir()] == ["v.mp4"]


def test_a_single_frame_is_written_twice(clips: Path, cache: Path, tmp_path: Path) -> None:
    wanted = (clips, Clip(path="clip-00.mp4"), Sampling(kind="indices", indices=(7,)), Resize(max_pixels=16384))
    ((file),) = video_files.written(cache / "frames", grounded([1.0, 2.0]), [wanted], tmp_path)
    with av.open(str(tmp_path / file.path)) as container:
        first, second = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
    assert np.array_equal(first, second)
    assert (file.frames, file.start) == (2, pytest.approx(7 / 25))


def test_a_picture_is_shown_as_one(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "chart.png"), blocks(32, 48, 0, 255, 0))
    (tmp_path / "v.mp4").write_bytes(b"x")
    doc = {"question": "<video>\nWhich line of <video> is meant?", "media": ["v.mp4", "chart.png"]}
    (turn,) = lmms_scoring.messages(doc, tmp_path)
    assert [(part["type"], part.get("url")) for part in turn["content"] if part["type"] != "text"] == [
        ("video", str(tmp_path / "v.mp4")), ("image", str(tmp_path / "chart.png"))
    ]  # fmt: skip
    path, picture = lmms_scoring.visuals(doc, tmp_path)
    assert (path, picture.size) == (str(tmp_path / "v.mp4"), (48, 32))


GROUND = Catalogue().task("viubench_ground_mirror")
IOU = evaluators.get("temporal_iou")


def grounded(target: Any, **params: Any) -> Sample:
    return Sample(id="q", task=GROUND.task, cluster="c", clips=(), question="<video>\nWhen?", target=target,
                  answer_text=IOU.canonical(target), params=params)  # fmt: skip


@given(
    start=st.floats(0.01, 20),
    windows=st.lists(st.tuples(st.floats(0, 30), st.floats(0.5, 30)), min_size=1, max_size=3),
    answer=st.tuples(st.floats(0, 60), st.floats(0.1, 30)),
)
def test_moving_the_clock_moves_no_score(
    start: float, windows: list[tuple[float, float]], answer: tuple[float, float]
) -> None:
    target = [[start + low, start + low + long] for low, long in windows]
    moved = lmms.on_file_clock(grounded(target), [File("a.mp4", 8, start)], GROUND, IOU)
    truth = IOU.parse(moved.answer_text, moved)
    assert truth is not None
    assert IOU.score(truth, moved)["iou"] == pytest.approx(1, abs=1e-6)
    low, high = start + answer[0], start + sum(answer)
    before = IOU.score(evaluators.Answer([low, high], "", (0, 0)), grounded(target))["iou"]
    after = IOU.score(evaluators.Answer([answer[0], sum(answer)], "", (0, 0)), moved)["iou"]
    assert after == pytest.approx(before, abs=0.01), "but for the rounding to milliseconds"


def test_only_questions_about_seconds_of_a_moved_file_change() -> None:
    sample = grounded([3.0, 8.0], times=[1.0, 5.0, 9.0])
    assert lmms.on_file_clock(sample, [File("a.mp4")], GROUND, IOU) is sample
    assert lmms.on_file_clock(sample, [File("a.mp4", 8, 1.0)], GROUND, evaluators.get("permutation")) is sample
    moved = lmms.on_file_clock(sample, [File("a.mp4", 8, 1.0)], GROUND, IOU)
    assert (moved.target, moved.answer_text, moved.params["times"]) == ([2.0, 7.0], "2.0-7.0", [0.0, 4.0, 8.0])
    named = GROUND.model_copy(update={"question": "<video>\nShown from {start} to {end}: when?"})
    with pytest.raises(ViubenchError, match="names seconds of the source"):
        lmms.on_file_clock(sample, [File("a.mp4", 8, 1.0)], named, IOU)
