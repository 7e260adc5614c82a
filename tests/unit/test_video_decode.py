"""Decoding: the frame asked for, by either reader, in true colour, or an error."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from video_files import in_order, number, patched, sparse, write

from viubench.errors import MediaError
from viubench.video import decode, seek
from viubench.video.decode import StaleTable, read
from viubench.video.probe import Probe, probe
from viubench.video.seek import saves

SIZE = (64, 160)
KINDS: list[tuple[str, str, dict[str, str]]] = [
    ("a.mp4", "libx264", {}),
    ("intra.mp4", "libx264", {"g": "1"}),
    ("open.mp4", "libx264", {"x264-params": "keyint=20:open-gop=1:bframes=4:b-adapt=0"}),
    ("refresh.mp4", "libx264", {"x264-params": "keyint=20:intra-refresh=1:bframes=0"}),
    ("a.mkv", "libx264", {"g": "12"}),
    ("hevc.mp4", "libx265", {"x265-params": "keyint=20:log-level=none"}),
    ("a.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "15"}),
    ("b.webm", "libvpx-vp9", {"g": "15", "deadline": "realtime", "cpu-used": "8"}),
    ("a.avi", "mpeg4", {"bf": "2"}),
    ("b.mp4", "mpeg4", {"bf": "2", "g": "15"}),
    ("a.mov", "mjpeg", {}),
    ("a.ts", "libx264", {"g": "15"}),
    ("a.mpg", "mpeg2video", {"bf": "2"}),
    ("a.y4m", "rawvideo", {}),
]


def frames(pixels: Any) -> list[int]:
    return [number(picture) for picture in pixels]


@pytest.mark.parametrize(("name", "codec", "options"), KINDS)
@pytest.mark.parametrize("wanted", [[50, 77, 119], [0, 1, 2, 40, 41, 118]])
def test_the_frame_is_the_frame(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], wanted: list[int]
) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write(tmp_path / name, 120, codec=codec, options=options, pixel_format=pixel_format)
    facts = probe(path)
    assert facts.frames == 120
    pixels = read(path, facts, np.array(wanted), SIZE)
    assert frames(pixels) == wanted
    if saves(facts):
        short = sparse(path, facts, np.array(wanted), SIZE)
        assert short is not None
        np.testing.assert_array_equal(short, in_order(path, facts, np.array(wanted), SIZE))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_short_way_decodes_what_it_must_and_no_more(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uneven times, groups of 20 with pictures that nothing refers to: few are decoded, and the frames are the same."""
    ticks = list(np.cumsum([40, 20, 80] * 40).tolist())
    path = write(tmp_path / name, 120, options={"g": "20", "bf": "2", "b-pyramid": "none"}, ticks=ticks)
    facts = probe(path)
    decoded: list[int] = []
    waited = seek._SparseReader._pick

    def counted(self: Any, found: list[Any], waiting: set[int], left: set[int]) -> Any:
        decoded.extend(frame.pts for frame in found)
        return waited(self, found, waiting, left)

    monkeypatch.setattr(seek._SparseReader, "_pick", counted)
    wanted = np.array([43, 45, 101])
    short = sparse(path, facts, wanted, (96, 128))
    assert short is not None
    assert len(decoded) < 20, "groups 40-59 and 100-119 alone, without their B pictures"
    np.testing.assert_array_equal(short, in_order(path, facts, wanted, (96, 128)))


@pytest.mark.parametrize("threads", [1, 4])
def test_any_number_of_threads_gives_the_same_frames(tmp_path: Path, threads: int) -> None:
    path = write(tmp_path / "a.mp4", 120, options={"g": "50"})
    facts, wanted = probe(path), np.array([7, 60, 61, 118])
    short = sparse(path, facts, wanted, SIZE, threads=threads)
    assert short is not None
    assert frames(short) == wanted.tolist()


def test_the_least_doubt_ends_the_short_way(tmp_path: Path) -> None:
    """Times that are not the packets' own, and damage in the group of a wanted frame."""
    path = write(tmp_path / "a.mp4", 100, options={"g": "20"})
    facts, wanted = probe(path), np.array([10, 50, 90])
    assert sparse(path, facts, wanted, SIZE) is not None
    shifted = replace(facts, pts=facts.pts + 1)
    assert sparse(path, shifted, wanted, SIZE) is None
    assert sparse(damaged(path, 41), facts, wanted, SIZE) is None


def test_rotation_is_applied_by_both_readers(tmp_path: Path) -> None:
    """A display matrix that turns the picture clockwise by 90 degrees (ISO/IEC 14496-12, 8.3.2)."""
    one = 1 << 16
    matrix = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    plain = write(tmp_path / "a.mp4", 60, options={"g": "1"})
    turned = patched(plain, tmp_path / "b.mp4", b"tkhd", 44, matrix)
    wanted = np.array([20, 50])
    upright = read(plain, probe(plain), wanted, SIZE)
    facts = probe(turned)
    slow = read(turned, replace(facts, random_access=False), wanted, SIZE[::-1])
    np.testing.assert_array_equal(slow, np.rot90(upright, -1, axes=(1, 2)))
    np.testing.assert_array_equal(read(turned, facts, wanted, SIZE[::-1]), slow)


def test_order_and_repeats_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 60)
    pixels = read(path, probe(path), np.array([40, 7, 7, 59, 0]), SIZE)
    assert frames(pixels) == [40, 7, 7, 59, 0]


