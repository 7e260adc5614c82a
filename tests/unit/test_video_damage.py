"""Damage is told: by what decoders check, by a second one, by bytes that cannot be; sound files stay as they are."""

from __future__ import annotations

import random
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import frames_of, sparse, write

from viubench.errors import MediaError
from viubench.schema import Clip, Resize, Sampling
from viubench.video import decoder
from viubench.video.container import opened
from viubench.video.decode import read
from viubench.video.decoder import AHEAD, Decoder, Span
from viubench.video.frame_cache import FrameCache
from viubench.video.keyframes import is_broken
from viubench.video.pixels import ToRGB
from viubench.video.probe import probe

SIZE = (64, 160)
FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
VPX = {"g": "25", "deadline": "realtime", "cpu-used": "8", "threads": "1"}
NOISE = random.Random(4).randbytes(40)


def outcome(path: Path, frames: int = 100) -> str:
    """The fault of reading every frame, or "ok"."""
    try:
        read(path, probe(path), np.arange(frames), SIZE)
    except MediaError as error:
        return error.fault
    return "ok"


def spoil(path: Path, packet: int, new: bytes, at: float = 0.4) -> Path:
    """Overwrite bytes inside one packet."""
    with av.open(str(path)) as container:
        hit = bytes([found for found in container.demux(video=0) if found.size][packet])
    data = bytearray(path.read_bytes())
    first = data.index(hit) + int(at * len(hit))
    data[first : first + len(new)] = new
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "codec", "guard", "new"),
    [
        pytest.param("a.webm", "libvpx", "BESIDE", NOISE, id="vp8"),
        pytest.param("b.webm", "libvpx-vp9", "INSTEAD", NOISE, id="vp9"),
        pytest.param("a.avi", "msmpeg4", "CHECKS", bytes(40), id="msmpeg4"),
    ],
)
def test_what_its_own_decoder_hides_is_told(
    tmp_path: Path, name: str, codec: str, guard: str, new: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without the guard the same file is `ok`, with other pixels than the sound one."""
    sound = write(tmp_path / name, 100, codec=codec, options=VPX if "vpx" in codec else {"g": "25"})
    truth = read(sound, probe(sound), np.arange(100), SIZE)
    spoiled = spoil(sound, 30, new, 0.4 if codec == "msmpeg4" else 0.1)
    assert outcome(spoiled) == "corrupt"
    monkeypatch.setattr(decoder, guard, {})
    assert not np.array_equal(read(spoiled, probe(spoiled), np.arange(100), SIZE), truth)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx265"), ("a.mkv", "libx264")])
def test_zeros_that_no_slice_may_hold_are_told(tmp_path: Path, name: str, codec: str) -> None:
    options = {"x265-params": "keyint=25:log-level=none"} if codec == "libx265" else {"g": "25"}
    path = spoil(write(tmp_path / name, 100, codec=codec, options=options), 30, bytes(16))
    assert outcome(path) == "corrupt"


def test_units_and_zeros_of_a_packet() -> None:
    avcc = bytes([1, 0, 0, 0, 0xFF])
    sound = b"\0\0\0\5\x41abcd" + b"\0\0\0\7\x41ab\0\0\0\1"
    assert not is_broken("h264", avcc, sound)
    assert not is_broken("h264", avcc, sound + b"\0\0\0\6\x41a\0\0\0\0"), "zeros behind a unit are padding"
    assert is_broken("h264", avcc, b"\0\0\0\7\x41a\0\0\0\0b")
    assert is_broken("h264", avcc, sound[:-1])
    assert is_broken("h264", avcc, b"\0\0\0\2\x41abcdef")
    assert not is_broken("h264", b"", b"\0\0\0\1\x41abcdef"), "a byte stream has start codes"
    assert is_broken("vp9", b"", b"ab" + bytes(64) + b"c")
    assert not is_broken("vp8", b"", b"ab" + bytes(63) + b"c" + bytes(99))


def test_damage_reaches_its_group_of_pictures_from_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 200, options={"g": "100", "bf": "2", "sc_threshold": "0"})
    spoil(path, 150, random.Random(1).randbytes(60), 0.2)
    facts = probe(path)
    for chosen, ok in (([99], True), ([105], True), ([150 - AHEAD + 6], False), ([160], False), ([199], False)):
        if ok:
            assert frames_of(read(path, facts, np.array(chosen), SIZE)) == chosen
        else:
            assert sparse(path, facts, np.array(chosen), SIZE) is None
            with pytest.raises(MediaError, match="does not decode cleanly"):
                read(path, facts, np.array(chosen), SIZE)


def test_spans() -> None:
    class Seen(Decoder):
        def __init__(self, faults: list[int], starts: list[int]) -> None:
            self.faults, self._starts = faults, starts

    assert Seen([60], [0, 50]).doubted(Span(50, 55))
    assert Seen([60], [0, 50, 58]).doubted(Span(50, 55)) is False, "in the next group"
    assert Seen([60], [0]).doubted(Span(0, 60 - AHEAD))
    assert not Seen([60], [0]).doubted(Span(0, 59 - AHEAD))
    assert not Seen([49], [0, 50]).doubted(Span(50, 55))
    assert Seen([49], [0, 50]).doubted(Span(0, 52)), "shown before the key frame of its group"


@pytest.mark.parametrize(("name", "codec"), [("a.webm", "libvpx"), ("b.webm", "libvpx-vp9"), ("b.mp4", "libvpx-vp9")])
@pytest.mark.parametrize("matrix", [1, 5])
def test_other_decoders_give_the_same_bytes_of_sound_files(tmp_path: Path, name: str, codec: str, matrix: int) -> None:
    path = write(tmp_path / name, 60, codec=codec, options=VPX, colorspace=matrix)
    convert = ToRGB()
    with av.open(str(path)) as container:
        truth = [convert(frame) for frame in container.decode(video=0)]
    with opened(path, name) as (container, stream):
        reader = Decoder(container, stream)
        assert reader._twin or reader._main is not stream.codec_context
        mine = [convert(frame) for frame in reader]
    np.testing.assert_array_equal(mine, truth)
    short = sparse(path, probe(path), np.array([3, 31, 59]), SIZE, threads=4)
    np.testing.assert_array_equal(short, read(path, probe(path), np.array([3, 31, 59]), SIZE))


def test_packets_lost_from_a_transport_stream(tmp_path: Path) -> None:
    """All packets of one picture are gone: its neighbours decode without an error, but the counters jump."""
    path = write(tmp_path / "a.ts", 100, codec="mpeg2video", options={"g": "25", "qmin": "2", "qmax": "2"})
    data = path.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    starts = [k for k, packet in enumerate(packets) if packet[1:3] == b"\x41\x00"]
    path.write_bytes(b"".join(packets[: starts[40]] + packets[starts[41] :]))
    assert outcome(path, 99) == "corrupt"


@pytest.mark.parametrize(("name", "codec"), [("a.webm", "libvpx"), ("a.mp4", "mpeg4")])
def test_a_packet_written_twice(tmp_path: Path, name: str, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its changes are made twice, which no decoder minds."""
    monkeypatch.setattr(decoder, "TWICE", 64)
    sound, path = write(tmp_path / f"sound-{name}", 100, codec=codec, options=VPX), tmp_path / name
    with av.open(str(sound)) as source, av.open(str(path), "w") as container:
        copy = container.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            twin = av.Packet(bytes(packet))
            twin.pts = twin.dts = packet.pts + packet.duration // 2
            twin.time_base, long = packet.time_base, number > 20 and packet.size >= 64 and not packet.is_keyframe
            for written in (packet, twin) if long else (packet,):
                written.stream = copy
                container.mux(written)
    assert (outcome(sound), outcome(path)) == ("ok", "corrupt")


def test_a_picture_left_out_of_h264(tmp_path: Path) -> None:
    """The decoder puts a copy of the one before in its place."""
    options = {"profile": "baseline", "g": "50"}
    sound, path = write(tmp_path / "sound.mp4", 100, options=options), tmp_path / "a.mp4"
    with av.open(str(sound)) as source, av.open(str(path), "w") as container:
        copy = container.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            if number != 20:
                packet.stream = copy
                container.mux(packet)
    assert (outcome(sound), outcome(path, 99)) == ("ok", "corrupt")


@pytest.mark.parametrize("where", ["in a fragment", "between two"])
def test_fragments_that_are_missing(tmp_path: Path, where: str) -> None:
    """Cut between two fragments, only an index of them can tell."""
    flags = FRAGMENTS + ("+global_sidx" if where == "between two" else "")
    path = write(tmp_path / "a.mp4", 100, options={"g": "25"}, movflags=flags)
    assert outcome(path) == "ok"
    data = path.read_bytes()
    third = data.index(b"moof", data.index(b"moof", data.index(b"moof") + 4) + 4) - 4
    path.write_bytes(data[: third if where == "between two" else third - 50])
    with pytest.raises(MediaError, match=r"[\d,]+ of [\d,]+ bytes are there") as caught:
        probe(path)
    assert caught.value.fault == "truncated"


def test_an_encrypted_video_is_no_damaged_one(tmp_path: Path) -> None:
    plain, path = write(tmp_path / "plain.mp4", 60), tmp_path / "a.mp4"
    keys = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "7" * 32, "encryption_kid": "1" * 32}
    with av.open(str(plain)) as source, av.open(str(path), "w", options=keys) as container:
        copy = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copy
                container.mux(packet)
    assert b"encv" in path.read_bytes()
    assert outcome(path) == "encrypted"


def test_frames_lost_to_damage_are_no_short_video(tmp_path: Path) -> None:
    """Nine in ten packets of a transport stream are spoiled: few frames are left, and the cause is told."""
    path = write(tmp_path / "a.ts", 100, options={"g": "10"})
    data, rng = bytearray(path.read_bytes()), random.Random(0)
    for at in range(188 * 40, len(data), 188):
        data[at + 100 : at + 180] = rng.randbytes(80)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"damaged packets; .* 48 asked|damaged packets; 48 even") as caught:
        FrameCache(tmp_path / "cache").get(Clip(path="a.ts"), tmp_path, Sampling(), Resize())
    assert caught.value.fault == "corrupt"
