"""Libraries that decode by name: used where their frames are ours to the last bit, and nowhere else."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_files import HEIGHT, WIDTH, write

from viubench.errors import ViubenchError
from viubench.schema import Clip, Resize, Sampling
from viubench.video import decode, readers
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import Pixels
from viubench.video.probe import Probe, probe
from viubench.video.readers import Readers

CHOSEN = np.array([0, 3, 9, 20])
SIZE = (48, 64)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "a.mp4"
    write(path, 24)
    return path


def read(reader: Readers, path: Path, facts: Probe) -> tuple[Pixels, str, str]:
    out = np.empty((len(CHOSEN), *SIZE, 3), np.uint8)
    return out, *reader.read(out, path, facts, CHOSEN, SIZE, name="a")


def library(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> list[list[int]]:
    """Put a decord there that reads by PyAV, but for what is changed; what is asked of it."""
    asked: list[list[int]] = []

    class VideoReader:
        def __init__(self, path: str, num_threads: int) -> None:
            self.path, self.facts = Path(path), probe(Path(path))

        def __len__(self) -> int:
            return self.facts.frames + changed.get("more", 0)

        def get_batch(self, chosen: list[int]) -> Any:
            asked.append(chosen)
            if error := changed.get("error"):
                raise error
            size = (self.facts.height, self.facts.width)
            pixels = decode.read(self.path, self.facts, np.array(chosen), size) + changed.get("off", 0)
            return types.SimpleNamespace(asnumpy=lambda: pixels.astype(np.uint8))

    quiet = types.SimpleNamespace(set_level=lambda level: None, QUIET=0)
    monkeypatch.setitem(sys.modules, "decord", types.SimpleNamespace(VideoReader=VideoReader, logging=quiet))  # type: ignore[arg-type]
    return asked


def test_equal_frames_are_used_once_they_were_compared(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = library(monkeypatch)
    monkeypatch.setattr(readers, "AT_ONCE", 3 * HEIGHT * WIDTH * 3)
    facts, again = probe(clip), Readers("decord", tmp_path)
    ours = decode.read(clip, facts, CHOSEN, SIZE)
    first, second = (read(again, clip, facts) for _ in range(2))
    assert (first[1:], second[1:]) == (("decord", ""), ("decord", ""))
    np.testing.assert_array_equal(first[0], ours)
    np.testing.assert_array_equal(second[0], ours)
    assert asked == [[0, 3, 9], [20]] * 3, "so many frames at once as fit"
    assert read(Readers("decord", tmp_path), clip, facts)[1] == "decord", "the proof is kept"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"off": 1}, "4 of 4 frames are not those of a decode in order"),
        ({"more": 2}, "ValueError: it finds 26 frames of 24"),
        ({"error": RuntimeError("no such codec\nhere")}, "RuntimeError: no such codec"),
    ],
)
def test_other_frames_are_not_used_and_said(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], why: str
) -> None:
    library(monkeypatch, **changed)
    facts, again = probe(clip), Readers("decord", tmp_path)
    ours = decode.read(clip, facts, CHOSEN, SIZE)
    for _ in range(2):
        pixels, reader, note = read(again, clip, facts)
        np.testing.assert_array_equal(pixels, ours)
        assert reader == "pyav"
        assert note == f"decord is not used for h264 in mov,mp4,m4a,3gp,3g2,mj2: {why}"


def test_a_library_that_fails_later_is_followed_by_ours(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(monkeypatch)
    facts, again = probe(clip), Readers("decord", tmp_path)
    read(again, clip, facts)
    library(monkeypatch, error=RuntimeError("lost"))
    assert read(again, clip, facts)[1] == "pyav"


@pytest.mark.parametrize(("slower", "used"), [(True, "pyav"), (False, "decord")])
def test_the_fastest_that_is_proven(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slower: bool, used: str
) -> None:
    library(monkeypatch)
    monkeypatch.setattr(readers, "loads", lambda name: name == "decord")
    took = iter([0.0, 1.0, 1.0, 3.0 if slower else 1.5, *[9.0] * 9])
    monkeypatch.setattr(readers.time, "perf_counter", lambda: next(took))
    facts, again = probe(clip), Readers("fastest", tmp_path)
    read(again, clip, facts)
    assert read(again, clip, facts)[1:] == (used, "")


def test_entries_of_readers_that_tell_no_damage_stand_apart(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(monkeypatch)
    shown = Clip(path="a.mp4"), clip.parent, Sampling(frames=4), Resize(max_pixels=SIZE[0] * SIZE[1])
    caches = [FrameCache(tmp_path, reader=reader) for reader in ("decord", "pyav")]
    theirs, ours = (cache.get(*shown) for cache in caches)
    assert theirs.key != ours.key
    np.testing.assert_array_equal(theirs.pixels, ours.pixels)
    fewer = shown[0], shown[1], Sampling(frames=2), shown[3]
    assert [cache.get(*fewer).reader for cache in caches] == ["decord", "pyav"]


@pytest.mark.parametrize(
    ("name", "said"), [("ffmpeg", "no reader is called 'ffmpeg'"), ("decord", "decord does not load here")]
)
def test_what_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(ViubenchError, match=said):
        Readers(name, tmp_path)
