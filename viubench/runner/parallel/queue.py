"""The work queue: samples still to be answered, and which replica gets which of them.

Example:
    queue = WorkQueue(samples, replicas=2)
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

from viubench.schema import Sample


class WorkQueue:
    """The samples of a run, in video order, for so many replicas; `open` of them have no record."""

    def __init__(self, samples: Sequence[Sample], replicas: int) -> None:
        self.open = len(samples)
        groups = groupby(samples, key=lambda sample: (sample.cluster, [clip.path for clip in sample.clips]))
        self._videos = deque(deque(group) for _, group in groups)
        self._own: list[deque[Sample]] = [deque() for _ in range(replicas)]
        self._suspects: deque[Sample] = deque()
        self._suspected: set[str] = set()
        self._news = asyncio.Event()

    def next_for(self, replica: int, most: int) -> list[Sample]:
        """What `replica` will take first, at most so many; they stay in the queue."""
        return list(self._queue(replica))[:most]

    def take(self, replica: int, *, idle: bool) -> Sample | None:
        """The next sample for `replica`, or None; a suspect only for one that is `idle`, which then takes no other."""
        if own := self._queue(replica):
            return own.popleft()
        return self._suspects.popleft() if idle and self._suspects else None

    def suspected(self, sample: Sample) -> bool:
        """Whether the sample was under way when a replica died."""
        return sample.id in self._suspected

    def retry(self, sample: Sample) -> None:
        """Put back a sample whose replica died."""
        self._suspected.add(sample.id)
        self._suspects.append(sample)
        self._news.set()

    def done(self) -> None:
        """One sample has its record."""
        self.open -= 1
        self._news.set()

    async def news(self) -> None:
        """Wait until a sample was answered or put back."""
        self._news.clear()
        await self._news.wait()

    def _queue(self, replica: int) -> deque[Sample]:
        own = self._own[replica]
        if not own and self._videos:
            own.extend(self._videos.popleft())
        elif not own:
            longest = max(self._own, key=len)
            own.extend(reversed([longest.pop() for _ in range((len(longest) + 1) // 2)]))
        return own
