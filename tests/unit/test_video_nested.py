"""One reading of a file serves every look at it, and frames that are in the store are not decoded again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_files import number, write

from viubench.errors import MediaError
from viubench.schema import Clip, Resize, Sampling
from viubench.video import decode, sampling
from viubench.video.frame_cache import FrameCache
from viubench.video.loader import TOGETHER, Filled, Media
from viubench.video.process_pool import KillablePool

SMALL = Resize(max_pixels=160 * 64, min_pixels=1024)
CLIP = Clip(path="a.mp4")
WAYS = (
    (CLIP, Sampling(frames=8)),
    (CLIP, Sampling(kind="fps", fps=2, frames=64)),
    (Clip(path="a.mp4", start=1.0, end=3.0), Sampling(frames=5)),
    (CLIP, Sampling(kind="indices", indices=(90, 3, 3))),
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    write(root / "a.mp4", 100)
    return root


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The frames of every reading of a file from now on."""
    read, seen = decode.read_into, []

    def noting(out: Any, path: Path, probe: Any, indices: Any, *args: Any, **named: Any) -> Any:
        seen.append(sorted(set(indices.tolist())))
        return read(out, path, probe, indices, *args, **named)

    monkeypatch.setattr(decode, "read_into", noting)
    return seen


def test_looks_at_one_file_are_decoded_in_one_reading(videos: Path, tmp_path: Path, readings: list[list[int]]) -> None:
    alone = [FrameCache(tmp_path / f"s{k}").get(*look(k), SMALL) for k in range(len(WAYS)) for look in [part(videos)]]
    readings.clear()
    store = FrameCache(tmp_path / "together")
    keys = store.ensure_all(WAYS, videos, SMALL)
    assert len(readings) == 1
    for key, other in zip(keys, alone, strict=True):
        assert isinstance(key, str)
        video = store.load(key)
        assert video is not None
        assert (video.pixel_hash(), video.indices, video.times) == (other.pixel_hash(), other.indices, other.times)
        assert [number(picture) for picture in video.pixels] == list(video.indices)


def part(videos: Path) -> Any:
    return lambda k: (WAYS[k][0], videos, WAYS[k][1])


def test_a_look_with_a_fault_does_not_harm_the_others(videos: Path, tmp_path: Path) -> None:
    store = FrameCache(tmp_path / "store")
    looks = [WAYS[0], (Clip(path="a.mp4", start=50.0), Sampling(frames=2)), (Clip(path="gone.mp4"), Sampling())]
    fine, short, gone = store.ensure_all(looks, videos, SMALL)
    assert isinstance(fine, str)
    assert store.load(fine) is not None
    assert isinstance(short, MediaError)
    assert short.fault == "too_short"
    assert isinstance(gone, MediaError)
    assert gone.fault == "missing"


def test_frames_of_another_entry_are_not_decoded_again(videos: Path, tmp_path: Path, readings: list[list[int]]) -> None:
    store = FrameCache(tmp_path / "store")
    wide = store.get(CLIP, videos, Sampling(kind="indices", indices=tuple(range(0, 100, 5))), SMALL)
    narrow = store.get(CLIP, videos, Sampling(kind="indices", indices=(50, 0, 95)), SMALL)
    assert len(readings) == 1
    assert [number(picture) for picture in narrow.pixels] == [50, 0, 95]
    assert (narrow.total, narrow.reader) == (wide.total, wide.reader)
    store.get(CLIP, videos, Sampling(kind="indices", indices=(50, 1)), SMALL)
    assert readings[1:] == [[1, 50]], "one of the two is in no entry"
    store.get(CLIP, videos, Sampling(kind="indices", indices=(50, 0)), Resize(max_pixels=96 * 64, min_pixels=1024))
    assert len(readings) == 3, "another size"


def test_an_entry_that_was_evicted_is_no_source(videos: Path, tmp_path: Path, readings: list[list[int]]) -> None:
    store = FrameCache(tmp_path / "store")
    wide = store.get(CLIP, videos, Sampling(kind="indices", indices=(0, 1, 2)), SMALL)
    (store.root / f"{wide.key}.frames").unlink()
    store.get(CLIP, videos, Sampling(kind="indices", indices=(1,)), SMALL)
    assert readings == [[0, 1, 2], [1]]


@given(st.lists(st.integers(0, 40), min_size=1), st.lists(st.integers(0, 40), min_size=1))
def test_places_finds_every_frame_or_says_that_one_is_missing(wanted: list[int], held: list[int]) -> None:
    found = sampling.places(np.array(wanted), held)
    if set(wanted) <= set(held):
        assert found is not None
        assert [held[place] for place in found] == wanted
    else:
        assert found is None


def test_what_a_run_expects_of_a_file_is_decoded_with_the_first_look(videos: Path, tmp_path: Path) -> None:
    with KillablePool(1, 60) as pool:
        media = Media(FrameCache(tmp_path / "store"), pool)
        wants = [(videos, clip, how, SMALL) for clip, how in WAYS]
        large = (videos, CLIP, Sampling(kind="fps", fps=1000, frames=TOGETHER), SMALL)
        media.expect([*wants, large, *wants])
        keys = [media.decode(want).result() for want in wants]
        assert media.decoded == 1
        assert len(set(keys)) == len(wants)
        assert media.cache.load(media.decode(large).result()) is not None
        assert media.decoded == 2, "more frames than one reading may hold"
        gone = (videos, Clip(path="gone.mp4"), Sampling(), SMALL)
        assert isinstance(media.decode(gone).exception(), MediaError)


def dies_of_several(store: Path, root: Path, looks: Sequence[tuple[Clip, Sampling]], resize: Resize) -> Filled:
    """In a worker process: as `media.fill`, for one look; more are its end, and so is the one at frame 99."""
    if len(looks) > 1 or looks[0][1].indices == (99,):
        os._exit(3)
    return Filled([f"key of {looks[0][1].indices}"], 0.5)


def test_a_look_that_ends_the_worker_does_not_cost_the_others_their_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viubench.video.loader.fill", dies_of_several)
    with KillablePool(1, 60) as pool:
        media = Media(FrameCache(tmp_path / "store"), pool)
        wants = [(tmp_path, CLIP, Sampling(kind="indices", indices=(n,)), SMALL) for n in (1, 99, 2)]
        media.expect(wants)
        first, deadly, last = [media.decode(want) for want in wants]
        assert (first.result(), last.result()) == ("key of (1,)", "key of (2,)")
        assert isinstance(fault := deadly.exception(), MediaError)
        assert fault.fault == "crashed"


def test_questions_that_come_together_share_one_array(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = FrameCache.load

    def counted(self: FrameCache, key: str) -> Any:
        loaded.append(key)
        return load(self, key)

    async def together(media: Media) -> list[Any]:
        return await asyncio.gather(*(media.video((videos, CLIP, Sampling(frames=8), SMALL)) for _ in range(3)))

    with KillablePool(1, 60) as pool:
        media = Media(FrameCache(tmp_path / "store"), pool)
        media.decode((videos, CLIP, Sampling(frames=8), SMALL)).result()
        monkeypatch.setattr(FrameCache, "load", counted)
        first, second, third = asyncio.run(together(media))
        assert first is second
        assert first is third
        assert len(loaded) == 1
