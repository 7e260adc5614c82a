"""Probing: true times whatever the header says, and one clear fault for every file that cannot be used."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from video_files import barcode, patched, write

from viubench.errors import MediaError
from viubench.video import probe as probing
from viubench.video.container import packets
from viubench.video.decoder import Decoder
from viubench.video.keyframes import is_clean_entry, is_disposable
from viubench.video.paths import resolve
from viubench.video.probe import probe


def fault(path: Path) -> tuple[str, str]:
    with pytest.raises(MediaError) as caught:
        probe(path, name="clip")
    assert caught.value.path == "clip"
    return caught.value.fault, caught.value.detail


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("probe") / "a.mp4", 100, movflags="faststart")


def test_facts_of_a_plain_mp4(mp4: Path) -> None:
    facts = probe(mp4)
    assert (facts.codec, facts.pixel_format, facts.width, facts.height) == ("h264", "yuv420p", 160, 64)
    assert (facts.frames, facts.rotation, facts.random_access) == (100, 0, True)
    assert facts.fps == pytest.approx(25)
    assert facts.duration == pytest.approx(4.0)
    np.testing.assert_allclose(facts.times, np.arange(100) / 25, atol=1e-9)


def test_variable_frame_rate_keeps_true_times(tmp_path: Path) -> None:
    ticks = [0, 40, 80, 200, 400, 420, 440, 1000, 1500, 1540]
    path = write(tmp_path / "vfr.mkv", 10, ticks=[tick + 700 for tick in ticks])
    facts = probe(path)
    np.testing.assert_allclose(facts.times, np.array(ticks) / 1000, atol=1e-9)
    assert facts.duration == pytest.approx(1.54 + 0.04, abs=0.081)
    assert facts.fps == pytest.approx(10 / facts.duration)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx"), ("b.webm", "libvpx-vp9")]
)
def test_packets_and_counting_agree(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, 60, codec=codec, options={"auto-alt-ref": "1", "lag-in-frames": "16", "g": "20"})
    by_packets, counted = probe(path), probe(path, count=True)
    assert len(by_packets.pts) == 60
    assert len(counted.pts) == 0
    np.testing.assert_allclose(by_packets.times, counted.times, atol=1e-9)
    assert not counted.random_access


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.avi", "mpeg4"),
        ("a.ts", "libx264"),
        ("a.mpg", "mpeg2video"),
        ("a.h264", "libx264"),
        ("a.y4m", "rawvideo"),
    ],
)
def test_containers_without_trustworthy_times_are_counted(tmp_path: Path, name: str, codec: str) -> None:
    facts = probe(write(tmp_path / name, 50, codec=codec))
    assert facts.frames == 50
    assert not facts.random_access
    assert len(facts.pts) == 0
    np.testing.assert_allclose(facts.times, np.arange(50) / 25, atol=0.0015)


def test_entries_that_are_not_clean_forbid_random_access(tmp_path: Path) -> None:
    """Open groups of pictures and intra refresh: seeking there gives wrong pixels without an error."""
    closed = write(tmp_path / "closed.mp4", 90, options={"x264-params": "keyint=30:open-gop=0"})
    opened = write(tmp_path / "open.mp4", 90, options={"x264-params": "keyint=30:open-gop=1:bframes=4:b-adapt=0"})
    refresh = write(tmp_path / "refresh.mp4", 90, options={"x264-params": "keyint=30:intra-refresh=1:bframes=0"})
    assert probe(closed).random_access
    assert not probe(opened).random_access
    assert not probe(refresh).random_access


def test_other_pixel_formats_are_read_in_order(tmp_path: Path) -> None:
    for pixel_format in ("yuv444p", "yuv420p10le"):
        facts = probe(write(tmp_path / f"{pixel_format}.mp4", 20, pixel_format=pixel_format))
        assert (facts.pixel_format, facts.random_access) == (pixel_format, False)


def test_clean_entry_reads_the_slices() -> None:
    avcc, hvcc = bytes([1, 0, 0, 0, 3]), bytes([1] + [0] * 20 + [3])

    def packet(*heads: int) -> bytes:
        return b"".join(struct.pack(">I", 3) + bytes([head, 0, 0]) for head in heads)

    assert is_clean_entry("h264", avcc, packet(6, 5, 5))
    assert not is_clean_entry("h264", avcc, packet(6, 1))
    assert not is_clean_entry("h264", avcc, packet(5, 1))
    assert not is_clean_entry("h264", b"", packet(5))
    assert is_clean_entry("hevc", hvcc, packet(39 << 1, 19 << 1))
    assert not is_clean_entry("hevc", hvcc, packet(1 << 1))
    assert is_clean_entry("vp9", b"", b"\0")


def test_hidden_vp8_frames_have_no_time(tmp_path: Path) -> None:
    """A packet whose show_frame bit is off gives no picture."""
    path = write(tmp_path / "a.webm", 30, codec="libvpx")
    with av.open(str(path)) as container:
        packet = [bytes(found) for found in container.demux(video=0)][10]
    hidden = patched(path, tmp_path / "b.webm", packet, 0, bytes([packet[0] & ~0x10]))
    by_packets, counted = probe(hidden), probe(hidden, count=True)
    assert (by_packets.frames, len(by_packets.pts)) == (29, 29)
    np.testing.assert_allclose(by_packets.times, counted.times, atol=1e-9)


def test_edit_lists_are_followed(mp4: Path, tmp_path: Path) -> None:
    """A clip trimmed in the header alone: only the frames inside the edit are shown."""
    data = mp4.read_bytes()
    place = data.index(b"elst")
    (movie_scale,) = struct.unpack(">I", data[data.index(b"mvhd") + 16 :][:4])
    (media_scale,) = struct.unpack(">I", data[data.index(b"mdhd") + 16 :][:4])
    _, start = struct.unpack(">Ii", data[place + 12 : place + 20])
    edit = struct.pack(">Ii", 2 * movie_scale, start + media_scale)  # from 1 s, for 2 s
    facts = probe(patched(mp4, tmp_path / "trimmed.mp4", b"elst", 12, edit))
    assert facts.frames == 50
    assert not facts.random_access


def test_rotation_swaps_the_sides(mp4: Path, tmp_path: Path) -> None:
    one = 1 << 16
    matrix = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    facts = probe(patched(mp4, tmp_path / "turned.mp4", b"tkhd", 44, matrix))
    assert (facts.width, facts.height) == (64, 160)
    assert facts.rotation in (90, 270)


def test_missing_and_not_regular(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.mp4")[0] == "missing"
    assert fault(tmp_path)[0] == "not_a_video"
    os.mkfifo(tmp_path / "pipe.mp4")
    assert fault(tmp_path / "pipe.mp4") == ("not_a_video", "not a regular file")


def test_other_contents(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"")
    assert fault(path)[0] == "empty"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    assert fault(path)[0] == "lfs_pointer"
    path.write_text("just a few words\n" * 100)
    assert fault(path)[0] == "not_a_video"
    path.write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    assert fault(path)[0] == "not_a_video"
    path.write_bytes(cv2.imencode(".jpg", barcode(3))[1].tobytes())
    assert fault(path)[0] == "not_a_video"


def test_audio_only(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert fault(path) == ("no_video_stream", "audio streams only")


def test_unknown_codec(mp4: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(mp4.read_bytes().replace(b"avc1", b"zzz1"))
    assert fault(path)[0] == "no_decoder"


def test_cut_short_with_the_index_in_front(mp4: Path, tmp_path: Path) -> None:
    data = mp4.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2])
    kind, detail = fault(path)
    assert kind == "truncated"
    there, promised = detail.removesuffix(" frames decode").split(" of ")
    assert 0 < int(there) < 100 == int(promised)


def test_cut_short_with_the_index_at_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 50)
    path.write_bytes(path.read_bytes()[:-200])
    assert fault(path) == ("truncated", "the index (moov box) is missing or cut off")


@pytest.mark.parametrize(("name", "codec"), [("a.webm", "libvpx"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_cut_short_elsewhere(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, 200, codec=codec)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    kind, detail = fault(path)
    assert kind == "truncated"
    assert " of " in detail


def test_a_made_up_duration_is_not_truncation(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 50, movflags="frag_keyframe+empty_moov")
    data = path.read_bytes()
    for box in (b"mvhd", b"mdhd"):
        (scale,) = struct.unpack(">I", data[data.index(box) + 16 :][:4])
        patched(path, path, box, 20, struct.pack(">I", 3900 * scale))
    with av.open(str(path)) as container:
        assert container.duration == 3900e6
    assert probe(path).duration == pytest.approx(2.0)


def test_caps(mp4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "MAX_PIXELS", 1000)
    assert fault(mp4) == ("too_large", "160x64 pixels")
    monkeypatch.setattr(probing, "MAX_PIXELS", 1 << 20)
    monkeypatch.setattr(probing, "MAX_FRAMES", 99)
    assert fault(mp4)[0] == "too_large"


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.mp4", "in/../../a.mp4", "out.mp4", "a\0.mp4"])
def test_paths_that_leave_the_root(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (tmp_path / "a.mp4").write_bytes(b"x")
    (root / "out.mp4").symlink_to(tmp_path / "a.mp4")
    with pytest.raises(MediaError) as caught:
        resolve(root, name)
    assert caught.value.fault == "outside_root"


def test_paths_inside_the_root(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.mp4").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "b.mp4").symlink_to("a.mp4")
    assert resolve(tmp_path / "link", "b.mp4") == (tmp_path / "real" / "a.mp4").resolve()
    with pytest.raises(MediaError) as caught:
        resolve(tmp_path / "link", "c.mp4")
    assert caught.value.fault == "missing"


def test_only_pictures_that_nothing_refers_to_are_disposable() -> None:
    """H.264 NAL units behind two-byte lengths; the first byte is nal_ref_idc (bits 5-6) and type (bits 0-4)."""
    header = bytes([1, 0, 0, 0, 0xFD])

    def packet(*heads: int) -> bytes:
        return b"".join(bytes([0, 2, head, 0]) for head in heads)

    plain, referred, message, delimiter, idr = 0x01, 0x41, 0x06, 0x09, 0x65
    assert is_disposable("h264", header, packet(plain))
    assert is_disposable("h264", header, packet(delimiter, message, plain, plain))
    for kept in ((referred,), (plain, referred), (idr,), (message,), (0x67, plain), (0x02, plain), (0x14, plain)):
        assert not is_disposable("h264", header, packet(*kept)), kept
    assert not is_disposable("h264", b"", packet(plain)), "not length-prefixed"
    assert not is_disposable("hevc", header, packet(plain))


def test_what_a_decoder_raises_on_one_file_is_that_file_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.ts", 10)

    class Stumbles(Decoder):
        def __iter__(self) -> Iterator[Any]:
            yield from itertools.islice(super().__iter__(), 3)
            raise KeyError("side data")

    monkeypatch.setattr(probing, "Decoder", Stumbles)
    with pytest.raises(MediaError, match="the decoder failed: KeyError: 'side data'") as caught:
        probe(path)
    assert caught.value.fault == "corrupt"


def test_streams_that_appear_in_mid_file_end_the_packets_not_the_command() -> None:
    class Late:
        def demux(self, *streams: Any) -> Iterator[Any]:
            yield "packet"
            raise IndexError("list index out of range")

    assert list(packets(Late())) == ["packet"]
