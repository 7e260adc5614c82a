"""Bytes of a video, probed in a process of its own.

Example:
    once(b"ftypisom")
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import av
import numpy as np

from viubench.errors import MediaError
from viubench.video.probe import probe
from viubench.video.process_pool import KillablePool

LIMIT_S = 20.0
FORMS = (("mp4", "h264"), ("mkv", "h264"), ("avi", "mpeg4"), ("ts", "mpeg2video"), ("webm", "vp8"), ("mov", "mjpeg"))
FOLDER = tempfile.TemporaryDirectory(prefix="viubench-fuzz-")


@cache
def pool() -> KillablePool:
    return KillablePool(1, LIMIT_S, memory_bytes=4 << 30)


def seeds() -> Iterator[bytes]:
    """A drawn clip of a second in several containers and codecs."""
    frames = np.random.default_rng(0).integers(0, 255, (8, 48, 64, 3), np.uint8)
    for number, (ending, codec) in enumerate(FORMS):
        file = Path(FOLDER.name) / f"seed-{number}.{ending}"
        with av.open(str(file), "w") as container:
            stream = container.add_stream(codec, rate=8)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for pixels in (*frames, None):
                frame = None if pixels is None else av.VideoFrame.from_ndarray(pixels)
                for packet in stream.encode(frame):
                    container.mux(packet)
        yield file.read_bytes()


def once(data: bytes) -> None:
    file = Path(FOLDER.name) / "clip"
    file.write_bytes(data)
    try:
        facts = pool().submit(probe, file, name="clip").result()
    except MediaError as error:
        if error.fault == "timeout":
            raise
        return
    assert facts.frames == len(facts.times) > 0
    assert facts.height > 0
    assert facts.width > 0
