"""Frames by the shortest safe way: from the key frame before each, without the pictures nothing else is made from.

Example:
    read_sparse(frames, path, probe(path), np.array([0, 2400, 48000]), (384, 672), name="film.mp4")

What is left out cannot change a pixel of what is kept: groups of pictures in which no frame is requested, the end of a
group after its last requested frame, and unrequested H.264 pictures that the stream itself marks as never referred to.
Every packet must belong to the frame that the probe's table says, and every packet decoded must come out as its frame,
in order; the least doubt ends the attempt, and the caller decodes everything in order instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from viubench.errors import MediaError
from viubench.video.container import opened
from viubench.video.decoder import AHEAD, Decoder
from viubench.video.keyframes import is_disposable
from viubench.video.pixels import ToRGB, resized, turned
from viubench.video.probe import Probe

Indices = NDArray[np.int64]


class _Doubt(Exception):
    """The file is not what the table says, or is damaged."""


def saves(probe: Probe) -> bool:
    """Whether there is anything to leave out."""
    return len(probe.pts) > 0 and (probe.random_access or probe.codec == "h264")


def read_sparse(
    out: Any, path: Path, probe: Probe, requested: Indices, size: tuple[int, int], *, name: str, threads: int = 1
) -> bool:
    """Put the frames `requested` (rising numbers, int64 [T]) of a video into `out` (a `decode.Frames`), equal bit by
    bit to those of a decode in order whatever the number of `threads`; False in doubt."""
    convert = ToRGB()
    at = 0
    try:
        with opened(path, name) as (container, stream):
            decoder = Decoder(container, stream, threads=threads)
            for frame in _SparseReader(decoder, probe).frames(requested):
                out[at] = resized(turned(convert(frame), probe.rotation), size)
                at += 1
    except (_Doubt, MediaError, av.FFmpegError):
        return False
    return at == len(requested)


class _SparseReader:
    """Walks through the groups of pictures that hold requested frames."""

    def __init__(self, decoder: Decoder, probe: Probe) -> None:
        self.decoder = decoder
        self.container, self.stream = decoder.container, decoder.stream
        self.probe = probe
        self.numbers = {int(pts): number for number, pts in enumerate(probe.pts)}
        self.header = bytes(self.stream.codec_context.extradata or b"")

    def frames(self, requested: Indices) -> Iterator[Any]:
        """The decoded requested frames in order; raises _Doubt."""
        moved = False
        for key, group in _groups(self.probe, requested):
            if key > 0:
                if not moved:
                    # Decoders look into the first packet for the encoder whose faults they must work around.
                    first = next((packet for packet in self.container.demux(self.stream) if packet.size), None)
                    if first is not None:
                        self.decoder.feed(first)
                self.container.seek(int(self.probe.pts[key]), stream=self.stream)
                self.decoder.flush()
            moved = True
            yield from self._group(key, group)

    def _group(self, key: int, requested: list[int]) -> Iterator[Any]:
        """Decode from key frame `key` on until the last of `requested` is there."""
        left, unfed = set(requested), set(requested)
        missing = requested[-1] - key + 1  # packets of the frames key..requested[-1] not met yet
        waiting: set[int] = set()  # decoded but not come out
        begun = False
        ahead = 0
        for packet in self.container.demux(self.stream):
            if packet.size == 0:
                break
            number = self.numbers.get(packet.pts, -1)
            if not begun:
                if number != key:
                    continue  # a seek may land before the key frame
                begun = True
            if packet.is_discard:
                raise _Doubt
            if not unfed and not missing:  # all is there; damage shows late
                if packet.is_keyframe or ahead == AHEAD:
                    break
                ahead += 1
            missing -= key <= number <= requested[-1]
            not_requested = number not in unfed
            unfed.discard(number)
            if not (not_requested and number >= 0 and is_disposable(self.probe.codec, self.header, packet)):
                if number >= 0:
                    waiting.add(number)
                yield from self._pick(self.decoder.feed(packet), waiting, left)
        if missing or unfed:
            raise _Doubt
        yield from self._pick(self.decoder.feed(None), waiting, left)
        if left or self.decoder.faults:
            raise _Doubt

    def _pick(self, frames: list[Any], waiting: set[int], left: set[int]) -> Iterator[Any]:
        for frame in frames:
            number = self.numbers.get(frame.pts, -1)
            if self.decoder.faults or not waiting or number != min(waiting):
                raise _Doubt
            waiting.discard(number)
            if number in left:
                left.discard(number)
                yield frame


def _groups(probe: Probe, requested: Indices) -> Iterator[tuple[int, list[int]]]:
    """(key frame, the requested frames reached from it) in order; all from frame 0 where jumping is not safe."""
    if not probe.random_access or len(probe.keys) == 0 or probe.keys[0] != 0:
        yield 0, requested.tolist()
        return
    keys = probe.keys[np.searchsorted(probe.keys, requested, side="right") - 1]
    for key in np.unique(keys):
        yield int(key), requested[keys == key].tolist()
