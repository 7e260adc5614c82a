"""Frames that the viewer makes again: from the video or the item of a record, and only those that the model saw."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
import video_files
from report_runs import PROTOCOL, write_run

from reports.data.runs import RunData, load
from reports.server.shown_frames import HEIGHT, NoFrames, ShownFrames
from viubench.runner.pipeline import frame_info
from viubench.schema import Clip, Record, Sampling
from viubench.storage.run_dir import read_records
from viubench.video.frame_cache import FrameCache

TASK = "viubench_ground_mirror"


@pytest.fixture
def asked(tmp_path: Path) -> tuple[RunData, Record]:
    """A run of one video, and the record of a question about 4 frames of it."""
    (tmp_path / "videos/deep").mkdir(parents=True)
    video_files.write(tmp_path / "videos/deep/pour.mp4", 50)
    cache = FrameCache(tmp_path / "first")
    how = Sampling(kind="indices", indices=(0, 12, 30, 44))
    shown = cache.get(Clip(path="deep/pour.mp4"), tmp_path / "videos", how, PROTOCOL.resize)
    info, _ = frame_info([shown])
    changes = {"cluster": "pour", "files": ["pour.mp4"], "frames": info}
    run = load(write_run(tmp_path / "run", tasks=[TASK], suite=False, n=2, changes=changes, measured=True))
    return run, next(read_records(run.path))


def strip(run: RunData, record: Record, *videos: Path) -> bytes:
    async def made() -> bytes:
        frames = ShownFrames(videos, run.path.parent / "cache")
        try:
            return await frames.strip(run, record)
        finally:
            frames.close()

    return asyncio.run(made())


def test_frames_are_made_again_from_a_video_of_the_name(asked: tuple[RunData, Record], tmp_path: Path) -> None:
    run, record = asked
    data = strip(run, record, tmp_path / "videos")
    picture = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert picture.shape[0] <= HEIGHT
    assert video_files.frames_of(np.array(np.split(picture, 4, axis=1))) == [0, 12, 30, 44]
    assert not (run.path / "strips").exists()


def test_another_video_of_the_name_is_not_shown(asked: tuple[RunData, Record], tmp_path: Path) -> None:
    run, record = asked
    video_files.write(tmp_path / "videos/deep/pour.mp4", 45)
    other = record.model_copy(update={"frames": record.frames and record.frames.model_copy(update={"hash": "0" * 32})})
    with pytest.raises(NoFrames, match="other frames now than the model saw"):
        strip(run, other, tmp_path / "videos")
    with pytest.raises(NoFrames, match="was not found"):
        strip(run, record, tmp_path / "run")
