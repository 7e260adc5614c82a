"""Which entries of a full frame cache go: those that no run has used for days, else a fixed share of all.

Example:
    >>> entries = [Entry("a.frames", 10, 5.0), Entry("b.frames", 10, 1.0), Entry("c.frames", 10, 9.0)]
    >>> victims(entries, limit=20, now=10.0)
    ['c.frames']

A run that asks for more than the cache holds asks again in the same order with the next checkpoint. Were the least
recently used entries to go, each would be gone just before its turn, and the cache would be of no use at all. So the
last names go: names are hashes, so that the entries left are a random share of what was asked, the same after each run,
and the next checkpoint finds that share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

UNUSED_SECONDS = 2 * 86400.0
"""An entry that no run has used for so long goes first."""

IN_FLIGHT = 0.02
"""Share of the limit that is left to the entries used last: they are decoded, and not yet read."""


class Entry(NamedTuple):
    """A file of the cache: its size in bytes, and when it was used last, in seconds."""

    name: str
    size: int
    used: float


def victims(entries: Sequence[Entry], limit: int, now: float, keep: str = "") -> list[str]:
    """The names of the entries to remove so that the others take at most `limit` bytes; never `keep`."""
    excess = sum(entry.size for entry in entries) - limit
    if excess <= 0:
        return []
    by_use = sorted((entry for entry in entries if entry.name != keep), key=lambda entry: (entry.used, entry.name))
    unused = [entry for entry in by_use if now - entry.used > UNUSED_SECONDS]
    recent: list[Entry] = []
    room = IN_FLIGHT * limit
    for entry in reversed(by_use[len(unused) :]):
        room -= entry.size
        if room < 0:
            break
        recent.append(entry)
    rest = by_use[len(unused) : len(by_use) - len(recent)]
    gone = []
    for entry in (*unused, *sorted(rest, reverse=True), *reversed(recent)):
        if excess <= 0:
            break
        gone.append(entry.name)
        excess -= entry.size
    return gone
