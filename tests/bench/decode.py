"""What reading frames costs: the frame cache, cold and warm, beside other readers.

Example:
    >>> rows = clips(Path("videos"), frames=32)
    >>> print(table(rows))
    ...     # doctest: +SKIP

Every reader gives the same number of frames at the same size. Ours writes them to the store as well (cold), or finds
them there and checks them (warm). `decord` is `get_batch` with its own number of threads and `pyav` a decode in order,
both given our frame numbers and resized frame by frame with OpenCV; `qwen` is `fetch_video` of qwen-vl-utils, which
chooses its own evenly spaced frames. Frames are compared with those of a decode in order: `wrong` counts those that
differ by more than one grey level on average, which is another frame and no rounding.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from viubench.errors import MediaError
from viubench.schema import Clip, Resize, Sampling
from viubench.video import cores
from viubench.video.discover import list_videos
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import Pixels, VideoInput
from viubench.video.pixels import ToRGB, resized, turned

READERS = ("cold", "warm", "decord", "pyav", "qwen")
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class DecodeRow:
    """One clip by one reader: seconds, frames that are not the right ones (None: not compared), or why it failed."""

    clip: str
    reader: str
    seconds: float | None
    wrong: int | None
    error: str = ""


def clips(videos: Path, frames: int, progress: Progress = lambda done, total, note: None) -> list[DecodeRow]:
    """Read `frames` frames of every video below `videos` with every reader; videos that ours refuses are left out."""
    cores.take(1)
    paths = list_videos(videos)[0]
    rows: list[DecodeRow] = []
    for number, path in enumerate(paths):
        progress(number, len(paths), path)
        with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
            store = FrameCache(Path(scratch))
            try:
                seconds, video = _timed(partial(_ours, store, videos, path, frames))
            except MediaError:
                continue
            rows += _one(videos, path, store, seconds, video)
    return rows


def _one(videos: Path, path: str, store: FrameCache, cold: float, video: VideoInput) -> list[DecodeRow]:
    file, chosen, size = str(videos / path), list(video.indices), video.pixels.shape[1:3]
    truth = in_order(file, chosen, size)
    rows = [DecodeRow(path, "cold", cold, _wrong(video.pixels, truth))]
    readers: dict[str, Callable[[], Any]] = {
        "warm": lambda: _ours(store, videos, path, len(chosen)).pixels,
        "decord": lambda: with_decord(file, chosen, size),
        "pyav": lambda: in_order(file, chosen, size),
        "qwen": lambda: with_qwen(file, len(chosen), size),
    }
    for name, reader in readers.items():
        try:
            seconds, pixels = _timed(reader)
        except Exception as error:  # whatever another reader raises is its answer
            rows.append(DecodeRow(path, name, None, None, f"{type(error).__name__}: {error}".splitlines()[0][:120]))
            continue
        rows.append(DecodeRow(path, name, seconds, None if name == "qwen" else _wrong(pixels, truth)))
    return rows


def _ours(store: FrameCache, videos: Path, path: str, frames: int) -> VideoInput:
    return store.get(Clip(path=path), videos, Sampling(frames=frames), Resize())


def in_order(file: str, chosen: list[int], size: tuple[int, int]) -> Pixels:
    """Frames by decoding from the first on, as a plain PyAV loop does."""
    wanted, kept, convert = set(chosen), [], ToRGB()
    with av.open(file) as container:
        stream = container.streams.best("video")
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                kept.append(resized(turned(convert(frame), frame.rotation % 360), size))
            if number == chosen[-1]:
                break
    return np.stack(kept)


def with_decord(file: str, chosen: list[int], size: tuple[int, int]) -> Pixels:
    """Frames by decord's `get_batch`."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    batch = decord.VideoReader(file).get_batch(chosen).asnumpy()
    return np.stack([resized(frame, size) for frame in batch])


def with_qwen(file: str, frames: int, size: tuple[int, int]) -> Any:
    """Frames by qwen-vl-utils, which must be set to use decord where torchcodec does not load."""
    os.environ.setdefault("FORCE_QWENVL_VIDEO_READER", "decord")
    logging.getLogger("qwen_vl_utils").setLevel(logging.CRITICAL)
    import qwen_vl_utils

    asked = {"video": file, "nframes": frames, "resized_height": size[0], "resized_width": size[1]}
    return qwen_vl_utils.fetch_video(asked, image_patch_size=16)


def _wrong(pixels: Pixels, truth: Pixels) -> int:
    gaps = [cv2.norm(cv2.absdiff(one, other), cv2.NORM_L1) / one.size for one, other in zip(pixels, truth, strict=True)]
    return sum(gap > 1 for gap in gaps)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def table(rows: list[DecodeRow]) -> str:
    """A line per clip, the sums over the clips that a reader could read, and how they compare with ours, cold."""
    from tabulate import tabulate

    by = {(row.clip, row.reader): row for row in rows}
    lines = []
    for clip in dict.fromkeys(row.clip for row in rows):
        found = [by[clip, reader] for reader in READERS]
        lines.append([clip, *map(_cell, found)])
    lines += [[label, *cells] for label, cells in _sums(by)]
    head = ["seconds", "ours, cold", "ours, warm", "decord", "PyAV in order", "qwen-vl-utils"]
    return tabulate(lines, headers=head, disable_numparse=True, colalign=("left", *["right"] * 5))


def _cell(row: DecodeRow) -> str:
    if row.seconds is None:
        return "failed"
    return f"{row.seconds:.3f}" + (f" ({row.wrong} wrong)" if row.wrong else "")


def sums(rows: list[DecodeRow]) -> dict[str, dict[str, float]]:
    """Per reader: its seconds over the clips it read, ours (cold) over the same ones, and theirs / ours."""
    cold = {row.clip: row.seconds for row in rows if row.reader == "cold"}
    totals = {}
    for reader in READERS:
        read = [(row.seconds, cold[row.clip]) for row in rows if row.reader == reader and row.seconds is not None]
        theirs, ours = sum(one for one, _ in read), sum(other or 0 for _, other in read)
        totals[reader] = {"clips": len(read), "seconds": theirs, "cold": ours, "ratio": theirs / ours if ours else 0.0}
    return totals


def _sums(by: dict[tuple[str, str], DecodeRow]) -> Iterator[tuple[str, list[str]]]:
    totals = sums(list(by.values()))
    yield "sum", [f"{totals[reader]['seconds']:.2f} of {totals[reader]['clips']}" for reader in READERS]
    yield "theirs / ours, cold", [f"{totals[reader]['ratio']:.2f}" for reader in READERS]