@pytest.mark.parametrize(
    ("safe", "groups"),
    [(True, [(0, [3]), (100, [100, 150]), (200, [299])]), (False, [(0, [3, 100, 150, 299])])],
)
def test_frames_are_reached_from_the_key_frame_before_them(safe: bool, groups: list[tuple[int, list[int]]]) -> None:
    facts = Probe("vp8", "yuv420p", "", 64, 64, 0, 25.0, np.arange(300) / 25, 300, 12.0, safe, np.arange(300),
                  np.array([0, 100, 200]))  # fmt: skip
    assert list(seek._groups(facts, np.array([3, 100, 150, 299]))) == groups
    assert saves(facts) is safe
    assert not saves(replace(facts, pts=np.zeros(0, np.int64)))


@pytest.mark.parametrize("size", [(32, 96), (128, 320)])
def test_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write(tmp_path / "a.mp4", 30)
    pixels = read(path, probe(path), np.array([5, 21]), size)
    assert pixels.shape == (2, *size, 3)
    assert pixels.dtype == np.uint8
    assert frames(pixels) == [5, 21]


def test_tiny_and_odd_sides(tmp_path: Path) -> None:
    for sides in ((2, 2), (33, 161)):
        path = write(tmp_path / f"{sides[0]}.mkv", 5, pixel_format="yuv444p", size=sides)
        pixels = read(path, probe(path), np.arange(5), (32, 32))
        assert pixels.shape == (5, 32, 32, 3)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("matrix", [1, 5])
def test_colours_follow_the_declared_matrix(tmp_path: Path, pixel_format: str, matrix: int) -> None:
    """BT.709 (1) and BT.601 (5) streams show the same picture."""
    path = write(tmp_path / "a.mp4", 3, pixel_format=pixel_format, colorspace=matrix, options={"crf": "1"})
    pixels = read(path, probe(path), np.array([2]), SIZE)
    assert np.abs(pixels[0, 56, 100].astype(int) - (200, 60, 90)).max() <= 5


def damaged(path: Path, packet: int) -> Path:
    """Overwrite the inside of one packet."""
    with av.open(str(path)) as container:
        hit = [found for found in container.demux(video=0) if found.size][packet]
    data = bytearray(path.read_bytes())
    first = data.index(bytes(hit)) + hit.size // 8
    last = first + max(hit.size // 2, 4)
    data[first:last] = bytes(byte ^ 0x5A for byte in data[first:last])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9")])
def test_damage_where_frames_are_wanted_is_corrupt(tmp_path: Path, name: str, codec: str) -> None:
    path = damaged(write(tmp_path / name, 200, codec=codec, options={"g": "50"}), 120)
    facts = probe(path)
    with pytest.raises(MediaError) as caught:
        read(path, facts, np.arange(200), SIZE, name="clip")
    assert (caught.value.fault, caught.value.path) == ("corrupt", "clip")
    assert "does not decode cleanly" in caught.value.detail
    bad = int(caught.value.detail.split()[1])
    assert bad == 100, "the group of pictures is not trusted, before the damage either"
    pixels = read(path, facts, np.arange(bad), SIZE)
    assert frames(pixels) == list(range(bad))
    after = read(path, facts, np.array([155, 199]), SIZE)
    assert frames(after) == [155, 199], "a new key frame ends the damage"


def test_a_table_that_does_not_fit_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 40)
    facts = probe(path)
    one_more = replace(facts, pts=np.insert(facts.pts, 20, facts.pts[20] - 1), random_access=False)
    with pytest.raises(StaleTable):
        read(path, one_more, np.array([5, 30]), SIZE)
    times, pts = np.append(facts.times, 9.0), np.append(facts.pts, facts.pts[-1] + 512)
    too_long = replace(facts, pts=pts, times=times, frames=41, random_access=False)
    with pytest.raises(StaleTable, match="frame 40"):
        read(path, too_long, np.array([5, 40]), SIZE)


def test_frames_that_do_not_exist(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 10)
    for wanted in ([10], [-1, 3]):
        with pytest.raises(ValueError, match="10 frames"):
            read(path, probe(path), np.array(wanted), SIZE)


def test_no_more_than_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4", 10)
    monkeypatch.setattr(decode, "MAX_BYTES", 3 * SIZE[0] * SIZE[1] * 3)
    facts = probe(path)
    assert len(read(path, facts, np.arange(3), SIZE)) == 3
    with pytest.raises(MediaError, match="too large"):
        read(path, facts, np.arange(4), SIZE)


def test_a_size_that_changes_on_the_way(tmp_path: Path) -> None:
    """Two joined transport streams of different size: every frame arrives, at the size asked for."""
    parts = [write(tmp_path / f"{side}.ts", 20, size=(side, 2 * side + 32)) for side in (64, 128)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    facts = probe(joined)
    pixels = read(joined, facts, np.arange(facts.frames), SIZE)
    assert frames(pixels)[:20] == list(range(20))
    assert frames(pixels)[-1] == 19


@pytest.mark.parametrize("wanted", [[3], [1, 58]])
def test_nothing_is_written_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str], wanted: list[int]) -> None:
    path = damaged(write(tmp_path / "a.mp4", 60, options={"g": "5"}), 30)
    assert frames(read(path, probe(path), np.array(wanted), SIZE)) == wanted
    with pytest.raises(MediaError, match="corrupt"):
        read(path, replace(probe(path), random_access=False), np.arange(60), SIZE)
    assert capfd.readouterr() == ("", "")
