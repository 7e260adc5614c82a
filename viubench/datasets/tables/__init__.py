"""Tables of any kind, row by row: of answers that are imported, and of a user's own questions.

Example:
    >>> Unreadable("line 3", "it is no JSON object").reason
    'it is no JSON object'
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be read, and why."""

    place: str
    reason: str
