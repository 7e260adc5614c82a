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
    """Samples with the tasks they belong to and the folder their videos lie in.

    Attributes:
        recipe: name of the recipe they were built by, "" when not known.
        published: whether they are published pretext rows, which bring their own prompts.
        notes: what a user should know before a run, one sentence each.
        revision: the commit of the data set they were read from, where it was fetched from the hub.
    """

    tasks: dict[str, Task]
    samples: list[Sample]
    videos: Path
    recipe: str = ""
    published: bool = False
    notes: tuple[str, ...] = ()
    revision: str = ""
