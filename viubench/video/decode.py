"""The chosen frames of one video as RGB pixels, resized on the way: the right frames or an error, never a short clip.

Example:
    read(path, probe(path), np.array([0, 24, 48]), (352, 640)).shape
    # (3, 352, 640, 3)

The short way comes first (`sparse`): only what the requested frames are made from is decoded. Where that cannot save
anything or leaves the least doubt, everything is decoded in order from the start, which sees every timestamp and every
damaged packet, and settles what the file gives. Only a requested frame is ever turned into RGB, and only its resized
picture is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from viubench.errors import MediaError
from viubench.video import cores
from viubench.video.container import opened
from viubench.video.decoder import Decoder, Span
from viubench.video.frames import Pixels
from viubench.video.pixels import ToRGB, resized, turned
from viubench.video.probe import Probe
from viubench.video.seek import read_sparse, saves

MAX_BYTES = 16 << 30
"""Bytes of the frames of one clip."""


class StaleTable(MediaError):
    """The decoder gives other frames than the packets promised: probe again with `count=True`."""


class Frames(Protocol):
    """What takes the frames: an array, or what writes them away one by one; the first one again begins anew."""

    def __setitem__(self, at: int, frame: Pixels, /) -> None: ...


def read(
    path: Path, probe: Probe, indices: NDArray[np.int64], size: tuple[int, int], *, name: str | None = None
) -> Pixels:
    """The frames `indices` (int64 [T], in presentation order from 0, any order, repeats allowed) of a video.

    Returns:
        Pixels uint8 [T, height, width, 3], RGB, at `size` (height, width).

    Raises as `read_into`.
    """
    requested = np.unique(indices)
    _check(probe, requested, size, str(path) if name is None else name)
    frames = np.empty((len(requested), *size, 3), np.uint8)
    read_into(frames, path, probe, requested, size, name=name)
    return frames if np.array_equal(requested, indices) else frames[np.searchsorted(requested, indices)]


def read_into(
    out: Frames, path: Path, probe: Probe, requested: NDArray[np.int64], size: tuple[int, int], *, name: str | None
) -> None:
    """Decode the frames `requested` (int64 [T], in presentation order from 0, rising) of a video into `out`, each as
    Pixels uint8 [height, width, 3], RGB, at `size` (height, width).

    Raises:
        MediaError: `corrupt` when a requested frame does not decode or depends on damaged data, `too_large` when the
            result passes MAX_BYTES.
        StaleTable: when `probe` does not describe what the decoder gives.
    """
    shown = str(path) if name is None else name
    _check(probe, requested, size, shown)
    if saves(probe) and read_sparse(out, path, probe, requested, size, name=shown, threads=cores.share()):
        return
    _in_order(out, path, probe, requested, size, shown)


def _check(probe: Probe, requested: NDArray[np.int64], size: tuple[int, int], name: str) -> None:
    if requested[0] < 0 or requested[-1] >= probe.frames:
        raise ValueError(f"frames {requested[0]}..{requested[-1]} asked of a video with {probe.frames} frames")
    if len(requested) * size[0] * size[1] * 3 > MAX_BYTES:
        raise MediaError("too_large", name, f"{len(requested)} frames of {size[1]}x{size[0]} pixels")


def _in_order(
    out: Frames, path: Path, probe: Probe, requested: NDArray[np.int64], size: tuple[int, int], name: str
) -> None:
    place = {int(index): at for at, index in enumerate(requested)}
    numbers = {int(pts): index for index, pts in enumerate(probe.pts)}
    spans: dict[int, Span] = {}
    last = -1
    with opened(path, name) as (container, stream):
        decoder = Decoder(container, stream)
        convert = ToRGB()
        for frame in decoder:
            if len(spans) == len(place) and all(decoder.settled(span) for span in spans.values()):
                break
            index = numbers.get(frame.pts, -1) if numbers else last + 1
            if len(spans) < len(place) and (index <= last or (index > last + 1 and not decoder.faults)):
                raise StaleTable("corrupt", name, f"frame {last + 1} is not where its packet says")
            last = index
            if index in place:
                out[place[index]] = resized(turned(convert(frame), probe.rotation), size)
                spans[index] = decoder.span
                if decoder.doubted(decoder.span):
                    break
    bad = [index for index in place if index not in spans or decoder.doubted(spans[index])]
    if not bad:
        return
    if not decoder.faults:
        raise StaleTable("corrupt", name, f"frame {bad[0]} of {probe.frames} is missing")
    raise MediaError("corrupt", name, f"frame {bad[0]} at {probe.times[bad[0]]:.2f} s does not decode cleanly")
