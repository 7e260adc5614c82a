"""Rows in the published parquet schema become samples; what cannot be read is named by file, row and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from viubench.errors import ViubenchError
from viubench.pretext.published_rows import read_parquet
from viubench.schema import Clip

FRAMES = [f"vid/{k:03d}.jpg" for k in range(48)]


def row(source: str, answer: str, clips: int = 1, **more: Any) -> dict[str, Any]:
    """One row as the released builders write it."""
    shown = [
        {"video": FRAMES[k * 8 : k * 8 + 8] if clips > 1 else FRAMES, "sample_fps": 2.0, "max_pixels": 65536}
        for k in range(clips)
    ]
    text = "".join("<video>\n" for _ in range(clips)) + "What happens?"
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    extra = {"index": 3, "video_id": "vid-7", "perturbation_type": None, **more.pop("extra", {})}
    data = {"data_source": source, "prompt": prompt, "videos": shown, "extra_info": extra}
    return data | {"reward_model": {"style": "rule", "ground_truth": answer}} | more


def write(path: Path, *rows: dict[str, Any]) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def test_a_row_that_says_shuffled_is_a_jigsaw(tmp_path: Path) -> None:
    """Fault 1 of the published scripts: its own reward knows no `shuffled`."""
    path = write(tmp_path / "a.parquet", row("shuffled", "312645", 6), row("jigsaw", "321", 3))
    first, second = read_parquet(path)
    assert (first.task, second.task) == ("viubench_jigsaw_easy", "videossr_jigsaw")
    assert first.target == [3, 1, 2, 6, 4, 5]
    assert first.params == {"n": 6}
    assert len(first.clips) == first.question.count("<video>") == 6
    assert first.clips[0] == Clip(frame_files=tuple(FRAMES[:8]), frame_fps=2.0)


@pytest.mark.parametrize(
    ("source", "named", "task"),
    [
        ("grounding", "ChannelSwap", "viubench_ground_channel_swap"),
        ("grounding", "Rotate180", "viubench_ground_rotate"),
        ("grounding", "ZoomOut", "viubench_ground_zoom_out"),
        ("grounding", "Mirror", "viubench_ground_mirror"),
        ("grounding_shuffle", None, "viubench_ground_shuffle"),
        ("grounding", "Rotate90", "videossr_ground"),
        ("grounding", "Swap", "videossr_ground"),
        ("grounding", None, "videossr_ground"),
    ],
)
def test_grounding_rows_go_to_their_task(source: str, named: str | None, task: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", row(source, "3.5-8.0", extra={"perturbation_type": named}))
    (sample,) = read_parquet(path)
    assert (sample.task, sample.target, sample.cluster) == (task, [3.5, 8.0], "vid-7")
    assert sample.params["times"] == [0.5 * k for k in range(49)]
    assert sample.pretext is None, "the frames are already made"
    assert sample.question == "Be brief.\n<video>\nWhat happens?"


def test_counting_rows_know_their_limits(tmp_path: Path) -> None:
    rows = [row("counting", "1,9,3"), row("counting", "1,12,3"), row("counting_hard", "1,2,3")]
    easy, large, hard = read_parquet(write(tmp_path / "a.parquet", *rows))
    assert (easy.task, easy.params) == ("videossr_count", {"max_frames": 3, "max_instances": 3})
    assert (large.task, large.params) == ("videossr_count", {"max_frames": 4, "max_instances": 4})
    assert (hard.task, hard.params) == ("viubench_count_hard", {"max_frames": 4, "max_instances": 4})
    assert easy.target == [1, 9, 3]


def test_paths_instead_of_frames_and_json_text_instead_of_records(tmp_path: Path) -> None:
    written = row("grounding", "3.5-8.0", extra_info='{"video_id": "x"}', reward_model='{"ground_truth": "1.0-2.0"}')
    content = [{"type": "video"}, {"type": "text", "text": "When?"}]
    written |= {"videos": [{"video": "file:///data/a.mp4"}], "prompt": [{"role": "user", "content": content}]}
    (sample,) = read_parquet(write(tmp_path / "a.parquet", written))
    assert sample.clips == (Clip(path="/data/a.mp4"),)
    assert (sample.cluster, sample.target, sample.question) == ("x", [1.0, 2.0], "<video>\nWhen?")


def test_ids_are_stable_and_a_question_that_is_there_twice_counts_twice(tmp_path: Path) -> None:
    same = row("counting", "1,2,3")
    samples = read_parquet(write(tmp_path / "a.parquet", same, row("counting", "3,2,1"), same))
    assert samples[2].id == samples[0].id + "-2"
    assert len({sample.id for sample in samples}) == 3
    assert read_parquet(write(tmp_path / "b.parquet", same))[0] == samples[0]


@pytest.mark.parametrize(
    ("broken", "column", "message"),
    [
        (row("captioning", "1,2,3"), "data_source", "captioning"),
        (row("counting", "three"), "reward_model", "three"),
        (row("shuffled", "3124", 3), "reward_model", "4 clips"),
        (row("counting", "1,2,3", prompt=[{"role": "user", "content": "no video"}]), "prompt", "0 times <video>"),
        (row("counting", "1,2,3", prompt=[{"role": "user"}]), "prompt", "0.content: is missing"),
        (row("counting", "1,2,3", videos=[{"video": FRAMES}]), "videos", "sample_fps"),
        (row("counting", "1,2,3", videos=[{"sample_fps": 2.0}]), "videos", "neither a path nor"),
        (row("counting", "1,2,3", videos=[]), "videos", "must be a list, at least 1"),
        (row("counting", "1,2,3", extra_info="{"), "extra_info", "no JSON"),
        (row("counting", "1,2,3", reward_model=None), "reward_model", "must be a mapping"),
    ],
)
def test_what_cannot_be_read_is_named(broken: dict[str, Any], column: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", broken)
    with pytest.raises(ViubenchError) as error:
        read_parquet(path)
    assert message in str(error.value)
    assert error.value.where == f"{path}: row 0, column {column}"


def test_files_of_another_schema_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(ViubenchError, match="no parquet file"):
        read_parquet(tmp_path / "text.parquet")
    with pytest.raises(ViubenchError, match="no parquet file"):
        read_parquet(tmp_path / "gone.parquet")
    with pytest.raises(ViubenchError, match="no column 'data_source'"):
        read_parquet(write(tmp_path / "a.parquet", {"question": "?"}))
