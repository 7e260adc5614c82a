"""Rows to samples: files found, fields mapped, videos looked up, and every mistake named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from viubench.datasets import loader, row_files
from viubench.errors import ViubenchError
from viubench.schema import Task

ROW = {"video": "a", "question": "Which?", "options": ["A. up", "B. down"], "answer": "B"}


def task(**changes: Any) -> Task:
    base: dict[str, Any] = {
        "task": "mine", "domain": "general", "rows": {"files": ["rows"]}, "video": {"path": "{{ video }}.mp4"},
        "question": "{{ question }}", "options": "{{ options }}", "answer": "{{ answer }}",
        "evaluator": {"name": "choice"}, "metric": "accuracy", "protocol": "fps2-32",
    }  # fmt: skip
    return Task.model_validate(base | changes)


def folder(root: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    path = root / "mine" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".parquet"):
        pd.DataFrame(rows).to_parquet(path)
    elif name.endswith(".csv"):
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        path.write_text("\n".join(map(json.dumps, rows)) if name.endswith("l") else json.dumps(rows))
    return root


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.parquet"])
def test_a_row_becomes_a_sample_whatever_file_it_is_in(tmp_path: Path, name: str) -> None:
    built = loader.read(task(id="{{ _index }}"), folder(tmp_path, [ROW], name))
    (sample,) = built.samples
    assert (sample.id, sample.target, sample.answer_text, sample.options) == ("mine-0", "B", "B", ("up", "down"))
    assert sample.params["letters"] == ["A", "B"]
    assert (sample.clips[0].path, sample.cluster, built.videos) == ("a.mp4", "a.mp4", tmp_path / "mine")
    assert sample.question.splitlines()[:4] == ["<video>", "Which?", "A. up", "B. down"]


def test_csv_rows_are_texts(tmp_path: Path) -> None:
    row = {"video": "a", "question": "Which?\nA. up\nB. down", "answer": "down"}
    (sample,) = loader.read(task(options="{{ question }}"), folder(tmp_path, [row], "rows.csv")).samples
    assert (sample.target, sample.question.count("up")) == ("B", 1)


def test_rows_may_lie_right_in_the_data_root_and_the_first_suffix_wins(tmp_path: Path) -> None:
    root = folder(tmp_path, [ROW])
    folder(tmp_path, [ROW, ROW], "rows.parquet")
    assert len(loader.read(task(), root).samples) == 2
    assert len(loader.read(task(), root / "mine").samples) == 2
    assert len(loader.read(task(rows={"files": ["*.jsonl"]}), root).samples) == 1


def test_equal_rows_are_all_kept_and_told_apart(tmp_path: Path) -> None:
    built = loader.read(task(), folder(tmp_path, [ROW, ROW, ROW | {"answer": "A"}]))
    ids = [sample.id for sample in built.samples]
    assert len(set(ids)) == 3
    assert ids[1] == f"{ids[0]}-2"


def test_an_id_does_not_depend_on_whether_the_video_is_there(tmp_path: Path) -> None:
    video = {"path": "{{ video }}", "roots": ["old", "new"], "extensions": [".mkv", ".mp4"]}
    before = loader.read(task(video=video), folder(tmp_path, [ROW])).samples[0]
    (tmp_path / "mine/new").mkdir()
    (tmp_path / "mine/new/a.mp4").write_bytes(b"x")
    after = loader.read(task(video=video), tmp_path).samples[0]
    assert (before.clips[0].path, after.clips[0].path) == ("old/a.mkv", "new/a.mp4")
    assert before.id == after.id


def test_several_videos_bounds_and_frame_folders(tmp_path: Path) -> None:
    row = ROW | {"b": "b", "c": None, "from": 1.5, "to": 4}
    video = {"path": ["{{ video }}", "{{ b }}", "{{ c }}"], "extensions": [".mp4"], "start": "{{ from }}",
             "end": "{{ to }}", "frame_fps": 3}  # fmt: skip
    root = folder(tmp_path, [row])
    (tmp_path / "mine/b").mkdir()
    for number in (1, 2, 10):
        (tmp_path / f"mine/b/{number}.jpg").write_bytes(b"x")
    sample = loader.read(task(video=video), root).samples[0]
    first, second = sample.clips
    assert (first.path, first.start, first.end) == ("a.mp4", 1.5, 4.0)
    assert second.frame_files == ("b/1.jpg", "b/2.jpg", "b/10.jpg")
    assert (second.frame_fps, second.start) == (3.0, 1.5)
    assert sample.question.startswith("Video 1:\n<video>\nVideo 2:\n<video>\nWhich?")


def test_intervals_one_or_several(tmp_path: Path) -> None:
    rows = [
        {"video": "a", "question": "q", "spans": [[1, 2], [5, 6]], "seconds": 10},
        {"video": "a", "question": "q", "spans": [3.25, 4.0], "seconds": 10},
    ]
    changes = {"options": "", "answer": "{{ spans }}", "evaluator": {"name": "temporal_iou"}, "metric": "miou"}
    video = {"path": "{{ video }}.mp4", "duration": "{{ seconds }}"}
    built = loader.read(task(video=video, **changes), folder(tmp_path, rows))
    assert [sample.target for sample in built.samples] == [[[1, 2], [5, 6]], [3.25, 4.0]]
    assert [sample.answer_text for sample in built.samples] == ["1.0-2.0", "3.25-4.0"]
    assert built.samples[0].params["times"] == [0.0, 10.0]
    unknown = loader.read(task(**changes), tmp_path)
    assert not any("times" in sample.params for sample in unknown.samples), "a length is never made up"
    assert any("2 of 2 samples have videos of unknown length" in note for note in unknown.notes)


def test_groups_params_cluster_and_what_is_kept(tmp_path: Path) -> None:
    rows = [ROW | {"kinds": ["x", "y"], "n": 1}, ROW | {"kinds": [], "n": 2}]
    changes = {
        "rows": {"files": ["rows"], "keep": "{{ kinds | length > 0 }}", "expected": 5},
        "group_by": {"kind": "{{ kinds }}", "n": "{{ n }}"}, "params": {"gold": "{{ answer }}"}, "cluster": "c{{ n }}",
    }  # fmt: skip
    built = loader.read(task(**changes), folder(tmp_path, rows))
    (sample,) = built.samples
    assert sample.groups == {"kind": ("x", "y"), "n": "1"}
    assert (sample.params["gold"], sample.cluster) == ("B", "c1")
    assert built.notes == ("mine: 1 rows, but the published set has 5",)


@pytest.mark.parametrize(
    ("changes", "row", "message", "where"),
    [
        ({"question": "{{ qestion }}"}, {}, "mine: question: 'qestion' is undefined", "rows.jsonl, row 0"),
        ({}, {"answer": "E"}, "1 of 1 rows cannot be read; rows.jsonl, row 0: the answer 'E'", "mine"),
        ({}, {"answer": 1}, "the answer 1 is no text", "mine"),
        ({}, {"options": ["only"]}, "1 options", "mine"),
        ({}, {"video": ""}, "rows.jsonl, row 0", "mine"),
        ({"options": ""}, {}, "multiple choice but names no options", "row 0"),
        ({"video": None}, {}, "does not say where its videos are", None),
        ({"rows": {"files": ["../rows"]}}, {}, "reaches outside the data folder", None),
        ({"rows": {"files": ["other*"]}}, {}, "its rows are not here (other*)", "mine"),
        ({"rows": {"files": ["rows"], "keep": "{{ answer }}"}}, {}, "it must be true or false", "row 0"),
        ({"rows": {"files": ["rows"], "keep": "{{ false }}"}}, {}, "no rows are left", "mine"),
        ({"rows": {"files": ["rows"], "adapter": "mvbnch"}}, {}, "unknown adapter: 'mvbnch'", "rows.adapter"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, changes: dict[str, Any], row: dict[str, Any], message: str, where: str | None
) -> None:
    if row.get("video") == "":
        changes = changes | {"video": {"path": "{{ video }}"}}
    with pytest.raises(ViubenchError) as caught:
        loader.read(task(**changes), folder(tmp_path, [ROW | row]))
    assert message in caught.value.message
    assert where is None or where in (caught.value.where or "")


@pytest.mark.parametrize(
    ("name", "content", "message", "line"),
    [
        ("rows.jsonl", b'{"a": 1, \n', "not JSON", ":1"),
        ("rows.json", b"[" * 100_000, "not JSON", ""),
        ("rows.json", b'{"a": {}}', "is no list of rows", ""),
        ("rows.json", b"\xff\xfe\x00", "cannot be read", ""),
        ("rows.parquet", b"PAR1 not really", "cannot be read", ""),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes, message: str, line: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(content)
    with pytest.raises(ViubenchError, match=message) as caught:
        loader.read(task(), tmp_path)
    assert f"{name}{line}" in (caught.value.where or "") + caught.value.message


def test_an_adapter_that_meets_other_files_says_so(tmp_path: Path) -> None:
    root = folder(tmp_path, [ROW], "rows.json")
    with pytest.raises(ViubenchError, match="the adapter 'lvbench' cannot read these files"):
        row_files.rows(task(rows={"files": ["rows"], "adapter": "lvbench"}), root / "mine")
