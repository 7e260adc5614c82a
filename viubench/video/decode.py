"""The chosen frames of one video as RGB pixels, resized on the way: the right frames or an error, never a short clip.

Example:
    >>> pixels, reader = read(path, probe(path), np.array([0, 24, 48]), (352, 640))  # doctest: +SKIP
    >>> pixels.shape, reader  # doctest: +SKIP
    ((3, 352, 640, 3), 'pyav')

Two readers return the same pixels. PyAV decodes from the start and sees every timestamp and every damaged packet.
Decord jumps from key frame to key frame and is the fast path, taken where jumping is proved safe
(`Probe.random_access`) and saves at least half of the decoding; where most frames must be decoded anyway it is the
slower one. Decord's table of times must agree with the probe's before a frame of it is believed. What decord cannot
show is damage that the codec hides (a smeared picture without an error).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from viubench.errors import MediaError
from viubench.video.container import Decoder, opened
from viubench.video.frames import Pixels
from viubench.video.probe import Probe

MAX_BYTES = 16 << 30
"""Bytes of the frames of one clip."""


class StaleTable(MediaError):
    """The decoder gives other frames than the packets promised: probe again with `count=True`."""


def read(
    path: Path, probe: Probe, indices: NDArray[np.int64], size: tuple[int, int], *, name: str | None = None
) -> tuple[Pixels, str]:
    """Decode frames `indices` (any order, repeats allowed) of a video and resize them.

    Args:
        path: the file.
        probe: its facts.
        indices: frame numbers in presentation order, int64 [T], each below `probe.frames`.
        size: (height, width) of the result.
        name: what error messages call the file; the path by default.

    Returns:
        Pixels uint8 [T, height, width, 3], RGB; area-averaged when made smaller, bicubic when made larger. And the
        reader: "decord" or "pyav".

    Raises:
        MediaError: `corrupt` when a wanted frame does not decode or depends on damaged data, `too_large` when the
            result passes MAX_BYTES.
        StaleTable: when `probe` does not describe what the decoder gives.
    """
    shown = str(path) if name is None else name
    wanted = np.unique(indices)
    if wanted[0] < 0 or wanted[-1] >= probe.frames:
        raise ValueError(f"frames {wanted[0]}..{wanted[-1]} asked of a video with {probe.frames} frames")
    needed = len(wanted) * size[0] * size[1] * 3
    if needed > MAX_BYTES:
        raise MediaError("too_large", shown, f"{len(wanted)} frames of {size[1]}x{size[0]} pixels")
    frames = _jump(path, probe, wanted, size) if jumping_pays(probe, wanted) else None
    reader = "pyav" if frames is None else "decord"
    if frames is None:
        frames = _in_order(path, probe, wanted, size, shown)
    return (frames if np.array_equal(wanted, indices) else frames[np.searchsorted(wanted, indices)]), reader


def jumping_pays(probe: Probe, wanted: NDArray[np.int64]) -> bool:
    """Whether reaching the wanted frames (rising) from their key frames decodes at most half of what reading on from
    the first frame does."""
    if not probe.random_access or len(probe.keys) == 0:
        return False
    keys = probe.keys[np.maximum(np.searchsorted(probe.keys, wanted, side="right") - 1, 0)]
    # From the frame before it where that lies in the same group of pictures, else from the key frame.
    start = np.maximum(keys, np.concatenate(([-1], wanted[:-1])) + 1)
    return bool(2 * np.sum(wanted - start + 1) <= wanted[-1] + 1)


def _in_order(path: Path, probe: Probe, wanted: NDArray[np.int64], size: tuple[int, int], name: str) -> Pixels:
    out = np.empty((len(wanted), *size, 3), np.uint8)
    place = {int(index): at for at, index in enumerate(wanted)}
    numbers = {int(pts): index for index, pts in enumerate(probe.pts)}
    damaged = False  # since the last whole key frame
    errors = 0
    last = -1
    with opened(path, name) as (container, stream):
        decoder = Decoder(container, stream)
        convert = ToRGB()
        for frame in decoder:
            index = numbers.get(frame.pts, -1) if numbers else last + 1
            damaged = frame.is_corrupt or decoder.errors > errors or (damaged and not frame.key_frame)
            errors = decoder.errors
            if index <= last or (index > last + 1 and not damaged):
                raise StaleTable("corrupt", name, f"frame {last + 1} is not where its packet says")
            last = index
            if index in place:
                if damaged:
                    break
                out[place.pop(index)] = resized(np.rot90(convert(frame), probe.rotation // 90), size)
            if not place:
                return out
    missing = min(place)
    if not damaged and not decoder.errors:
        raise StaleTable("corrupt", name, f"frame {missing} of {probe.frames} is missing")
    raise MediaError("corrupt", name, f"frame {missing} at {probe.times[missing]:.2f} s does not decode cleanly")


def _jump(path: Path, probe: Probe, wanted: NDArray[np.int64], size: tuple[int, int]) -> Pixels | None:
    """Frames by decord; None where it is not installed, fails, or tells other times than the probe."""
    try:
        import decord
    except ImportError:
        return None
    decord.logging.set_level(decord.logging.QUIET)
    out = np.empty((len(wanted), *size, 3), np.uint8)
    try:
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
        if len(reader) != probe.frames:
            return None
        times = reader.get_frame_timestamp(np.arange(probe.frames))[:, 0].astype(np.float64)
        # Decord keeps single precision: one part in 2^23.
        if np.abs(times - times[0] - probe.times).max() > 2e-3 + probe.duration * 2e-7:
            return None
        for at, index in enumerate(wanted):
            frame = reader[int(index)].asnumpy()
            if frame.shape != (probe.height, probe.width, 3):
                return None
            out[at] = resized(frame, size)
    except (RuntimeError, AssertionError, IndexError):
        return None  # PyAV reads it in order and says what is wrong, if anything is
    return out


class ToRGB:
    """Decoded frame -> uint8 [H, W, 3] RGB by the matrix and the range the stream declares.

    FFmpeg's own scale filter is used: PyAV's `to_ndarray` takes BT.601 for BT.709 streams in some versions.
    """

    def __init__(self) -> None:
        self._made_for: tuple[Any, ...] = ()
        self._graph: Any = None

    def __call__(self, frame: Any) -> Pixels:
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._made_for:
            graph = Graph()
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
            rgb, sink = graph.add("format", "pix_fmts=rgb24"), graph.add("buffersink")
            source.link_to(rgb)
            rgb.link_to(sink)
            graph.configure()
            self._graph, self._made_for = graph, shape
        self._graph.push(frame)
        pixels: Pixels = self._graph.pull().to_ndarray()
        return pixels


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """One RGB frame at (height, width): area-averaged when it gets smaller, bicubic when larger."""
    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    method = cv2.INTER_AREA if size[0] * size[1] <= height * width else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(pixels), size[::-1], interpolation=method), np.uint8)
