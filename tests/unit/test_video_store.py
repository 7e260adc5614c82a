"""The frame store: decoded once, keyed by content, bounded, shared, never wrong."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from video_files import barcode, number, write

from viubench.errors import MediaError, ViubenchError
from viubench.schema import Clip, Resize, Sampling
from viubench.storage import atomic
from viubench.video import decode, frame_cache
from viubench.video.frame_cache import FrameCache, default_root
from viubench.video.frames import VideoInput
from viubench.video.loader import Media

EIGHT = Sampling(frames=8)
SMALL = Resize(max_pixels=160 * 64, min_pixels=1024)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    write(root / "a.mp4", 100)
    write(root / "b.mp4", 60)
    return root


@pytest.fixture
def frames(tmp_path: Path) -> FrameCache:
    return FrameCache(tmp_path / "store")


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(decode, "read_into", refuse)


def entries(frames: FrameCache) -> list[str]:
    return sorted(path.stem for path in frames.root.glob("*.frames"))


def same(one: VideoInput, other: VideoInput) -> bool:
    return one.pixel_hash() == other.pixel_hash() and (one.indices, one.times, one.fps, one.total, one.duration) == (
        other.indices,
        other.times,
        other.fps,
        other.total,
        other.duration,
    )


def test_a_clip_and_its_metadata(videos: Path, frames: FrameCache) -> None:
    video = frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL)
    assert [number(picture) for picture in video.pixels] == list(video.indices)
    assert video.pixels.shape == (8, 64, 160, 3)
    assert (video.total, video.fps, video.duration) == (100, pytest.approx(25), pytest.approx(4.0))
    np.testing.assert_allclose(video.times, np.array(video.indices) / 25, atol=1e-9)
    assert video.reader == "pyav"
    assert video.source == frames.content(Clip(path="a.mp4"), videos)
    assert entries(frames) == [video.key]
    assert not video.pixels.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        video.pixels[0] = 0


def test_the_second_look_decodes_nothing(
    videos: Path, frames: FrameCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL)
    no_decoding(monkeypatch)
    again = FrameCache(frames.root)
    assert same(again.get(Clip(path="a.mp4"), videos, EIGHT, SMALL), first)
    loaded = again.load(first.key)
    assert loaded is not None
    assert loaded.key == first.key
    assert again.load("0" * 32) is None
    shutil.copy(videos / "a.mp4", tmp_path / "elsewhere.mp4")
    assert same(again.get(Clip(path="elsewhere.mp4"), tmp_path, EIGHT, SMALL), first), "content decides, not the name"


def test_the_key_tells_apart_what_is_seen(frames: FrameCache) -> None:
    clip = Clip(path="a.mp4")
    keys = [
        frames.key("c", clip, EIGHT, SMALL),
        frames.key("d", clip, EIGHT, SMALL),
        frames.key("c", clip, Sampling(frames=9), SMALL),
        frames.key("c", clip, Sampling(frames=8, middle=0.8), SMALL),
        frames.key("c", clip, Sampling(kind="fps", frames=8), SMALL),
        frames.key("c", clip, Sampling(kind="indices", indices=(1, 2)), SMALL),
        frames.key("c", clip, EIGHT, Resize()),
        frames.key("c", Clip(path="a.mp4", start=1.0), EIGHT, SMALL),
        frames.key("c", Clip(path="a.mp4", end=1.0), EIGHT, SMALL),
        frames.key("c", Clip(frame_files=("a",), frame_fps=2), EIGHT, SMALL),
        frames.key("c", Clip(frame_files=("a",), frame_fps=3), EIGHT, SMALL),
    ]
    assert len(set(keys)) == len(keys)
    assert frames.key("c", clip, Sampling(frames=8, fps=9), SMALL) == keys[0], "`even` does not look at fps"
    assert frames.key("c", Clip(path="other/name.mp4"), EIGHT, SMALL) == keys[0]


def test_the_reader_version_is_part_of_the_key(frames: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    before = frames.key("c", Clip(path="a.mp4"), EIGHT, SMALL)
    monkeypatch.setattr(frame_cache, "READER_VERSION", frame_cache.READER_VERSION + 1)
    assert frames.key("c", Clip(path="a.mp4"), EIGHT, SMALL) != before


def test_bounds_and_given_indices(videos: Path, frames: FrameCache) -> None:
    piece = frames.get(Clip(path="a.mp4", start=1.0, end=2.0), videos, EIGHT, SMALL)
    assert all(1.0 <= second < 2.0 for second in piece.times)
    assert piece.duration == pytest.approx(4.0)
    given = frames.get(Clip(path="a.mp4"), videos, Sampling(kind="indices", indices=(90, 3, 3)), SMALL)
    assert [number(picture) for picture in given.pixels] == [90, 3, 3]


def test_a_changed_file_is_noticed(videos: Path, frames: FrameCache, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    shutil.copy(videos / "a.mp4", path)
    content = frames.content(Clip(path="a.mp4"), tmp_path)
    clip = Clip(path="a.mp4", content=content)
    assert frames.get(clip, tmp_path, EIGHT, SMALL).total == 100
    shutil.copy(videos / "b.mp4", path)
    with pytest.raises(MediaError, match=r"a\.mp4: changed"):
        frames.get(clip, tmp_path, EIGHT, SMALL)
    assert frames.get(Clip(path="a.mp4"), tmp_path, EIGHT, SMALL).total == 60


DAMAGE = ("pixels", "short", "head", "empty")


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "pixels":
        data[-1000] ^= 1
    path.unlink()
    path.write_bytes({"short": data[:-5], "head": data[3:], "empty": b""}.get(how, data))


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_entry_is_decoded_again(videos: Path, frames: FrameCache, how: str) -> None:
    first = frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL)
    whole = first.pixel_hash()
    path = frames.root / f"{first.key}.frames"
    damage(path, how)
    assert frames.load(first.key) is None
    assert not path.exists()
    assert frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL).pixel_hash() == whole


class Here:
    """Does the jobs of a pool at once, in this process."""

    jobs = 0

    def submit(self, fn: Callable[..., Any], *args: Any, name: str) -> Future[Any]:
        self.jobs += 1
        done: Future[Any] = Future()
        done.set_result(fn(*args))
        return done


@pytest.mark.parametrize("how", ["", *DAMAGE])
def test_a_run_loads_an_entry_once_and_has_a_damaged_one_decoded_again(
    videos: Path, frames: FrameCache, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL)
    whole, loads = first.pixel_hash(), []
    if how:
        damage(frames.root / f"{first.key}.frames", how)
    load = FrameCache.load
    monkeypatch.setattr(FrameCache, "load", lambda self, key: loads.append(key) or load(self, key))
    pool = Here()
    video = asyncio.run(Media(frames, pool).video((videos, Clip(path="a.mp4"), EIGHT, SMALL)))  # type: ignore[arg-type]
    assert video.pixel_hash() == whole
    assert pool.jobs == (2 if how == "pixels" else 1), "only who reads the pixels can see that they changed"
    assert how or len(loads) == 1


def test_one_bit_that_flips_anywhere_in_the_cache_changes_nothing(videos: Path, frames: FrameCache) -> None:
    clip = Clip(path="a.mp4")
    whole, facts = frames.get(clip, videos, EIGHT, SMALL), frames.probe(clip, videos)
    expected = clip.model_copy(update={"content": whole.source})  # of an item: another hash is a `changed` video
    files = [path for path in frames.root.rglob("*") if path.is_file() and path.stat().st_size]
    draw = random.Random(0)
    for file in files:
        data = file.read_bytes()
        head = len(data) - whole.pixels.nbytes if file.suffix == ".frames" else len(data)
        for at in [*draw.sample(range(head), min(head, 25)), len(data) - 1]:
            file.unlink(missing_ok=True)  # what is mapped keeps its bytes
            file.write_bytes(data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :])
            again = frames.get(expected, videos, EIGHT, SMALL)
            assert same(again, whole), f"{file} {at}"
            np.testing.assert_array_equal(frames.probe(clip, videos).times, facts.times)
            assert frames.probe(clip, videos).random_access == facts.random_access


@pytest.mark.parametrize("name", ["x" * 300, "y/" * 3000, "a\ud800.mp4", "a\0.mp4"])
def test_a_name_that_no_file_can_have_is_a_fault_of_its_row(videos: Path, frames: FrameCache, name: str) -> None:
    with pytest.raises(MediaError) as caught:
        frames.get(Clip(path=name), videos, EIGHT, SMALL)
    assert caught.value.fault in ("missing", "outside_root")
    assert len(str(caught.value)) < 300


def test_a_file_that_may_not_be_read_is_unreadable(
    videos: Path, frames: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(MediaError, match=r"a\.mp4: unreadable \(Permission denied\)"):
        frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL)


def test_a_damaged_table_is_measured_again(videos: Path, frames: FrameCache) -> None:
    clip = Clip(path="a.mp4")
    facts = frames.probe(clip, videos)
    (table,) = (frames.root / "tables").iterdir()
    for junk in (b"", b"PK\3\4 junk", table.read_bytes()[:300]):
        table.write_bytes(junk)
        np.testing.assert_array_equal(frames.probe(clip, videos).times, facts.times)
    np.testing.assert_array_equal(frames.probe(clip, videos).keys, facts.keys)
    assert frames.probe(clip, videos).random_access == facts.random_access


def test_the_least_recently_used_goes_first(videos: Path, tmp_path: Path) -> None:
    one = 8 * 64 * 160 * 3
    frames = FrameCache(tmp_path / "store", max_bytes=3 * one + 9000)
    clips = [Sampling(kind="indices", indices=tuple(range(start, start + 8))) for start in range(5)]
    videos_shown = [frames.get(Clip(path="a.mp4"), videos, how, SMALL) for how in clips[:3]]
    for age, video in enumerate(videos_shown):
        os.utime(frames.root / f"{video.key}.frames", (1000 + age, 1000 + age))
    frames.load(videos_shown[0].key)
    newest = frames.get(Clip(path="a.mp4"), videos, clips[3], SMALL)
    assert entries(frames) == sorted([videos_shown[0].key, videos_shown[2].key, newest.key])
    assert [number(picture) for picture in videos_shown[1].pixels] == list(range(1, 9)), "still mapped by who has it"


def test_other_bytes_than_an_item_was_built_from_are_told(videos: Path, tmp_path: Path) -> None:
    frames = FrameCache(tmp_path / "store")
    how = Sampling(kind="indices", indices=(0, 1))
    whole = Clip(path="a.mp4", content=frames.content(Clip(path="a.mp4"), videos))
    assert len(frames.get(whole, videos, how, SMALL)) == 2
    with pytest.raises(MediaError, match="not the bytes"):
        frames.get(Clip(path="a.mp4", content="0" * 32), videos, how, SMALL)


def test_one_entry_larger_than_the_store_is_kept(videos: Path, tmp_path: Path) -> None:
    frames = FrameCache(tmp_path / "store", max_bytes=10)
    for how in (EIGHT, Sampling(frames=4)):
        video = frames.get(Clip(path="a.mp4"), videos, how, SMALL)
        assert entries(frames) == [video.key]


def test_a_table_the_decoder_disagrees_with_is_counted_anew(
    videos: Path, frames: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = decode.read_into, []

    def picky(out: Any, path: Path, facts: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(len(facts.pts))
        if len(facts.pts):
            raise decode.StaleTable("corrupt", "a.mp4", "frame 3 is not where its packet says")
        return real(out, path, facts, *args, **kwargs)

    monkeypatch.setattr(decode, "read_into", picky)
    video = frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL)
    assert [number(picture) for picture in video.pixels] == list(video.indices)
    assert asked == [100, 0]
    assert len(frames.probe(Clip(path="a.mp4"), videos).pts) == 0, "the counted table is remembered"


def test_extracted_frames(tmp_path: Path, frames: FrameCache) -> None:
    names = tuple(f"{index:03}.png" for index in range(30))
    for index, name in enumerate(names):
        cv2.imwrite(str(tmp_path / name), barcode(index)[:, :, ::-1])
    clip = Clip(frame_files=names, frame_fps=3)
    video = frames.get(clip, tmp_path, EIGHT, SMALL)
    assert [number(picture) for picture in video.pixels] == list(video.indices)
    assert (video.reader, video.total, video.fps, video.duration) == ("images", 30, 3.0, 10.0)
    np.testing.assert_allclose(video.times, np.array(video.indices) / 3)
    assert np.abs(video.pixels[0, 60, 150].astype(int) - (200, 60, 90)).max() <= 3, "red is red"
    with pytest.raises(ViubenchError, match="frame_fps"):
        frames.get(Clip(frame_files=names), tmp_path, EIGHT, SMALL)
    with pytest.raises(MediaError, match=r"gone\.png: missing"):
        frames.get(Clip(frame_files=("000.png", "gone.png"), frame_fps=3), tmp_path, EIGHT, SMALL)
    (tmp_path / "004.png").write_text("no image")
    with pytest.raises(MediaError, match=r"004\.png: corrupt"):
        frames.get(clip, tmp_path, Sampling(kind="fps", fps=3, frames=99), SMALL)


@pytest.mark.parametrize("name", ["../a.mp4", "/etc/passwd"])
def test_paths_stay_inside(videos: Path, frames: FrameCache, name: str) -> None:
    for clip in (Clip(path=name), Clip(frame_files=(name,), frame_fps=1)):
        with pytest.raises(MediaError) as caught:
            frames.get(clip, videos, EIGHT, SMALL)
        assert (caught.value.fault, caught.value.path) == ("outside_root", name)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ViubenchError, match="cannot be written"):
        FrameCache(tmp_path / "file" / "store")


def test_a_folder_in_the_place_of_an_entry_gives_way(videos: Path, tmp_path: Path) -> None:
    frames = FrameCache(tmp_path / "store")
    first = frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL)
    for path in [path for path in (tmp_path / "store").rglob("*") if path.is_file()]:
        path.unlink()
        path.mkdir()
    assert frames.load(first.key) is None
    again = FrameCache(tmp_path / "store")
    assert again.ensure_all([(Clip(path="a.mp4"), EIGHT)], videos, SMALL) == [first.key]
    assert again.get(Clip(path="a.mp4"), videos, EIGHT, SMALL).pixel_hash() == first.pixel_hash()


def test_a_folder_that_holds_something_is_named_and_kept(videos: Path, tmp_path: Path) -> None:
    frames = FrameCache(tmp_path)
    entry = tmp_path / f"{frames.get(Clip(path='a.mp4'), videos, EIGHT, SMALL).key}.frames"
    entry.unlink()
    (entry / "mine").mkdir(parents=True)
    with pytest.raises(ViubenchError, match="cannot be written") as told:
        frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL)
    assert told.value.where == str(entry)
    assert (entry / "mine").is_dir()


def fill(root: Path, videos: Path, results: Any) -> None:
    frames = FrameCache(root, max_bytes=200_000)
    hashes = [
        (how.frames, frames.get(Clip(path=name), videos, how, SMALL).pixel_hash())
        for _ in range(3)
        for name in ("a.mp4", "b.mp4")
        for how in (EIGHT, Sampling(frames=3), Sampling(frames=5))
    ]
    results.put(hashes)


def test_processes_share_one_store(videos: Path, tmp_path: Path) -> None:
    """Three processes fill, read and evict in one small folder at once; all see the same pixels."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=fill, args=(tmp_path / "store", videos, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    told = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert told[0] == told[1] == told[2]
    left = [path.name for path in (tmp_path / "store").iterdir() if path.name.startswith(".")]
    assert left == []


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path))
    assert default_root() == tmp_path / "frames"
    monkeypatch.delenv("VIUBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_root() == tmp_path / "cache" / "viubench" / "frames"


def test_what_a_killed_writer_left_is_cleared_away_and_what_is_being_written_is_not(
    videos: Path, tmp_path: Path
) -> None:
    frames = FrameCache(tmp_path / "store", max_bytes=1)
    left, young = (frames.root / f".{name}.frames.1{atomic.ASIDE}" for name in ("left", "young"))
    for path in (left, young):
        path.write_bytes(b"half")
    os.utime(left, (0, 0))
    frames.get(Clip(path="a.mp4"), videos, EIGHT, SMALL)
    assert not left.exists()
    assert young.exists()
