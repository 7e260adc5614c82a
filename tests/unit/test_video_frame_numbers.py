"""Pictures that are missing from an H.264 stream, by the numbers of those that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from viubench.video.frame_numbers import FrameNumbers

FRAMES = 80
WAYS: dict[str, dict[str, str]] = {
    "plain": {},
    "baseline": {"profile": "baseline"},
    "pyramid": {"bf": "4", "x264-params": "b-pyramid=normal:b-adapt=0"},
    "open groups": {"x264-params": "open-gop=1:keyint=20:bframes=3"},
    "intra refresh": {"x264-params": "intra-refresh=1:keyint=30"},
    "slices": {"x264-params": "slices=4"},
    "interlaced": {"x264-params": "tff=1", "flags": "+ildct+ilme"},
    "many references": {"refs": "8", "bf": "2"},
    "short groups": {"g": "7"},
    "scaling lists": {"x264-params": "cqm=jvt"},
    "4:4:4": {"pix_fmt": "yuv444p"},
}


def written(path: Path, ways: dict[str, str]) -> tuple[bytes, list[bytes]]:
    """Moving noise: the stream's header, and its packets."""
    ways = dict(ways)
    draw = np.random.default_rng(0).integers(0, 255, (FRAMES + 64, 128, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options=ways)
        stream.width, stream.height, stream.pix_fmt = 128, 64, ways.pop("pix_fmt", "yuv420p")
        stream.options = ways
        for number in range(FRAMES):
            for packet in stream.encode(av.VideoFrame.from_ndarray(draw[number : number + 64], "rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.size]
        return bytes(video.codec_context.extradata or b""), [bytes(one) for one in packets]


def gaps(header: bytes, packets: list[bytes]) -> list[int]:
    numbers = FrameNumbers(header)
    return [at for at, packet in enumerate(packets) if numbers.gap(packet)]


@pytest.mark.parametrize("kind", ["mp4", "ts", "mkv"])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_missing_is_told_and_nothing_else(way: str, kind: str, tmp_path: Path) -> None:
    header, packets = written(tmp_path / f"a.{kind}", WAYS[way])
    assert gaps(header, packets) == []
    told = [bool(gaps(header, packets[:at] + packets[at + 1 :])) for at in range(1, FRAMES - 1)]
    assert sum(told) >= 0.4 * FRAMES, "each that others refer to, but for the last before a new count"
    assert way != "baseline" or all(told), "there, others refer to all"


def test_any_bytes_are_no_gap_or_one() -> None:
    draw = np.random.default_rng(0)
    for _ in range(2000):
        header, packet = (draw.integers(0, 256, draw.integers(0, 60), np.uint8).tobytes() for _ in range(2))
        numbers = FrameNumbers(b"\1" * (len(header) % 2) + header)
        assert isinstance(numbers.gap(packet), bool)


def test_after_a_seek_the_count_begins_anew(tmp_path: Path) -> None:
    header, found = written(tmp_path / "a.mp4", {"profile": "baseline"})
    numbers = FrameNumbers(header)
    assert not numbers.gap(found[0])
    numbers.flush()
    assert not numbers.gap(found[9])
    assert numbers.gap(found[11])
