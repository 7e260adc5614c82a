"""The work queue: answers still to be asked for, and which replica gets which of them.

Example:
    queue = WorkQueue(attempts, replicas=2)
    queue.take(0, idle=True)

A video's questions go to one replica, whose frames and caches the later ones find there. A replica that has none left
takes the next video; when there is none, half of the longest queue of another. What was under way when a replica died
is a suspect: it is retried alone, so that a sample that kills a second replica is known to be the cause.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import groupby

from viubench.runner.plan import Attempt


class WorkQueue:
    """The attempts of a run, in video order, for so many replicas; `open` of them have no record."""

    def __init__(self, attempts: Sequence[Attempt], replicas: int) -> None:
        self.open = 0
        self._videos: deque[deque[Attempt]] = deque()
        self._own: list[deque[Attempt]] = [deque() for _ in range(replicas)]
        self._suspects: deque[Attempt] = deque()
        self._suspected: set[tuple[str, int]] = set()
        self._news = asyncio.Event()
        self.add(attempts)

    def add(self, attempts: Sequence[Attempt]) -> None:
        """Put further attempts at the end, in video order."""
        groups = groupby(attempts, key=lambda one: (one.sample.cluster, [clip.path for clip in one.sample.clips]))
        self._videos.extend(deque(group) for _, group in groups)
        self.open += len(attempts)
        if attempts:
            self._news.set()

    def next_for(self, replica: int, most: int) -> list[Attempt]:
        """What `replica` will take first, at most so many; they stay in the queue."""
        return list(self._queue(replica))[:most]

    def take(self, replica: int, *, idle: bool) -> Attempt | None:
        """The next attempt for `replica`, or None; a suspect only for one that is `idle`, which then takes no other."""
        if own := self._queue(replica):
            return own.popleft()
        return self._suspects.popleft() if idle and self._suspects else None

    def suspected(self, attempt: Attempt) -> bool:
        """Whether the attempt was under way when a replica died."""
        return attempt.key in self._suspected

    def retry(self, attempt: Attempt) -> None:
        """Put back an attempt whose replica died."""
        self._suspected.add(attempt.key)
        self._suspects.append(attempt)
        self._news.set()

    def done(self) -> None:
        """One attempt has its record."""
        self.open -= 1
        self._news.set()

    async def news(self) -> None:
        """Wait until an attempt has its record or was put back."""
        self._news.clear()
        await self._news.wait()

    def _queue(self, replica: int) -> deque[Attempt]:
        own = self._own[replica]
        if not own and self._videos:
            own.extend(self._videos.popleft())
        elif not own:
            longest = max(self._own, key=len)
            own.extend(reversed([longest.pop() for _ in range((len(longest) + 1) // 2)]))
        return own
