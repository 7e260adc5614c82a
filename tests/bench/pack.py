"""What compressing the frame cache costs and saves: the same frames kept raw and compressed.

Example:
    >>> rows = measure(Path("videos"), frames=32)
    >>> print(table(rows))
    ...     # doctest: +SKIP

Processor seconds of one process: filling decodes, resizes, hashes and writes; loading reads the frames and proves them
by their checksum. The pixels of both are compared.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

from viubench.errors import MediaError
from viubench.schema import Clip, Resize, Sampling
from viubench.video import cores
from viubench.video.discover import list_videos
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput
from viubench.video.packing import packed

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class PackRow:
    """One clip: bytes of its entry raw and compressed, and processor seconds to fill and to load each."""

    clip: str
    raw: int
    compressed: int
    fill_raw: float
    fill_compressed: float
    load_raw: float
    load_compressed: float
    equal: bool


def measure(
    videos: Path, frames: int, pixels: int = 262_144, progress: Progress = lambda done, total, note: None
) -> list[PackRow]:
    """Keep `frames` frames of at most `pixels` pixels of every video below `videos`, raw and compressed; videos that
    cannot be read are left out."""
    cores.take(1)
    packed(np.zeros((2, 2, 3), np.uint8))  # what is loaded once is not of one clip
    paths = list_videos(videos)[0]
    rows = []
    for number, path in enumerate(paths):
        progress(number, len(paths), path)
        found = []
        for compress in (False, True):
            with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
                store = FrameCache(Path(scratch), compress=compress)
                try:
                    found.append(_kept(store, videos, path, Sampling(frames=frames), Resize(max_pixels=pixels)))
                except MediaError:
                    break
        if len(found) == 2:
            (a, raw, fill_a, load_a), (b, small, fill_b, load_b) = found
            rows.append(PackRow(path, raw, small, fill_a, fill_b, load_a, load_b, np.array_equal(a, b)))
    return rows


def _kept(store: FrameCache, root: Path, path: str, how: Sampling, resize: Resize) -> tuple[object, int, float, float]:
    """The pixels, the bytes of their entry, and the processor seconds to fill and to load it."""
    clip = Clip(path=path)
    store.probe(clip, root)
    began = time.process_time()
    (key,) = store.ensure_all([(clip, how)], root, resize)
    filled = time.process_time()
    if isinstance(key, MediaError):
        raise key
    video = store.load(key)
    loaded = time.process_time()
    assert isinstance(video, VideoInput)
    size = (store.root / f"{key}.frames").stat().st_size
    return np.array(video.pixels), size, filled - began, loaded - filled


def table(rows: list[PackRow]) -> str:
    """For a terminal."""
    lines = [_line(row.clip, [row]) for row in rows] + [_line("all", rows)]
    headers = ["", "MB", "compressed", "ratio", "fill, s", "compressed", "load, s", "compressed"]
    unequal = sum(not row.equal for row in rows)
    printed = tabulate(lines, headers, disable_numparse=True, colalign=["left", *["right"] * 7])
    return f"{printed}\nthe pixels of {unequal or 'none'} of {len(rows)} differ"


def _line(name: str, rows: list[PackRow]) -> list[str]:
    raw, small = sum(row.raw for row in rows), sum(row.compressed for row in rows)
    seconds = [
        sum(getattr(row, which) for row in rows)
        for which in ("fill_raw", "fill_compressed", "load_raw", "load_compressed")
    ]
    return [name, f"{raw / 1e6:.1f}", f"{small / 1e6:.1f}", f"{raw / small:.2f}", *(f"{one:.3f}" for one in seconds)]
