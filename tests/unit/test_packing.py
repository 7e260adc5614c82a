"""Compressed frames: the same pixels again, damage told, and when a run compresses."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import viubench
from viubench.schema import Clip, Resize, Sampling
from viubench.video import entries
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import Pixels
from viubench.video.packing import packed, unpacked

FRAMES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


@given(FRAMES)
def test_a_frame_comes_back_bit_for_bit(frame: Pixels) -> None:
    again = unpacked(packed(frame), frame.shape[:2])
    assert again.dtype == np.uint8
    assert np.array_equal(again, frame)


@given(FRAMES, st.data())
def test_damaged_bytes_are_refused_or_give_a_frame_of_the_size(frame: Pixels, data: st.DataObject) -> None:
    made = bytearray(packed(frame))
    at = data.draw(st.integers(0, len(made) - 1))
    made[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):  # an entry's checksum tells what this does not
        assert unpacked(bytes(made), frame.shape[:2]).shape == frame.shape


@pytest.mark.parametrize(
    ("room", "compress", "expected"),
    [(1.0, None, False), (0.001, None, True), (0.001, False, False), (1.0, True, True)],
)
def test_a_run_compresses_where_its_frames_are_more_than_the_cache_keeps(
    clips: Path, tmp_path: Path, room: float, compress: bool | None, expected: bool
) -> None:
    items, cache = tmp_path / "items", tmp_path / "cache"
    viubench.build_items("viubench-mini", str(clips), str(items), n=1, frame_cache=tmp_path / "other")
    viubench.evaluate(
        engine="pixels", tasks=str(items), videos=None, limit=1, frame_cache=cache, frame_cache_gb=room,
        frame_cache_compress=compress, out=tmp_path / "run",
    )  # fmt: skip
    lines = [path.open("rb").readline() for path in cache.glob("*.frames")]
    assert lines
    assert all((b'"packed"' in line) is expected for line in lines)


def test_a_compressed_entry_has_the_same_frames_in_less_room(clips: Path, tmp_path: Path) -> None:
    clip = Clip(path=sorted(path.name for path in clips.iterdir())[0])
    how = Sampling(frames=6), Resize(max_pixels=65536, min_pixels=1024)
    raw, small = FrameCache(tmp_path / "raw"), FrameCache(tmp_path / "small", compress=True)
    first, second = raw.get(clip, clips, *how), small.get(clip, clips, *how)
    assert np.array_equal(first.pixels, second.pixels)
    assert first.pixel_hash() == second.pixel_hash()
    assert (first.times, first.indices, first.key) == (second.times, second.indices, second.key)
    assert not second.pixels.flags.writeable
    sizes = [(store.root / f"{first.key}.frames").stat().st_size for store in (raw, small)]
    assert sizes[1] < sizes[0] / 1.5
    path = small.root / f"{first.key}.frames"
    assert entries.is_whole(path)
    # A cache may hold both kinds: what is there is read, whatever new entries are.
    assert FrameCache(small.root).get(clip, clips, *how).pixel_hash() == first.pixel_hash()
    fewer = FrameCache(small.root).get(clip, clips, Sampling(frames=2), how[1])
    assert np.array_equal(fewer.pixels, raw.get(clip, clips, Sampling(frames=2), how[1]).pixels)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_compressed_entry_is_decoded_again(clips: Path, tmp_path: Path, damage: str) -> None:
    clip = Clip(path=sorted(path.name for path in clips.iterdir())[0])
    how = Sampling(frames=4), Resize(max_pixels=16384, min_pixels=1024)
    store = FrameCache(tmp_path, compress=True)
    before = store.get(clip, clips, *how)
    path = tmp_path / f"{before.key}.frames"
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[-7:]
    else:
        data[-7] ^= 0xFF
    path.write_bytes(data)
    assert entries.is_whole(path) is (damage == "flipped")
    assert store.load(before.key) is None
    assert not path.exists()
    assert store.get(clip, clips, *how).pixel_hash() == before.pixel_hash()
