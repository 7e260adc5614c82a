"""Frames and sizes under budgets, against the published formulas, written down here a second time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_files import write

from viubench.runner.preflight import _pads
from viubench.schema import Clip, Resize, Sampling
from viubench.tasks.registry import Catalogue
from viubench.video import sampling
from viubench.video.frame_cache import FrameCache

CATALOGUE = Catalogue()


def published_frames(total: int, rate: float, fps: float, least: int, most: int) -> list[int]:
    """What qwen-vl-utils shows of a video of `total` frames."""
    wanted = total / rate * fps
    count = min(min(max(wanted, math.ceil(least / 2) * 2), most // 2 * 2), total)
    count = math.floor(count / 2) * 2
    return [round(number) for number in np.linspace(0, total - 1, count)]


def published_size(
    height: int, width: int, frames: int, factor: int, least: int, most: int, total: int | None
) -> tuple:
    """The size qwen-vl-utils shows it at."""
    limit: float = most
    if total is not None:
        limit = min(most, max(total / frames * 2, int(least * 1.05)))
    rows, columns = (max(factor, round(side / factor) * factor) for side in (height, width))
    if rows * columns > limit:
        beta = math.sqrt(height * width / limit)
        rows, columns = (math.floor(side / beta / factor) * factor for side in (height, width))
    elif rows * columns < least:
        beta = math.sqrt(least / (height * width))
        rows, columns = (math.ceil(side * beta / factor) * factor for side in (height, width))
    return rows, columns


VIDEOS = [  # seconds, frames a second, height, width
    (1.0, 25.0, 240, 320), (9.96, 25.0, 720, 1280), (61.3, 29.97, 1080, 1920), (1200.0, 30.0, 480, 854),
    (3600.0, 23.976, 1080, 608), (2.0, 2.0, 64, 64),
]  # fmt: skip


@pytest.mark.parametrize("name", ["qwen3-vl-instruct", "qwen3-vl-thinking", "qwen3.5-thinking", "timelens"])
@pytest.mark.parametrize(("seconds", "rate", "height", "width"), VIDEOS)
def test_a_preset_shows_the_frames_and_sizes_of_its_source(
    name: str, seconds: float, rate: float, height: int, width: int
) -> None:
    protocol = CATALOGUE.protocol(name)
    how, resize = protocol.sampling, protocol.resize
    total = round(seconds * rate)
    times = np.arange(total) / rate
    chosen = sampling.choose(times, total / rate, how)
    expected = published_frames(total, rate, how.fps, how.min_frames, how.frames)
    assert chosen.tolist() == expected
    budget = resize.total_pixels or (resize.tokens and resize.tokens * 32 * 32)
    size = published_size(height, width, len(expected), 32, resize.min_pixels, resize.max_pixels, budget)
    assert sampling.fit(height, width, resize, len(expected)) == size


def test_an_hour_of_video_is_2048_frames_and_224k_tokens() -> None:
    protocol = CATALOGUE.protocol("qwen3-vl-thinking")
    times = np.arange(3600 * 30) / 30
    assert len(sampling.choose(times, 3600.0, protocol.sampling)) == 2048
    height, width = sampling.fit(1080, 1920, protocol.resize, 2048)
    tokens = 1024 * (height // 32) * (width // 32)
    assert 0.9 * 224 * 1024 < tokens <= 224 * 1024


@given(
    st.integers(1, 3000), st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 10**6),
    st.sampled_from([14, 28, 32]),
    st.sampled_from(["shape", "smart_resize"]), st.sampled_from([1, 2]),
)  # fmt: skip
def test_a_budget_holds_unless_frames_would_be_too_small(
    frames: int, height: int, width: int, tokens: int, multiple: int, kind: str, group: int
) -> None:
    resize = Resize(kind=kind, tokens=tokens, multiple=multiple, min_pixels=4096, max_pixels=4_000_000, group=group)  # type: ignore[arg-type]
    rows, columns = sampling.fit(height, width, resize, frames)
    assert rows % multiple == columns % multiple == 0 < rows * columns
    limit = sampling.largest(resize, frames)
    if max(height, width) / min(height, width) < 8:
        assert rows * columns <= max(limit, 4096 + 8 * multiple**2 * 8)
    if limit > 1.05 * 4096:
        assert math.ceil(frames / group) * limit <= tokens * multiple**2 + 1e-6
    assert _pads(resize, frames) * multiple**2 <= limit


@given(
    st.integers(1, 400), st.floats(0.2, 40), st.integers(1, 64), st.integers(1, 64), st.sampled_from(["fps", "qwen"])
)
def test_frames_are_as_many_as_the_bounds_say(total: int, fps: float, least: int, most: int, kind: str) -> None:
    how = Sampling(kind=kind, fps=fps, min_frames=min(least, most), frames=max(least, most))  # type: ignore[arg-type]
    times = np.arange(total) / 10
    chosen = sampling.choose(times, total / 10, how)
    assert len(set(chosen.tolist())) == len(chosen) <= how.frames
    assert np.all(np.diff(chosen) > 0)
    assert chosen[0] == 0
    if len(chosen) > 1:
        assert chosen[-1] == total - 1
    lacking = min(how.min_frames, total) - len(chosen)
    assert lacking <= (kind == "qwen")  # an even number


def test_a_window_has_its_own_least_frames() -> None:
    times = np.arange(1000) / 10
    few = Sampling(kind="fps", fps=1, min_frames=16)
    chosen = sampling.choose(times, 100.0, few, 40.0, 44.0)
    assert (len(chosen), chosen[0], chosen[-1]) == (16, 400, 439)
    assert len(sampling.choose(times, 100.0, few.model_copy(update={"min_frames": 1}), 40.0, 44.0)) == 4


def test_a_fixed_size_is_the_size_and_largest_one() -> None:
    fixed = Resize(fixed=(224, 336))
    assert sampling.fit(1080, 1920, fixed, 8) == (224, 336)
    assert sampling.largest(fixed, 8) == 224 * 336


def test_selections_of_different_sizes_are_read_together(tmp_path: Path) -> None:
    """8 and 2 frames under one budget: the two are larger, and each is what it is when read alone."""
    write(tmp_path / "clip.mp4", 100)
    clip, budget = Clip(path="clip.mp4"), Resize(tokens=64, min_pixels=1024, max_pixels=160 * 96)
    ways = [(clip, Sampling(kind="fps", fps=fps, frames=frames)) for fps, frames in ((8, 16), (1, 2), (4, 8))]
    together, alone = FrameCache(tmp_path / "a"), FrameCache(tmp_path / "b")
    keys = together.ensure_all(ways, tmp_path, budget)
    shapes = set()
    for key, (_, how) in zip(keys, ways, strict=True):
        one, other = together.load(str(key)), alone.get(clip, tmp_path, how, budget)
        assert one is not None
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.indices == other.indices
        shapes.add(one.pixels.shape[1:])
    assert len(shapes) > 1


def test_keys_from_before_budgets_stay_what_they_were(tmp_path: Path) -> None:
    cache, clip = FrameCache(tmp_path), Clip(path="x.mp4", start=1.0)
    keys = [cache.key("c", clip, how, Resize()) for how in (Sampling(), Sampling(kind="fps"))]
    assert keys == ["c42bb8987c38329d6b5787f1a21aa9a5", "6f8c56568031fd07905026f996802627"]
    assert cache.key("c", clip, Sampling(kind="fps", min_frames=4), Resize()) not in keys
    assert cache.key("c", clip, Sampling(), Resize(tokens=9)) not in keys


def gemma_size(height: int, width: int, side: int = 48, tokens: int = 70) -> tuple[int, int]:
    """The size that Gemma 4's processor gives a frame."""
    factor = math.sqrt(tokens * side**2 / (height * width))
    return math.floor(factor * height / side) * side, math.floor(factor * width / side) * side


@given(st.integers(16, 4000), st.integers(16, 4000), st.integers(1, 64))
def test_frames_that_fill_their_size_are_left_as_they_are_by_what_fills(height: int, width: int, frames: int) -> None:
    resize = Resize(kind="fill", multiple=48, max_pixels=70 * 48 * 48, tokens=100)
    rows, columns = sampling.fit(height, width, resize, frames)
    assert rows % 48 == columns % 48 == 0 < rows * columns <= 70 * 48 * 48
    assert gemma_size(rows, columns) == (rows, columns)
    assert sampling.largest(resize, frames) == 70 * 48 * 48
    if max(height, width) < 5 * min(height, width):
        assert rows * columns >= 0.7 * 70 * 48 * 48


def test_small_and_large_videos_fill_their_frames_alike() -> None:
    resize = Resize(kind="fill", multiple=48, max_pixels=70 * 48 * 48)
    assert sampling.fit(88, 160, resize) == sampling.fit(352, 640, resize) == sampling.fit(1056, 1920, resize)
