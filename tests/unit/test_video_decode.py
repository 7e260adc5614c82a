"""Decoding: the frame asked for, by either reader, in true colour, or an error."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from video_files import number, patched, write

from viubench.errors import MediaError
from viubench.video import decode
from viubench.video.decode import StaleTable, jumping_pays, read
from viubench.video.probe import Probe, probe

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
    pixels, _ = read(path, facts, np.array(wanted), SIZE)
    assert frames(pixels) == wanted


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_both_readers_give_the_same_pixels(tmp_path: Path, name: str) -> None:
    pytest.importorskip("decord")
    ticks = list(np.cumsum([40, 20, 80] * 40).tolist())
    path = write(tmp_path / name, 120, options={"g": "5"}, ticks=ticks)
    facts = probe(path)
    wanted = np.array([3, 60, 100])
    fast, reader = read(path, facts, wanted, (96, 128))
    slow, other = read(path, replace(facts, random_access=False), wanted, (96, 128))
    assert (reader, other) == ("decord", "pyav")
    np.testing.assert_array_equal(fast, slow)


def test_decord_is_not_believed_when_it_tells_other_times(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 100, options={"g": "1"})
    facts = probe(path)
    wanted = np.array([10, 50, 90])
    shifted = replace(facts, times=facts.times + np.linspace(0, 1, 100))
    fewer = replace(facts, frames=99, times=facts.times[:99])
    for lie in (shifted, fewer, replace(facts, width=facts.height, height=facts.width)):
        pixels, reader = read(path, lie, wanted, SIZE)
        assert (reader, frames(pixels)) == ("pyav", [10, 50, 90])


def test_rotation_is_applied_by_both_readers(tmp_path: Path) -> None:
    """A display matrix that turns the picture clockwise by 90 degrees (ISO/IEC 14496-12, 8.3.2)."""
    one = 1 << 16
    matrix = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    plain = write(tmp_path / "a.mp4", 60, options={"g": "1"})
    turned = patched(plain, tmp_path / "b.mp4", b"tkhd", 44, matrix)
    wanted = np.array([20, 50])
    upright, _ = read(plain, probe(plain), wanted, SIZE)
    facts = probe(turned)
    slow, _ = read(turned, replace(facts, random_access=False), wanted, SIZE[::-1])
    np.testing.assert_array_equal(slow, np.rot90(upright, -1, axes=(1, 2)))
    np.testing.assert_array_equal(read(turned, facts, wanted, SIZE[::-1])[0], slow)


def test_order_and_repeats_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 60)
    pixels, _ = read(path, probe(path), np.array([40, 7, 7, 59, 0]), SIZE)
    assert frames(pixels) == [40, 7, 7, 59, 0]


@pytest.mark.parametrize(
    ("keys", "wanted", "pays"),
    [
        ([0, 100, 200], [100, 200], True),  # 2 frames instead of 201
        ([0], [10, 20], False),  # one group: everything is decoded anyway
        ([0, 100, 200], [50, 150, 250], False),  # 153 instead of 251
        ([0, 100, 200], [101, 102, 103], True),  # the way from one to the next is not paid twice
        ([], [5], False),
    ],
)
def test_jumping_only_where_it_pays(tmp_path: Path, keys: list[int], wanted: list[int], pays: bool) -> None:
    facts = Probe("h264", "yuv420p", "", 64, 64, 0, 25.0, np.arange(300) / 25, 300, 12.0, True, np.arange(300),
                  np.array(keys, np.int64))  # fmt: skip
    assert jumping_pays(facts, np.array(wanted)) is pays
    assert not jumping_pays(replace(facts, random_access=False), np.array(wanted))


@pytest.mark.parametrize("size", [(32, 96), (128, 320)])
def test_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write(tmp_path / "a.mp4", 30)
    pixels, _ = read(path, probe(path), np.array([5, 21]), size)
    assert pixels.shape == (2, *size, 3)
    assert pixels.dtype == np.uint8
    assert frames(pixels) == [5, 21]


def test_tiny_and_odd_sides(tmp_path: Path) -> None:
    for sides in ((2, 2), (33, 161)):
        path = write(tmp_path / f"{sides[0]}.mkv", 5, pixel_format="yuv444p", size=sides)
        pixels, _ = read(path, probe(path), np.arange(5), (32, 32))
        assert pixels.shape == (5, 32, 32, 3)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("matrix", [1, 5])
def test_colours_follow_the_declared_matrix(tmp_path: Path, pixel_format: str, matrix: int) -> None:
    """BT.709 (1) and BT.601 (5) streams show the same picture."""
    path = write(tmp_path / "a.mp4", 3, pixel_format=pixel_format, colorspace=matrix, options={"crf": "1"})
    pixels, _ = read(path, probe(path), np.array([2]), SIZE)
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
    assert 110 <= bad <= 121
    pixels, _ = read(path, facts, np.arange(bad), SIZE)
    assert frames(pixels) == list(range(bad))
    after, _ = read(path, facts, np.array([155, 199]), SIZE)
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
    assert len(read(path, facts, np.arange(3), SIZE)[0]) == 3
    with pytest.raises(MediaError, match="too large"):
        read(path, facts, np.arange(4), SIZE)


def test_a_size_that_changes_on_the_way(tmp_path: Path) -> None:
    """Two joined transport streams of different size: every frame arrives, at the size asked for."""
    parts = [write(tmp_path / f"{side}.ts", 20, size=(side, 2 * side + 32)) for side in (64, 128)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    facts = probe(joined)
    pixels, _ = read(joined, facts, np.arange(facts.frames), SIZE)
    assert frames(pixels)[:20] == list(range(20))
    assert frames(pixels)[-1] == 19


@pytest.mark.parametrize("wanted", [[3], [1, 58]])
def test_nothing_is_written_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str], wanted: list[int]) -> None:
    path = damaged(write(tmp_path / "a.mp4", 60, options={"g": "5"}), 30)
    assert frames(read(path, probe(path), np.array(wanted), SIZE)[0]) == wanted
    with pytest.raises(MediaError, match="corrupt"):
        read(path, replace(probe(path), random_access=False), np.arange(60), SIZE)
    assert capfd.readouterr() == ("", "")
