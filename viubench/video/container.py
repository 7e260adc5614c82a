"""Opening a video with PyAV: only real containers, only local files, the right stream, every failure with its name.

Example:
    with opened(Path("pour.mp4"), "pour.mp4") as (container, stream):
        print(stream.codec_context.width)
    # 1280
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from viubench.errors import MediaError
from viubench.video import paths

av.logging.set_level(None)  # damage is reported as a fault, not as noise on stderr

FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,ivf,flv,asf,ogg,mxf,gif,yuv4mpegpipe"
"""Demuxers that hold video. Playlists, image sequences and text formats, which open further files, are left out."""

UNFORESEEN = (av.FFmpegError, ArithmeticError, LookupError, TypeError, ValueError)
"""What PyAV or what is computed from its answers may raise on a malformed file."""


NOT_UTF8 = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
"""What PyAV is to do with a title that is no UTF-8; since 19 it is not asked any more."""


@contextmanager
def opened(path: Path, name: str) -> Iterator[tuple[Any, Any]]:
    """Yield (container, best video stream) of an existing file.

    Raises:
        MediaError: `not_a_video`, `truncated`, `no_video_stream`, `no_decoder` or `encrypted`; `corrupt` also when the
            block that reads the container meets one of UNFORESEEN: a malformed file fails alone, whatever its decoder
            raises.
    """
    try:
        container = av.open(
            str(path),
            # Not `options`: those reach the streams too, and streams found late (MPEG-PS) then crash the process.
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            **NOT_UTF8,
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise paths.unreadable(path, name) from error
    with container:
        streams = pictures(container)
        if not streams:
            kinds = sorted({stream.type for stream in container.streams}) or ["no"]
            raise MediaError("no_video_stream", name, f"{' and '.join(kinds)} streams only")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        if stream.codec_context is None:
            raise MediaError("no_decoder", name, "the codec of its video stream is not known")
        if "enc_key_id" in stream.metadata or paths.is_protected(path):
            raise MediaError("encrypted", name, "its pictures can only be read with a key")
        try:
            yield container, stream
        except UNFORESEEN as error:
            raise MediaError("corrupt", name, f"the decoder failed: {type(error).__name__}: {error}") from error


def pictures(container: Any) -> list[Any]:
    """The video streams of an open container, cover art left out."""
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & cover]


def packets(container: Any, *streams: Any) -> Iterator[Any]:
    """Packets in file order until the end, or until the file cannot be read on (what is lost shows in the count)."""
    try:
        yield from container.demux(*streams)
    except (av.FFmpegError, IndexError):
        # IndexError: at the end PyAV also asks streams that appeared in mid-file (a damaged transport stream has them)
        # whether they were requested, in an array that has no place for them.
        return
