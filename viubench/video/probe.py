"""What a video really holds: the true time of every frame that decodes, its size, and how it may be read.

Example:
    probe(Path("pour.mp4")).times[:3]
    # array([0.        , 0.03336667, 0.06673333])

Headers lie: about the duration, the number of frames, the frame rate. So the table of times is read from the packets,
which costs no decoding, wherever each packet is known to give one frame at its own time; everywhere else (AVI, packed
B-frames, missing or repeated timestamps, transport streams) the video is decoded once, in order, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from viubench.errors import MediaError
from viubench.video import paths
from viubench.video.container import opened, packets, pictures
from viubench.video.decoder import Decoder
from viubench.video.keyframes import is_clean_entry, is_hidden

MAX_PIXELS = 1 << 26
"""Pixels of one source frame (8192 x 8192)."""
MAX_FRAMES = 4_000_000
MAX_SECONDS = 48 * 3600.0

SHORTFALL = 0.05
"""A video is truncated when both its frames and its time fall short of the header by more than this share. A few
frames less are normal: encoders count placeholder packets (packed B-frames), edit lists and dropped frames."""

MP4, MATROSKA = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"
"""The containers in which every packet carries the time at which its one frame is shown."""
ONE_FRAME_A_PACKET = {"h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "mpeg4", "prores"}
SEEKABLE = {"h264", "hevc", "vp8", "vp9", "mjpeg"}
"""Codecs whose random access was proved against an in-order decode."""
EIGHT_BIT = {"yuv420p", "yuvj420p"}
"""Formats that every reader turns into the same RGB. Seeking in old H.264 4:4:4 gives rubbish without an error."""


@dataclass(frozen=True, eq=False)
class _Picture:
    """What the header and the first decoded frame show.

    Attributes:
        width, height: pixels as shown, after `rotation`; non-square pixels are not stretched.
        rotation: degrees counter-clockwise by which a decoded picture must be turned: 0, 90, 180 or 270.
    """

    codec: str
    pixel_format: str
    container: str
    width: int
    height: int
    rotation: int


@dataclass(frozen=True, eq=False)
class Probe(_Picture):
    """The measured facts of one video.

    Attributes:
        fps: mean frames per second over `duration`.
        times: seconds of every frame minus the first one's, float64 [N], rising from 0.
        frames: N.
        duration: seconds: the last time plus the typical (median) gap.
        random_access: whether a frame may be reached from a key frame instead of from the start.
        pts: the stream's own timestamp of every frame, int64 [N]; empty where frames were counted by decoding.
        keys: numbers of the key frames, int64, rising; empty where frames were counted.
        faults: damaged packets met while frames were counted.
    """

    fps: float
    times: NDArray[np.float64] = field(repr=False)
    frames: int
    duration: float
    random_access: bool
    pts: NDArray[np.int64] = field(repr=False)
    keys: NDArray[np.int64] = field(repr=False)
    faults: int = 0


@dataclass(frozen=True, eq=False)
class _Head(_Picture):
    """The same with what the header promises."""

    streams: int
    promised_frames: int
    promised_seconds: float
    """0 where the header says nothing that can be trusted: the duration of a fragmented MP4 is often made up."""
    rate: float


class _Table(NamedTuple):
    """Times of the frames (from any start), the second at which the last stream ends, and the way in: `clean` where
    every key frame is a clean entry and nothing that is decoded stays unseen."""

    times: NDArray[np.float64]
    pts: NDArray[np.int64]
    keys: NDArray[np.int64]
    end: float
    clean: bool
    faults: int = 0


def probe(path: Path, *, name: str | None = None, count: bool = False) -> Probe:
    """Measure one video file, by the packets where they settle it; with `count`, by decoding all of it in order.

    `name` is what error messages call it; the path by default.

    Raises:
        MediaError: missing, empty, lfs_pointer, not_a_video, no_video_stream, no_decoder, encrypted, truncated,
            corrupt, too_large.
    """
    shown = str(path) if name is None else name
    paths.check(path, shown)
    head = _head(path, shown)
    if head.container == MP4 and (cut := paths.cut_short(path)):
        raise MediaError("truncated", shown, cut)
    table = None if count else _packet_table(path, head, shown)
    if table is None or _shortfall(head, table):
        table = _counted_table(path, head, shown)
    if (frames := len(table.times)) == 0:
        raise MediaError("corrupt", shown, "no frame decodes")
    if shortfall := _shortfall(head, table):
        raise MediaError("truncated", shown, shortfall)
    times = table.times - table.times[0]
    duration = float(times[-1] + (np.median(np.diff(times)) if frames > 1 else 1 / head.rate))
    if frames > MAX_FRAMES or duration > MAX_SECONDS:
        raise MediaError("too_large", shown, f"{frames} frames, {duration / 3600:.1f} h")
    return Probe(
        **{field.name: getattr(head, field.name) for field in fields(_Picture)},
        fps=frames / duration,
        times=times,
        frames=frames,
        duration=duration,
        random_access=(table.clean and head.streams == 1 and head.codec in SEEKABLE and head.pixel_format in EIGHT_BIT),
        pts=table.pts,
        keys=table.keys,
        faults=table.faults,
    )


def _head(path: Path, name: str) -> _Head:
    """Read the header and decode until the first frame: the proof that a decoder works."""
    with opened(path, name) as (container, stream):
        context = stream.codec_context
        if context.width * context.height > MAX_PIXELS:
            raise MediaError("too_large", name, f"{context.width}x{context.height} pixels")
        frame = next(iter(Decoder(container, stream, exact=False)), None)
        if frame is None:
            raise MediaError("corrupt", name, "no frame decodes")
        rotation = frame.rotation % 360 if frame.rotation % 90 == 0 else 0
        turned = rotation in (90, 270)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
        if container.format.name == "avi":  # a lost index shortens the duration, not the count
            seconds = max(seconds, stream.frames / rate)
        if container.format.name == MATROSKA and container.duration:
            seconds = container.duration / 1e6
        return _Head(
            codec=context.codec.canonical_name,
            pixel_format=frame.format.name,
            container=container.format.name,
            width=frame.height if turned else frame.width,
            height=frame.width if turned else frame.height,
            rotation=rotation,
            streams=len(pictures(container)),
            promised_frames=stream.frames,
            promised_seconds=seconds if stream.frames or container.format.name == MATROSKA else 0.0,
            rate=rate,
        )


def _packet_table(path: Path, head: _Head, name: str) -> _Table | None:
    """The table from timestamps alone; None where they do not settle which frames come out, or when."""
    if head.container not in (MP4, MATROSKA) or head.codec not in ONE_FRAME_A_PACKET:
        return None
    pts: list[int] = []
    keys: list[int] = []
    ends: dict[Any, int] = {}  # by time base, where the last packet ends
    clean = True
    with opened(path, name) as (container, stream):
        header = bytes(stream.codec_context.extradata or b"")
        base = stream.time_base
        for packet in packets(container):
            if packet.size == 0:
                continue
            if packet.pts is not None:
                tick = packet.time_base
                ends[tick] = max(ends.get(tick, 0), packet.pts + (packet.duration or 0))
            if packet.stream.index != stream.index:
                continue
            if packet.pts is None:
                return None
            if packet.is_keyframe:
                keys.append(packet.pts)
                clean = clean and is_clean_entry(head.codec, header, bytes(packet))
            elif not keys:
                return None
            elif packet.pts < keys[-1]:
                clean = False  # shown before the key frame that precedes it in the file: an open group of pictures
                if len(keys) == 1:
                    return None  # what it refers to was cut away, so it may not come out at all
            clean = clean and not packet.is_discard and not packet.is_corrupt
            if not packet.is_discard and not (head.codec == "vp8" and is_hidden(bytes(packet))):
                pts.append(packet.pts)
    ordered = np.array(sorted(pts), np.int64)
    if len(ordered) == 0 or np.any(np.diff(ordered) <= 0):
        return None
    numbers = np.searchsorted(ordered, [key for key in sorted(keys) if key >= ordered[0]])
    end = max((float(ticks * tick) for tick, ticks in ends.items()), default=0.0)
    return _Table(_seconds(ordered, base), ordered, numbers.astype(np.int64), end, clean)


def _counted_table(path: Path, head: _Head, name: str) -> _Table:
    """The table from decoding everything in order.

    Where frames come out with timestamps that step back (packed B-frames), they take the same timestamps in rising
    order; where timestamps are missing or repeat, they take the header's frame rate, unless frames are lost.
    """
    stamps: list[int | None] = []
    with opened(path, name) as (container, stream):
        decoder = Decoder(container, stream)
        for frame in decoder:
            stamps.append(frame.pts)
            if len(stamps) > MAX_FRAMES:
                raise MediaError("too_large", name, f"more than {MAX_FRAMES} frames")
        base = stream.time_base
    known = np.array(sorted(stamp for stamp in stamps if stamp is not None), np.int64)
    if len(known) == len(stamps) and np.all(np.diff(known) > 0):
        times = _seconds(known, base)
    elif decoder.faults:
        raise MediaError("corrupt", name, f"{len(decoder.faults)} packets are damaged, and no times tell what is lost")
    else:
        times = np.arange(len(stamps)) / head.rate
    end = float(times[-1] + 1 / head.rate) if len(times) else 0.0
    none = np.zeros(0, np.int64)
    return _Table(times, none, none, end, clean=False, faults=len(decoder.faults))


def _shortfall(head: _Head, table: _Table) -> str:
    """What is missing against the header, "" when the video is whole."""
    enough = 1 - SHORTFALL
    frames = len(table.times)
    if frames >= enough * head.promised_frames and head.promised_frames:
        return ""
    if table.end >= enough * head.promised_seconds - 0.5:
        return ""
    if head.promised_frames:
        return f"{frames} of {head.promised_frames} frames decode"
    return f"{table.end:.1f} of {head.promised_seconds:.1f} s are there"


def _seconds(pts: NDArray[np.int64], base: Any) -> NDArray[np.float64]:
    """Timestamps in seconds from the first; exact integer arithmetic before the one division."""
    return np.asarray((pts - pts[:1]) * base.numerator / base.denominator, np.float64)
