"""Processor seconds by stage: functions are watched where they stand, and each counts without the watched ones inside.

Example:
    spent = Spent()
    with spent.watching({"prompt": [(engine, "as_prompt")]}):
        ...
    spent.seconds["prompt"]
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest import mock

from viubench.video.process_pool import KillablePool

T = TypeVar("T")

Watched = Mapping[str, Sequence[tuple[Any, str]]]
"""Plain functions by stage: who holds each (a class or a module), and under which name."""


@dataclass
class Spent:
    """Seconds by stage, over all threads; `clock` counts those of one thread, or of a process that does one thing."""

    clock: Callable[[], float] = time.thread_time
    seconds: Counter[str] = field(default_factory=Counter)
    _own: threading.local = field(default_factory=threading.local)

    @contextlib.contextmanager
    def watching(self, watched: Watched) -> Iterator[None]:
        """Count the watched functions during the block."""
        with contextlib.ExitStack() as stack:
            for stage, places in watched.items():
                for owner, name in places:
                    counted = self._counted(stage, getattr(owner, name))
                    stack.enter_context(mock.patch.object(owner, name, counted))
            yield

    def _counted(self, stage: str, function: Callable[..., T]) -> Callable[..., T]:
        @functools.wraps(function)
        def counted(*args: Any, **more: Any) -> T:
            inside = self._own.__dict__.setdefault("inside", [0.0])
            inside.append(0.0)
            began = self.clock()
            try:
                return function(*args, **more)
            finally:
                took = self.clock() - began
                self.seconds[stage] += took - inside.pop()
                inside[-1] += took

        return counted


class CountedPool(KillablePool):
    """A pool whose workers count what their jobs spend, into `spent`; "decode" stands for the reading as a whole."""

    def __init__(self, workers: int, limit_s: float, spent: Spent) -> None:
        super().__init__(workers, limit_s)
        self.spent = spent

    def submit(self, fn: Callable[..., T], *args: Any, name: str = "") -> Future[T]:
        """See `KillablePool.submit`."""
        outer: Future[T] = Future()

        def came(inner: Future[tuple[T, Counter[str]]]) -> None:
            if inner.cancelled():
                outer.cancel()
            elif error := inner.exception():
                outer.set_exception(error)
            else:
                value, seconds = inner.result()
                self.spent.seconds.update(seconds)
                outer.set_result(value)

        super().submit(job, fn, args, name=name).add_done_callback(came)
        return outer


def job(fn: Callable[..., T], args: Sequence[Any]) -> tuple[T, Counter[str]]:
    """In a worker: what fn(*args) returns, and the processor seconds that it took by stage."""
    from viubench.video import content_hash, decode, entries, frame_cache, seek
    from viubench.video.frames import VideoInput

    spent = Spent(time.process_time)
    began = time.process_time()
    with spent.watching(
        {
            "probe": [(frame_cache, "probe")],
            "resize": [(decode, "resized"), (seek, "resized")],
            "decode": [(decode, "read_into")],
            "hash": [(content_hash, "content_hash"), (VideoInput, "pixel_hash")],
            "store": [
                *((entries.EntryWriter, name) for name in ("__setitem__", "finish")),
                (frame_cache.FrameCache, "load"),
            ],
        }
    ):
        value = fn(*args)
    spent.seconds["worker, the rest"] = time.process_time() - began - sum(spent.seconds.values())
    return value, spent.seconds
