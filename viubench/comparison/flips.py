"""Which samples turned from right to wrong between two runs, and which from wrong to right.

Example:
    >>> found = compare_runs(Path("runs/before"), Path("runs/after"))  # doctest: +SKIP
    >>> [(flip.a.response, flip.b.response) for flip in flips(found.tasks.values()) if flip.way == "wrong"]
    [('4132', '4123')]

A sample that is right or wrong, 1 or 0, turns when it becomes the other. One with a graded score (an overlap, a share
of three counts) turns when the score changes by half or more: whatever else moves is in the difference of the means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from viubench.comparison.pair import TaskPair
from viubench.schema import Record
from viubench.scoring.aggregate import scored
from viubench.video.filmstrip import strip_path

TURN = 0.5
"""The least change of a sample's score, in [0, 1], that is called a flip."""

ROUNDING = 1e-9

Direction = Literal["wrong", "right"]
DIRECTIONS: tuple[Direction, ...] = ("wrong", "right")
"""Where a sample turned to: to wrong (it was right before), to right."""


@dataclass(frozen=True)
class Flip:
    """A sample that turned: its two records, and their scores in the task's metric, in [0, 1]; 0 without an answer."""

    a: Record
    b: Record
    score_a: float
    score_b: float

    @property
    def way(self) -> Direction:
        return "right" if self.score_b > self.score_a else "wrong"

    @property
    def size(self) -> float:
        """By how much the score changed, in [`TURN`, 1]."""
        return abs(self.score_b - self.score_a)


def flips(pairs: Iterable[TaskPair]) -> list[Flip]:
    """The samples that turned: the largest change first, then by task, group and id."""
    found = [_flip(pair.evaluator.metric, a, b) for pair in pairs for a, b in pair.records]
    return sorted((flip for flip in found if flip.size >= TURN - ROUNDING), key=_place)


def largest(found: Sequence[Flip], most: int, runs: Iterable[Path] = ()) -> list[Flip]:
    """At most `most` of each task and way, in the order of `found`.

    Where not all of one size can be among them, those are whose filmstrip is in one of the run folders `runs`: a run
    keeps the frames of a few samples only.
    """
    kept = {path.name for run in runs for path in (run / "strips").glob("*.jpg")}
    unseen = {place: strip_path(Path(), flip.a.id).name not in kept for place, flip in enumerate(found)}
    order = sorted(unseen, key=lambda place: (-_size(found[place]), unseen[place]))
    taken: Counter[tuple[str, Direction]] = Counter()
    chosen = set()
    for place in order:
        key = found[place].a.task, found[place].way
        taken[key] += 1
        if taken[key] <= most:
            chosen.add(place)
    return [found[place] for place in sorted(chosen)]


def _flip(metric: str, a: Record, b: Record) -> Flip:
    return Flip(a, b, scored(a).scores.get(metric, 0.0), scored(b).scores.get(metric, 0.0))


def _place(flip: Flip) -> tuple[float, str, list[str], str]:
    groups = [f"{key}: {value}" for key, value in sorted(flip.a.groups.items())]
    return -_size(flip), flip.a.task, groups, flip.a.id


def _size(flip: Flip) -> float:
    """Rounded, so that the last bit decides nothing."""
    return round(flip.size, 9)
