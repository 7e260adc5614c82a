"""The decoder of one stream, set to notice damage, and which of its frames damage may have reached.

Example:
    with opened(path, name) as (container, stream):
        decoder = Decoder(container, stream)
        for frame in decoder:
            decoder.doubted(decoder.span)
    # False

Most decoders hide damage: they conceal what they cannot read and go on. Their own checks are off unless asked for. For
some codecs another decoder of FFmpeg's checks more, or only the comparison of two shows anything. Some bytes no sound
packet can hold. None of this changes a pixel of a sound file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import av
import numpy as np
from av.codec.context import Flags
from av.video.frame import PictureType

from viubench.video.container import packets
from viubench.video.frame_numbers import FrameNumbers
from viubench.video.keyframes import is_broken

CHECKS = {"err_detect": "crccheck+bitstream+buffer+explode"}
"""Checksums, and streams that end too early or too late; a packet with a fault is an error, not a guess."""

STRICT = {"av1": {"strict": "1"}}
"""dav1d checks the padding behind its arithmetic coder only then."""

INSTEAD = {"vp9": "libvpx-vp9"}
"""This decoder notices when it reads past the end of a packet; FFmpeg's own does not."""

BESIDE = {"vp8": "libvpx"}
"""Neither decoder tells damage, but they disagree about it."""

AHEAD = 32
"""Packets after a frame's own in which damage of its group of pictures makes it doubtful: it is noticed late."""


JOIN = 2
"""Packets before a key frame in which something may be missing: two recordings were joined there."""


TWICE = 256
"""Bytes from which on two equal packets in a row are one that was written twice."""


class Span(NamedTuple):
    """What a frame is made from, as numbers of packets: `first`, the key frame that it refers to, and its `own`."""

    first: int
    own: int


class Decoder:
    """Frames of one stream in presentation order; packets that do not decode are stepped over.

    Attributes:
        fed: packets decoded so far.
        faults: numbers of the packets with damage, from 0 in file order.
        span: of the frame that came out last.
    """

    def __init__(self, container: Any, stream: Any, *, threads: int = 1, exact: bool = True) -> None:
        """One thread unless more are asked for: what a damaged file yields depends on their number, so only a reader
        that gives up at the first damage may have more. Without `exact`, the stream's own decoder, alone."""
        self.container = container
        self.stream = stream
        self.fed = 0
        self.faults: list[int] = []
        self.span = Span(0, 0)
        self._gaps: list[int] = []  # packets in which the container misses something
        self._keys: set[int] = set()  # packets that are marked as key frames
        self._starts: list[int] = []  # those of them that came out as pictures of their own
        self._before = b""
        self._header = bytes(stream.codec_context.extradata or b"")
        self._codec = stream.codec_context.codec.canonical_name
        self._numbers = FrameNumbers(self._header) if self._codec == "h264" else None
        exact = exact and stream.metadata.get("alpha_mode") != "1"  # libvpx gives the alpha layer too
        self._main = (exact and _other(stream, INSTEAD.get(self._codec))) or stream.codec_context
        self._twin = (exact and _other(stream, BESIDE.get(self._codec))) or None
        self._main.options = CHECKS | STRICT.get(self._codec, {})
        self._main.flags |= Flags.copy_opaque
        self._main.thread_count = threads
        if threads > 1:  # by slices, a decoder gives each frame with its packet, so that two can be compared
            self._main.thread_type = "SLICE" if self._twin else "AUTO"

    def __iter__(self) -> Iterator[Any]:
        for packet in packets(self.container, self.stream):
            for frame in self.feed(packet if packet.size else None):
                own = frame.opaque
                if own in self._keys and frame.pict_type in (PictureType.I, PictureType.NONE):
                    self._starts.append(own)
                # A picture shown before the key frame that precedes it in the file refers to the group before as well.
                self.span = Span(self._starts[-1] if self._starts else 0, own)
                yield frame

    def feed(self, packet: Any) -> list[Any]:
        """The frames that come out after one packet more; None brings out those that are left."""
        number = self.fed
        if packet is not None:
            packet.opaque = number
            self.fed += 1
            if packet.is_keyframe:
                self._keys.add(number)
                self._gaps.clear()
            if packet.is_corrupt:
                self._gaps.append(number)
            if self._gaps and self._gaps[0] <= number - JOIN:
                self.faults.append(self._gaps.pop(0))
            data = bytes(packet)
            gap = self._numbers is not None and self._numbers.gap(data)
            missing = gap and not packet.is_keyframe  # before a key frame it changes nothing from there on
            changed_twice = self._repeats(data) and not packet.is_keyframe
            if missing or changed_twice or is_broken(self._codec, self._header, data):
                self.faults.append(number)
        try:
            frames: list[Any] = self._main.decode(packet)
        except av.FFmpegError:
            self.faults.append(number)
            frames = []
        if self._twin is not None and packet is not None and not _same(frames, self._twin, packet):
            self.faults.append(number)
        for frame in frames:
            frame.time_base = self.stream.time_base  # those that a drained decoder gives have none
            frame.opaque = number if frame.opaque is None else frame.opaque
            if frame.is_corrupt:
                self.faults.append(frame.opaque)
        return frames

    def _repeats(self, data: bytes) -> bool:
        """Whether a packet is written twice; short ones may say "no change"."""
        before, self._before = self._before, data
        return before == data and len(data) >= TWICE

    def doubted(self, span: Span) -> bool:
        """Whether damage seen so far may have reached the frame of that span."""
        last = min([span.own + AHEAD, *(start - 1 for start in self._starts if start > span.own)])
        return any(span.first <= fault <= last for fault in self.faults)

    def settled(self, span: Span) -> bool:
        """Whether nothing that is decoded from here on can bring that frame into doubt."""
        return self.fed > span.own + AHEAD or self.span.first > span.own

    def flush(self) -> None:
        """Forget what was decoded, after a seek."""
        self._main.flush_buffers()
        if self._numbers is not None:
            self._numbers.flush()
        if self._twin is not None:
            self._twin.flush_buffers()


def _other(stream: Any, name: str | None) -> Any:
    """A decoder of that name for a stream, None where this build of PyAV has none."""
    if name is None or name not in av.codecs_available:
        return None
    own, other = stream.codec_context, av.CodecContext.create(name, "r")
    other.extradata = own.extradata
    for fact in ("width", "height", "color_range", "color_primaries", "color_trc", "colorspace"):
        setattr(other, fact, getattr(own, fact))
    return other


def _same(frames: list[Any], twin: Any, packet: Any) -> bool:
    """Whether another decoder makes the same pictures of a packet."""
    try:
        others = twin.decode(packet)
    except av.FFmpegError:
        return False
    return len(frames) == len(others) and all(
        np.array_equal(one.to_ndarray(), other.to_ndarray()) for one, other in zip(frames, others, strict=True)
    )
