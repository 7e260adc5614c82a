"""All downstream benchmarks in one run: example rows in the publishers' layouts, drawn clips, the real vLLM engine.

The run is also the one that replicas of the engine must repeat.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import forked_replicas
import inprocess
import numpy as np
import pytest

from viubench.datasets import loader
from viubench.schema import Resize, Sampling
from viubench.storage.run_dir import read_manifest, read_records
from viubench.tasks.registry import BUILT_IN, Catalogue
from viubench.video import synthetic
from viubench.video.frame_cache import FrameCache

pytest.importorskip("vllm")
pytestmark = pytest.mark.engine

EACH = 2
TASKS = (*Catalogue().suites["downstream"].tasks, "activitynet_captions_val2")
SMALL = """\
protocol: small
sampling: {kind: fps, fps: 1, frames: 6}
resize: {max_pixels: 4096, min_pixels: 1024, multiple: 32}
decoding: {max_tokens: 8}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root as a user has it: the rows, and a clip wherever the first rows of a task say that one is."""
    root = tmp_path_factory.mktemp("downstream")
    (clip,) = synthetic.draw(root / "drawn", 1, seconds=24.0, size=(64, 48), fps=5)
    shutil.copytree(BUILT_IN / "examples", root / "data")
    frames = root / "data/mvbench/video/tvqa/frames_fps3_hq/inventedshow_s09e01_seg01_clip_04"
    frames.mkdir(parents=True)
    for number in range(1, 73):
        cv2.imwrite(str(frames / f"{number:05d}.jpg"), np.full((48, 64, 3), number * 3, np.uint8))
    for name in TASKS:
        built = loader.read(Catalogue().task(name), root / "data")
        for place in {part.path for sample in built.samples for part in sample.clips if part.path}:
            path = built.videos / place
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.link(clip, path)
    (root / "small.yaml").write_text(SMALL)
    return root


def viubench(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return inprocess.command(*words, "--data-root", data / "data", env={"HF_HUB_OFFLINE": "1"}, cwd=data)


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]


def run(data: Path, model: Path, out: str, *more: str) -> Path:
    done = viubench(
        data, "run", "--model", str(model), "--engine", "vllm", "--engine-arg", "dtype=float32",
        "--deterministic", "--tasks", "downstream,activitynet_captions_val2", "--limit", str(EACH),
        "--protocol", "small.yaml", "--out", out, "--quiet", "--frame-cache", "frames", *more,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return data / out


@pytest.fixture(scope="module")
def alone(tiny_model: Path, data: Path) -> Path:
    """The run of one engine, with one worker."""
    return run(data, tiny_model, "run", "--workers", "1")


def test_every_benchmark_goes_through_the_engine(data: Path, alone: Path) -> None:
    found = records(alone)
    assert {record["task"] for record in found} == set(TASKS)
    assert len(found) == EACH * len(TASKS)
    assert not [record["error"] for record in found if record["error"]]
    several = {record["id"]: record["frames"]["videos"] for record in found if record["task"] == "cvbench_crossvideo"}
    assert set(several.values()) == {2, 3}
    results = json.loads((alone / "results.json").read_text())
    assert results["suites"]["downstream"]["groups"].keys() >= {"mvbench", "tempcompass", "tacos", "vcrbench"}
    page = inprocess.command("report", "run", "--out", "page.html", cwd=data)
    assert page.returncode == 0, page.stderr
    assert (data / "page.html").stat().st_size < 3_000_000


def test_deterministic_answers_do_not_depend_on_replicas_or_workers(tiny_model: Path, data: Path, alone: Path) -> None:
    with forked_replicas.used():
        both = run(data, tiny_model, "two", "--workers", "2", "--replicas", "2")
    assert (both / "results.json").read_bytes() == (alone / "results.json").read_bytes()
    one, two = ({record.id: record for record in read_records(folder)} for folder in (alone, both))
    assert {name: record.response for name, record in one.items()} == {name: r.response for name, r in two.items()}
    assert {name: record.frames for name, record in one.items()} == {name: r.frames for name, r in two.items()}
    assert sorted(p.name for p in (alone / "strips").iterdir()) == sorted(p.name for p in (both / "strips").iterdir())
    about, about_one = read_manifest(both).engine, read_manifest(alone).engine
    assert (about["replicas"], about["transport"], about["version"]) == (2, "process", about_one["version"])
    assert about["deterministic"] is about_one["deterministic"] is True


def test_a_frame_folder_is_seen_between_the_bounds_of_its_question(data: Path, tmp_path: Path) -> None:
    built = loader.read(Catalogue().task("mvbench"), data / "data")
    (sample,) = [sample for sample in built.samples if sample.clips[0].frame_files]
    store = FrameCache(tmp_path)
    video = store.get(sample.clips[0], built.videos, Sampling(kind="fps", fps=1, frames=6), Resize())
    row = json.loads((data / "data/mvbench/json/episodic_reasoning.json").read_text())[0]
    assert video is not None
    assert (video.times[0], len(sample.clips[0].frame_files)) == (row["start"], 72)
    assert row["end"] - 1 / 3 - 1e-9 <= video.times[-1] < row["end"]
    shades = [int(frame.mean()) for frame in video.pixels]
    assert shades == pytest.approx([3 * (index + 1) for index in video.indices], abs=3)  # names count from 1
