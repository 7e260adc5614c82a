"""Frames for a run: all that is requested of one video file is decoded together, once, in another process.

Example:
    media = Media(FrameCache(default_root()), KillablePool(2, 300))
    video = await media.video((Path("videos"), Clip(path="pour.mp4"), Sampling(), Resize()))

A file of which several selections of one size are requested (32 frames for one task, 64 for another, windows of a long
video) is read once for all of them. Questions in flight together that show the same frames share one array.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from viubench.errors import MediaError
from viubench.schema import Clip, Resize, Sampling
from viubench.video import sampling
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput
from viubench.video.process_pool import KillablePool

log = logging.getLogger("viubench")

FrameRequest = tuple[Path, Clip, Sampling, Resize]
"""A clip below its media root, and which of its frames are shown at what size."""

FRAME_BYTES = 4 << 30
"""Bytes of frames held in memory at once, however many requests the engine takes."""

TOGETHER = 512
"""Frames of several requests that one reading of a file may keep, in memory of one worker: 400 MB at 512x512 pixels;
larger ones count by their pixels."""


@dataclass
class Media:
    """Where frames come from: the frame cache, and the processes that decode into it. They have spent `decode_seconds`
    on `decoded` jobs, each a reading of one file or a hit in the cache."""

    cache: FrameCache
    pool: KillablePool
    decode_seconds: float = 0.0
    decoded: int = 0
    _in_flight: dict[FrameRequest, Future[str]] = field(default_factory=dict)
    _expected: dict[tuple[Path, str, Resize], list[FrameRequest]] = field(default_factory=dict)
    _shown: WeakValueDictionary[str, VideoInput] = field(default_factory=WeakValueDictionary)
    _loading: dict[str, asyncio.Future[VideoInput | None]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    async def video(self, request: FrameRequest) -> VideoInput:
        """The frames of one clip, decoded by a worker process unless the cache holds them; raises MediaError."""
        for _ in range(3):
            key = await asyncio.wrap_future(self.decode(request))
            video = self._shown.get(key) or await self._load(key)
            if video is not None:
                return self._shown.setdefault(key, video)
            self._in_flight.pop(request, None)  # evicted by other videos since it was decoded
        raise self.cache.too_small()

    async def _load(self, key: str) -> VideoInput | None:
        """An entry of the cache; concurrent questions of one video check its pixels once."""
        if key not in self._loading:
            self._loading[key] = asyncio.ensure_future(asyncio.to_thread(self.cache.load, key))
            self._loading[key].add_done_callback(lambda _: self._loading.pop(key))
        return await asyncio.shield(self._loading[key])

    def expect(self, requests: Iterable[FrameRequest]) -> None:
        """Announce requests: those of one file are decoded together with the first of them."""
        for request in dict.fromkeys(requests):
            root, clip, _, resize = request
            if clip.path:
                self._expected.setdefault((root, clip.path, resize), []).append(request)

    def decode(self, request: FrameRequest) -> Future[str]:
        """The cache key of a clip, once a worker has decoded it; two questions of one video decode it once."""
        if request not in self._in_flight:
            requests = self._companions(request)
            keys: list[Future[str]] = [Future() for _ in requests]
            self._in_flight.update(zip(requests, keys, strict=True))
            self._fill(requests, keys)
        return self._in_flight[request]

    def _companions(self, request: FrameRequest) -> list[FrameRequest]:
        """`request`, and the others expected of its file, as far as they fit into memory together."""
        root, clip, how, resize = request
        waiting = self._expected.pop((root, clip.path, resize), [])
        frames, taken = _weight(how, resize), [request]
        left: list[FrameRequest] = []
        for other in waiting:
            if other == request or other in self._in_flight:
                continue
            fits = frames + _weight(other[2], resize) <= TOGETHER
            frames += _weight(other[2], resize) if fits else 0
            (taken if fits else left).append(other)
        if left:
            self._expected[root, clip.path, resize] = left
        return taken

    def _fill(self, requests: Sequence[FrameRequest], keys: Sequence[Future[str]]) -> None:
        root, clip, _, resize = requests[0]
        selections = [(clip, sampling) for _, clip, sampling, _ in requests]
        job: Future[Filled] = self.pool.submit(fill, self.cache, root, selections, resize, name=clip.path)
        job.add_done_callback(lambda done: self._settle(done, requests, keys))

    def _settle(self, done: Future[Filled], requests: Sequence[FrameRequest], keys: Sequence[Future[str]]) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, MediaError) and len(requests) > 1:
            # The worker ran out of time or memory, or died: one request must not cost the others their frames.
            for request, key in zip(requests, keys, strict=True):
                try:
                    self._fill([request], [key])
                except RuntimeError:  # the pool was closed meanwhile
                    key.cancel()
        elif done.cancelled():
            for key in keys:
                key.cancel()
        else:
            outcomes = [error] * len(keys) if error else done.result().keys
            if error is None:
                self.decode_seconds += done.result().seconds
                self.decoded += 1
                for note in sorted(done.result().notes - self._told):
                    log.warning("%s", note)
                self._told |= done.result().notes
            for key, outcome in zip(keys, outcomes, strict=True):
                if not key.set_running_or_notify_cancel():  # the run has ended meanwhile
                    continue
                if isinstance(outcome, str):
                    key.set_result(outcome)
                else:
                    key.set_exception(outcome)


@dataclass(frozen=True)
class Filled:
    """What a worker did with one file: for each selection its cache key or its fault, the seconds it took, and why the
    reader asked for was not used."""

    keys: list[str | MediaError]
    seconds: float
    notes: frozenset[str] = frozenset()


def fill(cache: FrameCache, root: Path, selections: Sequence[tuple[Clip, Sampling]], resize: Resize) -> Filled:
    """In a worker process: decode selections of one file into the frame cache."""
    started = time.perf_counter()
    keys = cache.ensure_all(selections, root, resize)
    return Filled(keys, time.perf_counter() - started, frozenset(cache.notes))


def _weight(how: Sampling, resize: Resize) -> float:
    """The frames of one request, at most."""
    frames = how.most
    return frames * max(1.0, sampling.largest(resize, frames) / 512**2)


class ByteBudget:
    """Lets holders in while their bytes fit; one that is too large for the whole budget goes in alone."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.changed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        async with self.changed:
            await self.changed.wait_for(lambda: self.used == 0 or self.used + size <= self.limit)
            self.used += size
        try:
            yield
        finally:
            async with self.changed:
                self.used -= size
                self.changed.notify_all()
