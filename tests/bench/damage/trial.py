"""Damage sound files, read them as a run does, and hold what is shown against the sound file.

Example:
    measure(sources(folder), files=700, seed=0, frames=24, workers=2)[0].outcome
    # 'corrupt'
"""

from __future__ import annotations

import functools
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from blake3 import blake3

from tests.bench import machine
from tests.bench.damage.judges import judged
from tests.bench.damage.kinds import Source
from tests.bench.damage.mutations import MUTATIONS, mutated
from viubench.errors import MediaError
from viubench.runner.config import Progress
from viubench.schema import Clip, Resize, Sampling
from viubench.video.container import opened
from viubench.video.decoder import Decoder
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput
from viubench.video.process_pool import KillablePool

LIMIT_S, MEMORY = 60.0, 4 << 30
"""Seconds and bytes of address space that reading one file may take; past them it is `timeout` or `too_large`."""

NEAR = 0.25
"""Seconds by which a frame may stand elsewhere than in the sound file: packets were taken out or put in."""

RESIZE = Resize(max_pixels=256 * 144, min_pixels=1024)


@dataclass(frozen=True)
class DamageRow:
    """What became of one damaged file.

    Attributes:
        outcome: "ok", or the fault that was told.
        shown, wrong: frames shown, and how many of them the sound file does not show near that time.
        differs: whether other frames asked of the same file gave other pixels for the same instants.
        judges: of an `ok` with wrong frames, what would have told it (see `judges.judged`).
    """

    kind: str
    mutation: str
    seed: int
    outcome: str
    shown: int = 0
    wrong: int = 0
    differs: bool = False
    judges: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Price:
    """Seconds to decode a sound file in order, plainly and with every check."""

    kind: str
    plain: float
    checked: float


def measure(
    sources: Sequence[Source],
    files: int,
    seed: int,
    frames: int,
    workers: int,
    progress: Progress = lambda done, total, note: None,
) -> list[DamageRow]:
    """About `files` damaged files, as many of each kind and each mutation; equal seeds, equal files."""
    turns = range(-(-files // (len(sources) * len(MUTATIONS))))
    cases = list(itertools.product(turns, sources, MUTATIONS))
    with KillablePool(workers, LIMIT_S, memory_bytes=MEMORY) as pool:
        jobs = [pool.submit(_read, source, how, seed + turn, frames, name=source.kind) for turn, source, how in cases]
        rows: list[DamageRow] = []
        for job, (turn, source, how) in zip(jobs, cases, strict=True):
            progress(len(rows), len(cases), source.kind)
            try:
                row = job.result()
            except MediaError as error:
                row = DamageRow(source.kind, how, seed + turn, error.fault)
            if row is not None:
                rows.append(row)
    return rows


def prices(sources: Sequence[Source], tries: int = 3) -> list[Price]:
    """What the checks cost on each sound file, the best of some tries each."""
    return [
        Price(source.kind, min(_plainly(source.path) for _ in range(tries)),
              min(_checked(source.path) for _ in range(tries)))
        for source in sources
    ]  # fmt: skip


def _read(source: Source, how: str, seed: int, frames: int) -> DamageRow | None:
    """In a worker: damage, read, compare; None where the container takes no such damage."""
    rng = random.Random(f"{source.kind} {how} {seed}")
    with TemporaryDirectory(prefix="viubench-bench-") as scratch:
        damaged = Path(scratch) / f"damaged{source.path.suffix}"
        if not mutated(source.path, how, rng, damaged):
            return None
        truth = _truth(source.path)
        began = time.perf_counter()
        try:
            video = _shown(damaged, Path(scratch) / "first", Sampling(frames=frames))
        except MediaError as error:
            return DamageRow(source.kind, how, seed, error.fault, seconds=time.perf_counter() - began,
                             peak_mb=machine.peak_mb())  # fmt: skip
        spent = time.perf_counter() - began
        wrong = [
            when for pixels, when in zip(video.pixels, video.times, strict=True) if not _right(pixels, when, truth)
        ]
        return DamageRow(
            source.kind, how, seed, "ok", len(video), len(wrong), _differs(damaged, video, Path(scratch) / "again"),
            tuple(judged(damaged, source.path, wrong).items()) if wrong else (), spent, machine.peak_mb(),
        )  # fmt: skip


def _shown(path: Path, cache: Path, how: Sampling) -> VideoInput:
    return FrameCache(cache).get(Clip(path=path.name), path.parent, how, RESIZE)


def _differs(path: Path, video: VideoInput, cache: Path) -> bool:
    """Whether every third of the frames, asked for alone, comes out otherwise."""
    try:
        again = _shown(path, cache, Sampling(kind="indices", indices=video.indices[::3]))
    except MediaError:
        return True
    return not np.array_equal(again.pixels, video.pixels[::3])


@functools.lru_cache(maxsize=64)
def _truth(path: Path) -> dict[str, list[float]]:
    """The times at which a sound file shows each picture."""
    with TemporaryDirectory(prefix="viubench-bench-") as cache:
        store = FrameCache(Path(cache))
        frames = store.probe(Clip(path=path.name), path.parent).frames
        video = _shown(path, Path(cache), Sampling(kind="indices", indices=tuple(range(frames))))
        times: dict[str, list[float]] = {}
        for pixels, when in zip(video.pixels, video.times, strict=True):
            times.setdefault(_hash(pixels), []).append(when)
        return times


def _right(pixels: np.ndarray, when: float, truth: dict[str, list[float]]) -> bool:
    return any(abs(when - other) <= NEAR for other in truth.get(_hash(pixels), ()))


def _hash(pixels: np.ndarray) -> str:
    return str(blake3(np.ascontiguousarray(pixels).data.cast("B")).hexdigest(length=16))


def _plainly(path: Path) -> float:
    began = time.process_time()
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        assert stream is not None
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass
    return time.process_time() - began


def _checked(path: Path) -> float:
    began = time.process_time()
    with opened(path, path.name) as (container, stream):
        for _ in Decoder(container, stream):
            pass
    return time.process_time() - began
