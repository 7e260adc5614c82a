"""Rows, names and ids that systems and encodings cannot hold: each costs itself at most, and no command its end."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from test_run_folder_faults import TASK, run

import viubench
from viubench.datasets import loader, row_files
from viubench.errors import ViubenchError
from viubench.pretext.build import build
from viubench.storage.run_dir import read_records
from viubench.tasks.registry import Catalogue
from viubench.video.filmstrip import strip_path
from viubench.video.frame_cache import FrameCache

CLIPS = ["n" * 300, "a\0b", "\ud800", "p/" * 2500, "none"]


def test_odd_names_and_texts_are_answers_like_others(tmp_path: Path) -> None:
    (tmp_path / "colours.yaml").write_text(TASK)
    folder = tmp_path / "data" / "colours"
    folder.mkdir(parents=True)
    texts = ["a\ud800b", "q" * 100_000, "\x1b[31m", "\u202e", "plain"]
    rows = [
        {"clip": clip, "question": text, "choices": ["red", "blue"], "answer": "red"}
        for clip, text in zip(CLIPS, texts, strict=True)
    ]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for _ in range(2):  # begun, and resumed
        assert run(tmp_path).results.tasks["colours"].statuses == {"ok": 5}
    assert len(list(read_records(tmp_path / "run"))) == 5
    assert viubench.compare(tmp_path / "run", tmp_path / "run").tasks["colours"].same_answers


def test_a_long_field_of_a_table_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w") as file:
        csv.writer(file).writerows([["question"], ["q" * 200_000]])
    assert len(row_files.read(tmp_path / "a.csv")[0]["question"]) == 200_000


def test_strips_of_long_ids_have_names_that_files_may_have(tmp_path: Path) -> None:
    names = [strip_path(tmp_path, f"{'x' * 3000}{end}").name for end in "ab"]
    assert names[0] != names[1]
    assert max(map(len, names)) < 255
    assert strip_path(tmp_path, "\ud800").name.endswith(".jpg")


def test_a_build_tells_at_the_start_that_its_folder_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_text("no video: told later than the folder")
    recipe = Catalogue().recipe("viubench-mini")
    for out in (tmp_path / "file", Path("/proc/none/x"), tmp_path / ("x" * 300)):
        with pytest.raises(ViubenchError) as caught:
            build(recipe, Catalogue().tasks_of(recipe), tmp_path / "videos", out, cache=FrameCache(tmp_path / "cache"))
        assert caught.value.where == "--out"


def test_a_row_that_holds_its_video_says_so_in_a_line(tmp_path: Path) -> None:
    """As parquet files of hubs do: the bytes, or a record with them."""
    (tmp_path / "colours.yaml").write_text(TASK.replace("test.jsonl", "test.parquet"))
    folder = tmp_path / "data" / "colours"
    folder.mkdir(parents=True)
    for clip in (bytes(range(256)) * 200, {"bytes": bytes(range(256)) * 200, "path": None}):
        rows = [{"clip": clip, "question": "q", "choices": ["red", "blue"], "answer": "red"}]
        pd.DataFrame(rows).to_parquet(folder / "test.parquet")
        with pytest.raises(ViubenchError) as caught:
            run(tmp_path)
        assert "the row holds a video itself, not its path" in str(caught.value)
        assert len(str(caught.value)) < 1000


def test_a_file_whose_name_starts_with_a_space_is_found(tmp_path: Path) -> None:
    (tmp_path / "colours.yaml").write_text(TASK)
    folder = tmp_path / "data" / "colours"
    folder.mkdir(parents=True)
    for name in (" a.mp4", "b.mp4"):
        (folder / name).write_bytes(b"x")
    names = [" a", " b", "b"]
    rows = [{"clip": name, "question": name, "choices": ["red", "blue"], "answer": "red"} for name in names]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = Catalogue((tmp_path,)).task("colours")
    samples = loader.read(task, folder).samples
    assert [sample.clips[0].path for sample in samples] == [" a.mp4", "b.mp4", "b.mp4"]
