"""Frames for a run: what is wanted of one video file is decoded together, once, in another process.

Example:
    media = Media(FrameCache(default_root()), KillablePool(2, 300))
    video = await media.video((Path("videos"), Clip(path="pour.mp4"), Sampling(), Resize()))

A file that is looked at in several ways of one size (32 frames for one task, 64 for another, windows of a long video)
is read once for all of them. Questions that are under way together and show the same frames share one array.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from viubench.errors import MediaError, ViubenchError
from viubench.schema import Clip, Resize, Sampling
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput
from viubench.video.process_pool import KillablePool

FrameRequest = tuple[Path, Clip, Sampling, Resize]
"""A clip below its media root, and how it is looked at."""

FRAME_BYTES = 4 << 30
"""Frames held in memory at once, whatever their size and the engine's appetite."""

TOGETHER = 512
"""Frames that one reading of a file may keep, in memory of one worker: 400 MB at 512x512 pixels."""


@dataclass
class Media:
    """Where frames come from: the frame store, and the processes that decode into it.

    Attributes:
        decode_seconds: time the processes have spent decoding, all together.
        decoded: readings of a file, or looks into the store, that they did.
    """

    store: FrameCache
    pool: KillablePool
    decode_seconds: float = 0.0
    decoded: int = 0
    _under_way: dict[FrameRequest, Future[str]] = field(default_factory=dict)
    _expected: dict[tuple[Path, str, Resize], list[FrameRequest]] = field(default_factory=dict)
    _shown: WeakValueDictionary[str, VideoInput] = field(default_factory=WeakValueDictionary)
    _loading: dict[str, asyncio.Future[VideoInput | None]] = field(default_factory=dict)

    async def video(self, wanted: FrameRequest) -> VideoInput:
        """The frames of one clip, decoded by a worker process unless the store holds them; raises MediaError."""
        for _ in range(3):
            key = await asyncio.wrap_future(self.decode(wanted))
            video = self._shown.get(key) or await self._load(key)
            if video is not None:
                return self._shown.setdefault(key, video)
            self._under_way.pop(wanted, None)  # evicted by other videos since it was decoded
        raise ViubenchError(
            "the frame cache is too small for the videos under way", where="--frame-cache", hint="give it more room"
        )

    async def _load(self, key: str) -> VideoInput | None:
        """An entry of the store; questions of one video that come together prove its pixels once."""
        if key not in self._loading:
            self._loading[key] = asyncio.ensure_future(asyncio.to_thread(self.store.load, key))
            self._loading[key].add_done_callback(lambda _: self._loading.pop(key))
        return await asyncio.shield(self._loading[key])

    def expect(self, wants: Iterable[FrameRequest]) -> None:
        """Say what will be asked for: the ways to look at one file are then decoded together with the first of them."""
        for wanted in dict.fromkeys(wants):
            root, clip, _, resize = wanted
            if clip.path:
                self._expected.setdefault((root, clip.path, resize), []).append(wanted)

    def decode(self, wanted: FrameRequest) -> Future[str]:
        """The store's key of a clip, once a worker has decoded it; two questions of one video decode it once."""
        if wanted not in self._under_way:
            self._submit(self._companions(wanted))
        return self._under_way[wanted]

    def _companions(self, wanted: FrameRequest) -> list[FrameRequest]:
        """`wanted`, and what else of its file is expected, as far as it may be kept in memory together."""
        root, clip, sampling, resize = wanted
        waiting = self._expected.pop((root, clip.path, resize), [])
        frames, taken, left = _frames(sampling), [wanted], []
        for other in waiting:
            if other == wanted or other in self._under_way:
                continue
            if frames + _frames(other[2]) <= TOGETHER:
                frames += _frames(other[2])
                taken.append(other)
            else:
                left.append(other)
        if left:
            self._expected[root, clip.path, resize] = left
        return taken

    def _submit(self, wants: Sequence[FrameRequest]) -> None:
        promised: list[Future[str]] = [Future() for _ in wants]
        self._under_way.update(zip(wants, promised, strict=True))
        self._fill(wants, promised)

    def _fill(self, wants: Sequence[FrameRequest], promised: Sequence[Future[str]]) -> None:
        root, clip, _, resize = wants[0]
        looks = [(clip, sampling) for _, clip, sampling, _ in wants]
        began: Future[Filled] = self.pool.submit(fill, self.store.root, root, looks, resize, name=clip.path)
        began.add_done_callback(lambda done: self._settle(done, wants, promised))

    def _settle(self, done: Future[Filled], wants: Sequence[FrameRequest], promised: Sequence[Future[str]]) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, MediaError) and len(wants) > 1:
            # The worker ran out of time or memory, or died: what one look does must not cost the others their frames.
            for want, one in zip(wants, promised, strict=True):
                try:
                    self._fill([want], [one])
                except RuntimeError:  # the pool was closed meanwhile
                    one.cancel()
        elif done.cancelled():
            for one in promised:
                one.cancel()
        else:
            found = [error] * len(promised) if error else done.result().keys
            if error is None:
                self.decode_seconds += done.result().seconds
                self.decoded += 1
            for one, key in zip(promised, found, strict=True):
                if isinstance(key, str):
                    one.set_result(key)
                else:
                    one.set_exception(key)


@dataclass(frozen=True)
class Filled:
    """What a worker did with one file: per look its key in the store or why there is none, and the seconds it took."""

    keys: list[str | MediaError]
    seconds: float


def fill(store: Path, root: Path, looks: Sequence[tuple[Clip, Sampling]], resize: Resize) -> Filled:
    """In a worker process: decode the looks at one file into the frame store."""
    began = time.perf_counter()
    keys = FrameCache(store).ensure_all(looks, root, resize)
    return Filled(keys, time.perf_counter() - began)


def _frames(sampling: Sampling) -> int:
    return len(sampling.indices) or sampling.frames


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
