"""Small real videos for the tests: every frame carries its own number as a bar code, so a test can read which it is.

Example:
    >>> write(Path("a.mp4"), 50)
    >>> number(frame_of_that_video)
    17
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from viubench.video import decode
from viubench.video.frames import Pixels
from viubench.video.probe import Probe
from viubench.video.seek import read_sparse

BITS, CELL = 10, 16
HEIGHT, WIDTH = 4 * CELL, BITS * CELL


def barcode(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray[Any, Any]:
    """RGB [height, width, 3]: the bits of `index` as black and white columns over a coloured, moving strip."""
    picture = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        columns = slice(bit * width // BITS, (bit + 1) * width // BITS)
        picture[: height // 2, columns] = 235 if index >> bit & 1 else 20
    picture[height // 2 :] = (200, 60, 90)
    left = index * 5 % width
    picture[height // 2 :, left : left + CELL] = (30, 160, 220)
    return picture


def number(picture: np.ndarray[Any, Any]) -> int:
    """The frame number in a (resized) bar code."""
    height, width = picture.shape[:2]
    row = picture[height // 8 : height * 3 // 8].mean(axis=(0, 2))
    return sum(1 << bit for bit in range(BITS) if row[int((bit + 0.5) * width / BITS)] > 128)


def frames_of(pixels: np.ndarray[Any, Any]) -> list[int]:
    """The frame numbers in several bar codes."""
    return [number(picture) for picture in pixels]


def sparse(path: Path, facts: Probe, chosen: Any, size: tuple[int, int], **options: Any) -> Pixels | None:
    """Frames by the short way; None in doubt."""
    out = np.empty((len(chosen), *size, 3), np.uint8)
    return out if read_sparse(out, path, facts, np.array(chosen), size, name=path.name, **options) else None


def in_order(path: Path, facts: Probe, chosen: Any, size: tuple[int, int]) -> Pixels:
    """Frames by decoding everything from the first on."""
    out = np.empty((len(chosen), *size, 3), np.uint8)
    decode._in_order(out, path, facts, np.array(chosen), size, path.name)
    return out


def write(
    path: Path,
    frames: int,
    *,
    codec: str = "libx264",
    rate: int = 25,
    options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    ticks: list[int] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    colorspace: int | None = None,
    movflags: str | None = None,
) -> Path:
    """Encode bar codes 0..frames-1; `ticks` gives each frame's time in milliseconds instead of the even rate."""
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV cannot encode {codec}")
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = pixel_format
        stream.bit_rate = 2_000_000
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(barcode(index, *size), format="rgb24")
            if colorspace is not None:
                frame = frame.reformat(format=pixel_format, src_colorspace=5, dst_colorspace=colorspace)
                frame.colorspace = colorspace
            if ticks is not None:
                frame.pts, frame.time_base = ticks[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def patched(path: Path, target: Path, at: bytes, offset: int, new: bytes) -> Path:
    """A copy of `path` with `new` written `offset` bytes after the first occurrence of `at`."""
    data = bytearray(path.read_bytes())
    place = data.index(at) + offset
    data[place : place + len(new)] = new
    target.write_bytes(data)
    return target
