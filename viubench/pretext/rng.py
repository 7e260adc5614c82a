"""A random number generator with the same draws on every machine, Python and numpy: integers read from BLAKE2b.

Example:
    >>> rng = Rng(7, "segment")
    >>> rng.integer(8, 16) == Rng(7, "segment").integer(8, 16)
    True

numpy and Python promise their raw stream at most; how a range or a shuffle is cut from it has changed between versions.
An item must outlive that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count
from struct import unpack
from typing import TypeVar

from viubench.schema import canonical_json

T = TypeVar("T")


def seed_of(*key: str | int) -> int:
    """A 63-bit seed, a pure function of `key`."""
    digest = hashlib.blake2b(canonical_json(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class Rng:
    """An endless stream of 64-bit words that depends on `key` alone."""

    def __init__(self, *key: str | int) -> None:
        stem = canonical_json(key).encode()
        digests = (hashlib.blake2b(stem, salt=block.to_bytes(8, "big")).digest() for block in count())
        self._words: Iterator[int] = (word for digest in digests for word in unpack(">8Q", digest))

    def integer(self, low: int, high: int) -> int:
        """Uniform in low..high, both included (bias below 2^-40 for ranges of ours)."""
        if high < low:
            raise ValueError(f"empty range {low}..{high}")
        return low + ((next(self._words) * (high - low + 1)) >> 64)

    def hundredths(self, low: float, high: float) -> float:
        """Uniform on the multiples of 0.01 in low..high."""
        return self.integer(round(low * 100), round(high * 100)) / 100

    def choice(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def permutation(self, n: int) -> list[int]:
        """A uniform order of 0..n-1 (Fisher-Yates)."""
        order = list(range(n))
        for last in range(n - 1, 0, -1):
            other = self.integer(0, last)
            order[last], order[other] = order[other], order[last]
        return order
