"""What installed packages register under a group of entry points.

Example:
    >>> load("viubench.evaluators", "evaluator", "choice").__name__
    'Choice'
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any


@cache
def registered(group: str) -> dict[str, EntryPoint]:
    """Every entry point of a group by its name."""
    return {point.name: point for point in entry_points(group=group)}


def load(group: str, kind: str, name: str) -> Any:
    """The object registered as `name`; LookupError with the names there are and the closest one."""
    known = registered(group)
    if name not in known:
        close = get_close_matches(name, known, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise LookupError(f"unknown {kind} {name!r}{meant} (registered: {', '.join(sorted(known))})")
    return known[name].load()
