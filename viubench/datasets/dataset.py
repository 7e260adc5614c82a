"""What every source returns: samples, their tasks, and where their videos lie.

Example:
    >>> Dataset({}, [], Path("videos")).published
    False
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from viubench.schema import Sample, Task


@dataclass(frozen=True)
class Dataset:
    """Samples with the tasks they belong to and the folder their videos lie in."""

    tasks: dict[str, Task]
    samples: list[Sample]
    videos: Path
    recipe: str = ""  # they were built by; "" when not known
    published: bool = False  # pretext rows, which bring their own prompts
    notes: tuple[str, ...] = ()  # what a user should know before a run, one sentence each
    subtitles: frozenset[str] = frozenset()  # files of subtitles that were told, below the data folder
    revision: str = ""  # the commit of the data set, where it was fetched from the hub
