"""Data sets exported: their own videos, parts of them written, and inside lmms-eval the scores of viubench itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from block_videos import blocks
from example_rows import copied
from exported_tasks import assert_equal, docs, mixed, oracle, ours, sample_in, scores, tasks, viubench

from viubench.datasets import loader
from viubench.errors import ViubenchError
from viubench.export import lmms, lmms_scoring
from viubench.storage.run_dir import read_results
from viubench.tasks.registry import Catalogue

pytest.importorskip("lmms_eval")
pytestmark = pytest.mark.xdist_group("lmms_eval")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


PARTS_YAML = """\
task: parts_qa
domain: general
rows: {files: [test.jsonl]}
video: {path: ["{{ clip }}", "{{ other }}"], start: "{{ from }}", end: "{{ to }}", frame_fps: 4}
question: "{{ ask }}"
options: "{{ choices }}"
answer: "{{ answer }}"
evaluator: {name: choice}
metric: accuracy
protocol: fps2-32
average: room
group_by: {room: "{{ room }}"}
metadata: {version: 1, source: "drawn", license: "CC0"}
"""
WHEN_YAML = """\
task: when_qa
domain: general
rows: {files: [test.jsonl]}
video: {path: "{{ clip }}", start: "{{ from }}", end: "{{ to }}"}
question: "{{ ask }}"
answer: "{{ windows }}"
evaluator: {name: temporal_iou}
metric: miou
protocol: fps2-32
metadata: {version: 1, source: "drawn", license: "CC0"}
"""


@pytest.fixture(scope="module")
def world(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small data sets over whole videos, parts of them, a folder of frames, and two videos at once."""
    world = tmp_path_factory.mktemp("world")
    (world / "tasks").mkdir()
    (world / "tasks/parts_qa.yaml").write_text(PARTS_YAML)
    (world / "tasks/when_qa.yaml").write_text(WHEN_YAML)
    for name in ("parts_qa", "when_qa"):
        shutil.copytree(clips, world / "data" / name)
    (world / "data/parts_qa/frames").mkdir()
    for k in range(12):
        cv2.imwrite(str(world / f"data/parts_qa/frames/{k:03d}.png"), blocks(64, 96, 0, 255, k))
    whole, part = {"from": None, "to": None}, {"from": 2.0, "to": 5.0}
    kinds = [("clip-00.mp4", "", whole), ("clip-01.mp4", "", part), ("frames", "", whole),
             ("clip-00.mp4", "clip-01.mp4", whole)]  # fmt: skip
    things = ["a van", "a kite", "nothing"]
    rows = [
        {"clip": first, "other": other, **bounds, "ask": f"What is seen at {n}?", "choices": things,
         "answer": "ABC"[n % 3], "room": ("hall", "yard", "hall")[n % 3]}
        for n in range(12) for first, other, bounds in [kinds[n % 4]]
    ]  # fmt: skip
    (world / "data/parts_qa/test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = [
        {"clip": "clip-00.mp4", "ask": "the van", "windows": [[2.5, 4.0], [4.25, 5.0]], **part},
        {"clip": "clip-01.mp4", "ask": "the kite", "windows": [1.0, 3.0], **whole},
    ]
    (world / "data/when_qa/test.jsonl").write_text("\n".join(map(json.dumps, asked)))
    return world


def exported(world: Path, cache: Path, names: str, out: Path, *words: object) -> Path:
    viubench(cache, "export", "lmms-eval", "--tasks", names, "--data-root", world / "data",
             "--include-path", world / "tasks", "--out", out, "--quiet", *words)  # fmt: skip
    return out


def test_a_data_set_keeps_its_own_videos_and_parts_are_written(world: Path, cache: Path, tmp_path: Path) -> None:
    out = exported(world, cache, "parts_qa", tmp_path / "out")
    here = tasks(out, "viubench_parts_qa", cache / "datasets")
    by_kind = docs(here)[:4]
    data = world / "data/parts_qa"
    assert by_kind[0]["media"] == [str(data / "clip-00.mp4")]
    assert by_kind[3]["media"] == [str(data / "clip-00.mp4"), str(data / "clip-01.mp4")]
    part, frames = ((out / doc["media"][0]) for doc in by_kind[1:3])
    assert part.parent == frames.parent == out / "media"
    with av.open(str(part)) as container:
        assert container.streams.video[0].frames == 6, "2 a second of 3 seconds"
    with av.open(str(frames)) as container:
        assert container.streams.video[0].frames == 6, "2 a second of 12 frames, 4 a second"
    run = ours(cache, tmp_path / "run", docs(here), mixed, "--tasks", "parts_qa", "--data-root", world / "data",
               "--include-path", world / "tasks")  # fmt: skip
    theirs = scores(here, mixed)
    assert_equal(theirs, run)
    rooms = read_results(run).tasks["parts_qa"].groups["room"]
    assert theirs["viubench_parts_qa"]["score"] == pytest.approx(np.mean([row["value"] for row in rooms.values()]))
    assert "fps=2,max_frame_num=32" in (out / "README.md").read_text()
    assert "--tasks parts_qa --data-root DATA" in (out / "README.md").read_text()


