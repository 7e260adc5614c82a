"""The shape of a format.

Example:
    Format("mine", "My harness", lambda row: "said" in row, lambda row, place: [FileAnswer(place, (row["said"],))])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from viubench.datasets.tables import Unreadable
from viubench.datasets.tables.rows import Fields
from viubench.imports.answers import About, FileAnswer


def _nothing(row: Fields, path: Path) -> About:
    return About("unknown")


@dataclass(frozen=True)
class Format:
    """A format: `recognises` a row by its keys; `answers` turns a row and its place into answers, or says why not;
    `about` says what the first row and the files beside `path` tell of the run."""

    name: str
    recognises: Callable[[Fields], bool]
    answers: Callable[[Fields, str], Iterable[FileAnswer | Unreadable]]
    about: Callable[[Fields, Path], About] = _nothing
