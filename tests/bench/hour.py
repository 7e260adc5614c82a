"""What frames of one long video cost: processor seconds, memory and disk, beside other libraries and ffmpeg.

Example:
    >>> print(table(measure(60, (8,)), 60))
    ...     # doctest: +SKIP

The drawn hour is one scene over and over: each is decoded as if it were new, and its frames are known.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tests.bench import machine
from tests.bench.decode import in_order
from viubench.errors import ViubenchError
from viubench.schema import Clip, Resize, Sampling
from viubench.video import cores, sampling
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import Pixels
from viubench.video.probe import probe
from viubench.video.readers import LIBRARIES, loads

READERS = ("ours", *LIBRARIES, "ffmpeg")
FRAMES = (64, 256, 768, 2048)
SIZE = (1080, 1920)
RATE, SCENE_SECONDS = 30, 10
RESIZE = Resize(max_pixels=512 * 512, min_pixels=32 * 32)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class HourRow:
    """Frames read by a process of its own: its processor seconds, its most resident memory and what it wrote, in 10^6
    bytes, and the frames that differ from a decode in order (None: not compared)."""

    reader: str
    frames: int
    seconds: float
    peak_mb: float
    store_mb: float = 0.0
    wrong: int | None = None


def measure(
    seconds: int,
    frames: tuple[int, ...] = FRAMES,
    size: tuple[int, int] = SIZE,
    progress: Progress = lambda done, total, note: None,
) -> list[HourRow]:
    """Read frames of a drawn video of `seconds` with every reader that is installed; `idle` is the process itself."""
    there = [name for name in READERS if name == "ours" or (shutil.which(name) if name == "ffmpeg" else loads(name))]
    asked = [("idle", 0), *((name, count) for count in frames for name in there)]
    rows = []
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch:
        progress(0, len(asked), "drawing")
        draw(Path(scratch) / "hour.mp4", seconds, size)
        for number, (name, count) in enumerate(asked):
            progress(number, len(asked), f"{count} frames, {name}")
            try:
                rows.append(HourRow(name, count, **machine.in_child(__name__, scratch, name, count)))
            except ViubenchError as error:
                print(f"{name}, {count} frames: {error}", file=sys.stderr)
    return rows


def draw(path: Path, seconds: int, size: tuple[int, int] = SIZE) -> None:
    """One textured scene that moves, drawn and encoded once, its packets repeated until `seconds` are full; the scene's
    frames as they are shown are kept beside it."""
    scene = path.with_name("scene.mp4")
    height, width = size
    texture = np.random.default_rng(0).integers(0, 256, (height // 40 + 10, width // 40 + 10, 3), np.uint8)
    wide = cv2.resize(texture, None, fx=40, fy=40, interpolation=cv2.INTER_CUBIC)
    with av.open(str(scene), "w") as container:
        options = {"preset": "veryfast", "g": str(RATE * SCENE_SECONDS)}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(RATE * SCENE_SECONDS):
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
    shown = sampling.fit(*size, RESIZE, 1)
    np.save(path.with_name("scene.npy"), in_order(str(scene), list(range(RATE * SCENE_SECONDS)), shown))


def table(rows: list[HourRow], seconds: int) -> str:
    """A line for each reader and number of frames."""
    from tabulate import tabulate

    lines = [
        [
            str(row.frames), row.reader, f"{row.seconds:.1f}", f"{row.peak_mb:,.0f}", f"{row.store_mb:,.0f}",
            "-" if row.wrong is None else str(row.wrong),
        ]
        for row in rows
    ]  # fmt: skip
    head = ["frames", "reader", "processor seconds", "peak MB", "written MB", "wrong"]
    aligned = ("right", "left", *["right"] * 4)
    printed = tabulate(lines, headers=head, disable_numparse=True, colalign=aligned)
    return f"One drawn video of {seconds} s, {SIZE[1]}x{SIZE[0]}, {RATE} frames a second\n{printed}"


def ours(folder: Path, frames: int) -> tuple[Pixels, list[int], float]:
    """Frames through the frame cache: mapped, their numbers, and the MB of the entry."""
    store = FrameCache(folder / "store")
    (key,) = store.ensure_all([(Clip(path="hour.mp4"), Sampling(frames=frames))], folder, RESIZE)
    file = store.root / f"{key}.frames"
    facts = probe(folder / "hour.mp4")
    chosen = sampling.choose(facts.times, facts.duration, Sampling(frames=frames)).tolist()
    size = sampling.fit(facts.height, facts.width, RESIZE, frames)
    room = file.stat().st_size - frames * size[0] * size[1] * 3
    return np.memmap(file, np.uint8, "r", room, (frames, *size, 3)), chosen, file.stat().st_size / 1e6


def main(folder: str, reader: str, count: str) -> None:
    """The worker: prints what `HourRow` says beside its name."""
    place, frames = Path(folder), int(count)
    cores.take(1)
    found = {}
    if reader == "ours":
        pixels, chosen, store = ours(place, frames)
        found = spent() | {"store_mb": round(store, 1)} | compared(place, pixels, chosen)
        shutil.rmtree(place / "store")
    elif reader in LIBRARIES:
        facts = probe(place / "hour.mp4")
        chosen = sampling.choose(facts.times, facts.duration, Sampling(frames=frames)).tolist()
        _, give = LIBRARIES[reader](place / "hour.mp4")
        size = sampling.fit(facts.height, facts.width, RESIZE, frames)
        pixels = np.empty((frames, *size, 3), np.uint8)
        for at in range(0, frames, 32):
            for number, frame in enumerate(give(chosen[at : at + 32]), at):
                pixels[number] = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
        found = spent() | compared(place, pixels, chosen)
    elif reader == "ffmpeg":
        size = sampling.fit(*SIZE, RESIZE, frames)
        step = max(1, probe(place / "hour.mp4").frames // frames)
        pick = f"select='not(mod(n\\,{step}))',scale={size[1]}:{size[0]}:flags=area"
        command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(place / "hour.mp4"), "-vf", pick]
        command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", os.devnull, "-y"]
        subprocess.run(command, check=True)
        found = spent() | {"peak_mb": round(machine.children_peak_mb(), 1)}
    print(json.dumps(found or spent()))


def spent() -> dict[str, float]:
    """Processor seconds of this process and those it started, and its peak memory."""
    times = os.times()
    return {"seconds": round(sum(times[:4]), 2), "peak_mb": round(machine.peak_mb(), 1)}


def compared(folder: Path, pixels: Pixels, chosen: list[int]) -> dict[str, int]:
    """How many frames differ from the scene's."""
    truth = np.load(folder / "scene.npy", mmap_mode="r")
    return {
        "wrong": sum(not np.array_equal(one, truth[at % len(truth)]) for one, at in zip(pixels, chosen, strict=True))
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
