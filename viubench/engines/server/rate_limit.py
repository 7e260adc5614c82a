"""A limit of requests and tokens a minute, kept by spacing the requests evenly.

Example:
    limit = RateLimit(requests=60)
    await limit.turn(tokens=1200)   # the second call returns a second after the first
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

FIRST_GUESS = 1000.0
"""Tokens of a request before the first answer has said how many there are."""


class RateLimit:
    """`requests` and `tokens` a minute, at most, for one event loop."""

    def __init__(
        self, requests: float = math.inf, tokens: float = math.inf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.requests = requests
        self.tokens = tokens
        self.clock = clock
        self.usual = FIRST_GUESS
        self._next = -math.inf

    async def turn(self) -> None:
        """Wait until another request may be sent, which will cost about as many tokens as those before."""
        await asyncio.sleep(self.reserve())

    def reserve(self) -> float:
        """Seconds to wait before the next request; each call takes a place of its own in the row."""
        now = self.clock()
        start = max(now, self._next)
        self._next = start + 60 / self.requests + 60 * self.usual / self.tokens
        return start - now

    def spent(self, tokens: int) -> None:
        """What a request cost in truth, prompt and answer: moves those that wait for their place from now on."""
        if math.isfinite(self.tokens):
            self._next += 60 * (tokens - self.usual) / self.tokens
            self.usual += (tokens - self.usual) / 8
