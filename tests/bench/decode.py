"""What reading frames costs: the frame cache, cold and warm, beside other readers; and one hour of video.

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

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tests.bench import machine
from viubench.errors import MediaError
from viubench.schema import Clip, Resize, Sampling
from viubench.video import cores
from viubench.video.discover import list_videos
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import Pixels, VideoInput
from viubench.video.pixels import ToRGB, resized, turned

READERS = ("cold", "warm", "decord", "pyav", "qwen")
HOUR_FRAMES = (16, 64, 256)
HOUR_PIXELS = (256 * 256, 512 * 512)
SCENE_SECONDS = 10
"""The drawn hour is one scene of this length over and over: each is decoded as if it were new."""

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


# --- one hour -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HourRow:
    """Frames of one hour read by a fresh worker process: its seconds and its most resident memory, in 10^6 bytes."""

    frames: int
    max_pixels: int
    seconds: float
    peak_mb: float


def hour(seconds: int = 3600, progress: Progress = lambda done, total, note: None) -> list[HourRow]:
    """Read a drawn 720p video of `seconds` at 30 frames a second, a key frame at least every 10 s, in child processes.

    The row of no frames at all is the process itself with everything imported.
    """
    asked = [(0, 0), *((frames, pixels) for pixels in HOUR_PIXELS for frames in HOUR_FRAMES)]
    rows = []
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        progress(0, len(asked), "drawing")
        draw_hour(Path(scratch) / "hour.mp4", seconds)
        for number, (frames, pixels) in enumerate(asked):
            progress(number, len(asked), f"{frames} frames")
            rows.append(HourRow(frames, pixels, **machine.in_child(__name__, scratch, frames, pixels)))
    return rows


def draw_hour(path: Path, seconds: int, size: tuple[int, int] = (720, 1280)) -> None:
    """One textured scene that moves, drawn and encoded once, its packets repeated until `seconds` are full."""
    scene = path.with_name("scene.mp4")
    height, width = size
    texture = np.random.default_rng(0).integers(0, 256, (height // 40 + 10, width // 40 + 10, 3), np.uint8)
    wide = cv2.resize(texture, None, fx=40, fy=40, interpolation=cv2.INTER_CUBIC)
    with av.open(str(scene), "w") as container:
        options = {"preset": "veryfast", "g": str(30 * SCENE_SECONDS)}
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(30 * SCENE_SECONDS):
            view = np.ascontiguousarray(wide[number // 2 : number // 2 + height, number : number + width])
            cv2.circle(view, (width // 2 + 3 * (number % 100), height // 2), 60, (230, 40, 40), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path), "w") as container:
        for turn in range(max(1, seconds // SCENE_SECONDS)):
            with av.open(str(scene)) as source:
                (inside,) = source.streams.video
                if turn == 0:
                    stream = container.add_stream_from_template(inside)
                shift = int(turn * SCENE_SECONDS / Fraction(inside.time_base))
                for packet in source.demux(inside):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = stream
                        container.mux(packet)
    scene.unlink()


def hour_table(rows: list[HourRow]) -> str:
    """Seconds and peak memory by frames and pixels."""
    from tabulate import tabulate

    lines = [[str(row.frames), f"{row.max_pixels:,}", f"{row.seconds:.2f}", f"{row.peak_mb:,.0f}"] for row in rows]
    return tabulate(
        lines, headers=["frames", "pixels at most", "seconds", "peak MB"], disable_numparse=True, colalign=["right"] * 4
    )


def plain(rows: list[DecodeRow] | list[HourRow]) -> list[dict[str, Any]]:
    """Rows as plain data."""
    return [asdict(row) for row in rows]


def main(folder: str, frames: str, pixels: str) -> None:
    """The worker of `hour`: prints its seconds and its peak memory."""
    began = time.perf_counter()
    if int(frames):
        cores.take(1)
        with tempfile.TemporaryDirectory(dir=folder) as store:
            resize = Resize(max_pixels=int(pixels), min_pixels=32 * 32)
            selection = (Clip(path="hour.mp4"), Sampling(frames=int(frames)))
            FrameCache(Path(store)).ensure_all([selection], Path(folder), resize)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": round(seconds, 3), "peak_mb": round(machine.peak_mb(), 1)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
