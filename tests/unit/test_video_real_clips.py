"""Real clips: the frames and times sampled equal a plain decode in order; every bad file has its one clear fault.

The folder is named by VIUBENCH_REAL_CLIPS; files that stand in its `bad/` are known by name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from viubench.errors import MediaError
from viubench.schema import Clip, Resize, Sampling
from viubench.video import sampling
from viubench.video.decode import read
from viubench.video.frame_cache import FrameCache
from viubench.video.pixels import ToRGB, resized
from viubench.video.probe import Probe, probe

FOLDER = Path(os.environ.get("VIUBENCH_REAL_CLIPS", "/nonexistent"))
CLIPS = sorted(path.name for path in FOLDER.glob("*.*") if path.is_file() and path.suffix != ".md")
pytestmark = [
    pytest.mark.clips,
    pytest.mark.skipif(not CLIPS, reason="VIUBENCH_REAL_CLIPS names no folder with clips"),
]

USABLE = {
    "alpha_vp9.webm": (150, 5.0),
    "bogus_duration_3900s.mp4": (240, 8.0),
    "no_duration_vfr.webm": (74, 4.939),
    "odd_33x1201_10bit.mp4": (60, 6.0),
    "wrong_ext_webm_inside.avi": (82, 2.736),
}
FAULTS = {
    "zero_byte.mp4": ("empty", "0 bytes"),
    "text_named.mp4": ("not_a_video", "no container that a decoder recognises"),
    "trunc_nomoov.mp4": ("truncated", "the index (moov box) is missing or cut off"),
    "trunc_faststart.mp4": ("truncated", "118 of 287 frames decode"),
    "audio_only_opus.mp4": ("no_video_stream", "audio streams only"),
    "single_frame.mp4": ("too_short", "0 frames in the middle 90 %, 48 asked"),
    "iphone_rot90_hevc60.mov": ("too_short", "33 frames in the middle 90 %, 48 asked"),
}
FORBIDDEN = {"bgs_cars_60fps.avi", "bgs_motorway_mpeg4.avi", "tc_nasa_13013.mp4", "wm_water_av1.webm"}
"""Clips in which jumping gives wrong frames with some reader, or another stream."""


def in_order(path: Path, facts: Probe, wanted: list[int], size: tuple[int, int]) -> tuple[Any, list[float]]:
    pixels, times, first = [], [], 0
    convert = ToRGB()
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        for number, frame in enumerate(container.decode(stream)):
            first = frame.pts if number == 0 else first
            if number in wanted:
                pixels.append(resized(np.rot90(convert(frame), frame.rotation // 90), size))
                times.append(float((frame.pts - first) * stream.time_base))
            if number == wanted[-1]:
                break
    return np.stack(pixels), times


@pytest.mark.parametrize("name", CLIPS)
def test_frames_and_times_are_those_of_a_plain_decode(name: str) -> None:
    path = FOLDER / name
    facts = probe(path)
    chosen = sampling.choose(facts.times, facts.duration, Sampling())
    size = sampling.fit(facts.height, facts.width, Resize())
    pixels = read(path, facts, chosen, size)
    truth, times = in_order(path, facts, chosen.tolist(), size)
    np.testing.assert_array_equal(pixels, truth)
    packed = name in {"bgs_cars_60fps.avi", "bgs_motorway_mpeg4.avi"}  # the plain timestamps step back by a frame
    np.testing.assert_allclose(facts.times[chosen], times, atol=1.01 / facts.fps if packed else 1e-6)
    assert np.all(np.diff(facts.times) > 0)
    assert facts.random_access is False or name not in FORBIDDEN


@pytest.mark.parametrize("name", CLIPS)
def test_sparse_frames_jumped_to_are_the_right_ones(name: str) -> None:
    """Few frames far apart."""
    path = FOLDER / name
    facts = probe(path)
    chosen = np.unique(np.linspace(0, facts.frames - 1, 5).astype(np.int64))
    size = sampling.fit(facts.height, facts.width, Resize(max_pixels=128 * 128, min_pixels=1024))
    pixels = read(path, facts, chosen, size)
    np.testing.assert_array_equal(pixels, in_order(path, facts, chosen.tolist(), size)[0])


@pytest.mark.parametrize("name", sorted(USABLE) if (FOLDER / "bad").is_dir() else [])
def test_odd_files_are_usable(name: str, tmp_path: Path) -> None:
    video = FrameCache(tmp_path).get(Clip(path=f"bad/{name}"), FOLDER, Sampling(), Resize())
    frames, duration = USABLE[name]
    assert len(video) == 48
    assert video.total == frames
    assert video.duration == pytest.approx(duration, abs=0.01)


@pytest.mark.parametrize("name", sorted(FAULTS) if (FOLDER / "bad").is_dir() else [])
def test_bad_files_have_one_clear_fault(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MediaError) as caught:
        FrameCache(tmp_path).get(Clip(path=f"bad/{name}"), FOLDER, Sampling(), Resize())
    assert (caught.value.fault, caught.value.detail) == FAULTS[name]
    assert caught.value.path == f"bad/{name}"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [("single_frame.mp4", 1, (640, 360)), ("iphone_rot90_hevc60.mov", 36, (1080, 1920))],
)
def test_short_files_can_be_probed(name: str, frames: int, size: tuple[int, int]) -> None:
    if not (FOLDER / "bad" / name).exists():
        pytest.skip("no bad/ folder")
    facts = probe(FOLDER / "bad" / name)
    assert (facts.frames, (facts.width, facts.height)) == (frames, size)
