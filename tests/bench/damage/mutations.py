"""Damage as disks, networks and broken programs do it, drawn from a seed.

Example:
    mutated(Path("sound.mp4"), "zeroed", random.Random(7), Path("damaged.mp4"))
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av

HEAD = 0.05
"""Share of a file at its start that bytes are left alone in: without a header it is no video, and so told."""


def _flipped(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 3, 10))):
        data[_place(data, rng, 1)] ^= 1 << rng.randrange(8)


def _zeroed(data: bytearray, rng: random.Random) -> None:
    length = rng.choice((64, 512, 4096))
    at = _place(data, rng, length)
    data[at : at + length] = bytes(length)


def _noise(data: bytearray, rng: random.Random) -> None:
    length = rng.choice((4, 64, 512))
    at = _place(data, rng, length)
    data[at : at + length] = rng.randbytes(length)


def _hole(data: bytearray, rng: random.Random) -> None:
    length = rng.choice((188, 512, 4096))
    at = _place(data, rng, length)
    del data[at : at + length]


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[_place(data, rng, 1) :]


def _dropped(packets: list[Any], rng: random.Random) -> None:
    del packets[rng.randrange(5, len(packets))]


def _doubled(packets: list[Any], rng: random.Random) -> None:
    at = rng.randrange(5, len(packets))
    packets.insert(at, packets[at])


def _place(data: bytearray, rng: random.Random, length: int) -> int:
    return rng.randrange(int(HEAD * len(data)), max(int(HEAD * len(data)) + 1, len(data) - length))


BYTES: dict[str, Callable[[bytearray, random.Random], None]] = {
    "flipped": _flipped, "zeroed": _zeroed, "noise": _noise, "hole": _hole, "cut": _cut,
}  # fmt: skip
PACKETS: dict[str, Callable[[list[Any], random.Random], None]] = {"dropped": _dropped, "doubled": _doubled}
MUTATIONS = (*BYTES, *PACKETS)


def mutated(sound: Path, how: str, rng: random.Random, target: Path) -> bool:
    """Write a damaged copy of `sound`; False where its container takes no such packets."""
    if how in BYTES:
        data = bytearray(sound.read_bytes())
        BYTES[how](data, rng)
        target.write_bytes(data)
        return True
    try:
        with av.open(str(sound)) as source, av.open(str(target), "w") as container:
            stream = source.streams.best("video")
            assert stream is not None
            copy = container.add_stream_from_template(stream)
            found = [packet for packet in source.demux(stream) if packet.size]
            PACKETS[how](found, rng)
            last = None
            for packet in found:
                if packet.dts is not None and last is not None and packet.dts <= last:
                    packet.dts = last + 1
                    packet.pts = None if packet.pts is None else max(packet.pts, packet.dts)
                last = packet.dts
                packet.stream = copy
                container.mux(packet)
    except (av.FFmpegError, ValueError):
        return False
    return True