def test_copied_videos_make_the_folder_complete(world: Path, cache: Path, tmp_path: Path) -> None:
    out = exported(world, cache, "parts_qa", tmp_path / "out", "--copy")
    rows = [json.loads(line) for line in (out / "viubench_parts_qa.jsonl").open()]
    assert all((out / name).is_file() and name.startswith("media/") for row in rows for name in row["media"])
    assert (out / rows[0]["media"][0]).samefile(world / "data/parts_qa/clip-00.mp4")
    moved = out.rename(tmp_path / "elsewhere")
    here = tasks(moved, "viubench_parts_qa", cache / "datasets")
    assert scores(here, oracle)["viubench_parts_qa"]["score"] == 1
    assert all(Path(path).is_file() for doc in docs(here) for path in lmms_scoring.visuals(doc, moved))


def test_windows_of_a_part_are_on_the_clock_of_its_file(world: Path, cache: Path, tmp_path: Path) -> None:
    out = exported(world, cache, "when_qa", tmp_path / "out")
    here = tasks(out, "viubench_when_qa", cache / "datasets")
    part, whole = (sample_in(doc) for doc in docs(here))
    assert part.target == [[0.5, 2.0], [2.25, 3.0]]
    assert whole.target == [1.0, 3.0]
    assert scores(here, oracle)["viubench_when_qa"]["score"] == 1


@pytest.mark.parametrize("name", ["vinoground", "mlvu", "qvhighlights", "cvbench_crossvideo", "tempcompass_yes_no"])
def test_the_benchmarks_of_the_catalogue_score_alike(name: str, clips: Path, cache: Path, tmp_path: Path) -> None:
    """Units of several samples, macro averages, several true windows, published rules: on the invented rows."""
    copied(name, tmp_path / "data")
    task = Catalogue().task(name)
    for sample in loader.read(task, tmp_path / "data").samples:
        for clip in sample.clips:
            path = tmp_path / "data" / (task.data or name) / clip.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                shutil.copyfile(clips / "clip-00.mp4", path)
    viubench(cache, "export", "lmms-eval", "--tasks", name, "--data-root", tmp_path / "data", "--out",
             tmp_path / "out", "--quiet")  # fmt: skip
    here = tasks(tmp_path / "out", lmms.exported_name(name), cache / "datasets")
    assert scores(here, oracle)[lmms.exported_name(name)]["score"] == 1
    run = ours(cache, tmp_path / "run", docs(here), mixed, "--tasks", name, "--data-root", tmp_path / "data")
    assert_equal(scores(here, mixed), run)


def test_a_missing_video_stops_the_export(world: Path, cache: Path, tmp_path: Path) -> None:
    shutil.copytree(world, tmp_path / "world")
    (tmp_path / "world/data/parts_qa/clip-01.mp4").unlink()
    with pytest.raises(ViubenchError, match="6 of 12 questions have videos that cannot be used"):
        exported(tmp_path / "world", cache, "parts_qa", tmp_path / "out")
    assert not (tmp_path / "out/viubench_parts_qa.yaml").exists()


def test_a_part_beyond_the_video_stops_the_export(world: Path, cache: Path, tmp_path: Path) -> None:
    shutil.copytree(world, tmp_path / "world")
    rows = tmp_path / "world/data/when_qa/test.jsonl"
    rows.write_text(rows.read_text().replace('"from": 2.0, "to": 5.0', '"from": 70.0, "to": 80.0'))
    with pytest.raises(ViubenchError, match=r"a video cannot be used: clip-00\.mp4: too short"):
        exported(tmp_path / "world", cache, "when_qa", tmp_path / "out")


def test_an_export_that_was_cut_off_goes_on(world: Path, cache: Path, tmp_path: Path) -> None:
    out = exported(world, cache, "parts_qa", tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (out / "media").iterdir()}
    lost = sorted(before)[0]
    lost.unlink()
    (out / "viubench_parts_qa.yaml").unlink()
    exported(world, cache, "parts_qa", out)
    after = {path: path.stat().st_mtime_ns for path in (out / "media").iterdir()}
    assert {path for path in before if after[path] != before[path]} == {lost}
    assert (out / "viubench_parts_qa.yaml").exists()


def test_every_task_is_named_once(world: Path, cache: Path, tmp_path: Path) -> None:
    world = Path(shutil.copytree(world, tmp_path / "world"))
    (world / "tasks/suites").mkdir()
    for name in ("rooms", "again"):
        (world / f"tasks/suites/{name}.yaml").write_text(f"suite: {name}\ntasks: [parts_qa]\n")
    out = exported(world, cache, "rooms,again,when_qa", tmp_path / "out")
    assert "--tasks viubench_rooms,viubench_when_qa --model" in (out / "README.md").read_text()
    here = tasks(out, "viubench_rooms,viubench_when_qa", cache / "datasets")
    assert scores(here, oracle)["viubench_rooms"]["score"] == 1
    (world / "tasks/suites/again.yaml").write_text("suite: parts-qa\ntasks: [when_qa]\n")
    with pytest.raises(ViubenchError, match="'viubench_parts_qa' would be the name of two"):
        exported(world, cache, "parts-qa,parts_qa", tmp_path / "other")
