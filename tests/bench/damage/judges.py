"""Other ways to notice damage: a decoder that checks, a second decoder, and what they say of given instants.

Example:
    judged(Path("damaged.mp4"), Path("sound.mp4"), [1.24])
    # {"checks": "there", "libopenh264": "elsewhere"}
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from blake3 import blake3

from viubench.video.container import packets

CHECKS = {"err_detect": "crccheck+bitstream+buffer+explode"}
SECOND = {"h264": "libopenh264", "vp8": "libvpx", "vp9": "libvpx-vp9", "av1": "libaom-av1"}
"""Decoders of other authors than those that FFmpeg prefers."""


@dataclass(frozen=True)
class Told:
    """A decode in file order: of each frame its hash by timestamp, and the packets at which something was said."""

    frames: dict[int | None, str]
    flagged: frozenset[int]
    groups: dict[int | None, set[int]]
    """By timestamp, the packets of the group of pictures that it belongs to, and of the one before where it refers to
    that as well."""
    first: float
    base: float


def decoded(path: Path, decoder: str | None = None, options: dict[str, str] | None = None) -> Told:
    """Decode a whole file with one thread, stepping over what fails."""
    frames: dict[int | None, str] = {}
    stamps: list[tuple[int | None, bool]] = []
    flagged: set[int] = set()
    flagged_stamps: set[int | None] = set()
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        assert stream is not None
        context: Any = stream.codec_context
        if decoder:
            context = av.CodecContext.create(decoder, "r")
            context.extradata = stream.codec_context.extradata
        context.thread_count, context.options = 1, options or {}
        for packet in packets(container, stream):
            if packet.size:
                stamps.append((packet.pts, packet.is_keyframe))
            if packet.is_corrupt:
                flagged.add(len(stamps) - 1)
            try:
                found = context.decode(packet if packet.size else None)
            except av.FFmpegError:
                flagged.add(len(stamps) - 1)
                continue
            frames |= {frame.pts: str(blake3(frame.to_ndarray().tobytes()).hexdigest(8)) for frame in found}
            flagged_stamps |= {frame.pts for frame in found if frame.is_corrupt}
        base = float(stream.time_base or 1)
    flagged |= {number for number, (stamp, _) in enumerate(stamps) if stamp in flagged_stamps}
    known = [stamp for stamp in frames if stamp is not None]
    return Told(frames, frozenset(flagged), _groups(stamps), min(known, default=0) * base, base)


def _groups(stamps: list[tuple[int | None, bool]]) -> dict[int | None, set[int]]:
    groups: dict[int | None, set[int]] = {}
    before: set[int] = set()
    own: set[int] = set()
    key: int | None = None
    for number, (stamp, is_key) in enumerate(stamps):
        if is_key:
            before, own, key = own, set(), stamp
        own.add(number)
        leads = stamp is not None and key is not None and stamp < key
        groups[stamp] = own | before if leads else own
    return groups


@functools.lru_cache(maxsize=64)
def seconds(sound: Path) -> tuple[str, ...]:
    """The second decoders that make the same frames of a sound file as the first."""
    first = decoded(sound)
    with av.open(str(sound)) as container:
        stream = container.streams.best("video")
        codec = stream.codec_context.codec.canonical_name if stream else ""
    name = SECOND.get(codec)
    same = name in av.codecs_available and decoded(sound, name).frames == first.frames if name else False
    return (name,) if name and same else ()


def judged(damaged: Path, sound: Path, wrong: list[float]) -> dict[str, str]:
    """For each judge that saw anything: "there" when it was in a group of pictures of a `wrong` instant (seconds from
    the first frame), or when it makes another picture of it; else "elsewhere"."""
    plain = decoded(damaged)
    judges: dict[str, Callable[[], Told]] = {"checks": lambda: decoded(damaged, options=CHECKS)}
    judges |= {name: lambda name=name: decoded(damaged, name) for name in seconds(sound)}  # type: ignore[misc]
    verdicts = {}
    for name, judge in judges.items():
        told = judge()
        near = set().union(*(told.groups.get(_nearest(told, plain, instant), set()) for instant in wrong))
        differ = [stamp for stamp in {_nearest(told, plain, instant) for instant in wrong} if told.frames.get(stamp)
                  != plain.frames.get(stamp)]  # fmt: skip
        if told.flagged & near or differ:
            verdicts[name] = "there"
        elif told.flagged:
            verdicts[name] = "elsewhere"
    return verdicts


def _nearest(told: Told, plain: Told, instant: float) -> int | None:
    known = [stamp for stamp in told.groups if stamp is not None]
    return min(known, key=lambda stamp: abs(stamp * told.base - plain.first - instant), default=None)
