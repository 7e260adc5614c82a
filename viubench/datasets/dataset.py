"""What every source returns: samples, their tasks, and where their videos lie.

Example:
    >>> Dataset({}, [], Path("videos")).published
    False
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path

from viubench.schema import Sample, Task


@dataclass(frozen=True)
class Dataset:
    """Samples with the tasks they belong to and the folder their videos lie in."""

    tasks: dict[str, Task]
    samples: list[Sample]
    videos: Path
    recipe: str = ""  # they were built by; "" when not known
    frames: int | None = None  # that pretext items were built from, where the build was told so
    published: bool = False  # pretext rows, which bring their own prompts
    notes: tuple[str, ...] = ()  # what a user should know before a run, one sentence each
    subtitles: frozenset[str] = frozenset()  # files of subtitles that were told, below the data folder
    revision: str = ""  # the commit of the data set, where it was fetched from the hub

    def without(self, tasks: Set[str]) -> Dataset:
        """All but these tasks and their samples."""
        kept = {name: task for name, task in self.tasks.items() if name not in tasks}
        return replace(self, tasks=kept, samples=[sample for sample in self.samples if sample.task in kept])
