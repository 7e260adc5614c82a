"""Scored samples as columns: what results keep of a record is a few numbers, however long its response is.

Example:
    >>> rows = Columns.of([Scored({"iou": 0.5}, "a.mp4"), Scored({}, "b.mp4")])
    >>> rows.score("iou").tolist(), rows[1].cluster
    ([0.5, 0.0], 'b.mp4')

A row takes 8 bytes a score, 8 for its video and 4 for its groups, of which equal ones are held once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from evaluators import Scored
from evaluators.base import Groups
from viubench.stats.estimates import Floats

T = TypeVar("T")
ABSENT = float("nan")


class Lazy(Sequence[T]):
    """A sequence whose members are made when they are looked at."""

    def __init__(self, length: int, make: Callable[[int], T]) -> None:
        self._range = range(length)
        self._make = make

    def __len__(self) -> int:
        return len(self._range)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._make(row) for row in self._range[index]]
        return self._make(self._range[index])


class Columns(Lazy[Scored]):
    """Many samples, or units made of several, as the `Scored` rows an evaluator takes.

    Attributes:
        scores: score -> [N] float64, NaN where a row does not have it.
        clusters: [N] the source video of each row.
        groups: the distinct groups there are.
        codes: [N] int32, which of them a row has.
    """

    def __init__(
        self, scores: Mapping[str, Floats], clusters: Sequence[str], groups: Sequence[Groups], codes: NDArray[np.int32]
    ) -> None:
        super().__init__(len(clusters), self._row)
        self.scores = scores
        self.clusters = clusters
        self.groups = groups
        self.codes = codes

    def _row(self, index: int) -> Scored:
        return Scored(self.mapping(index), self.clusters[index], self.groups[self.codes[index]])

    @classmethod
    def of(cls, rows: Sequence[Scored]) -> Columns:
        """These rows as columns; they themselves when they are columns already."""
        if isinstance(rows, Columns):
            return rows
        filling = Filling()
        for row in rows:
            filling.append(row.scores, row.cluster, row.groups)
        return filling.columns()

    def take(self, order: Sequence[int] | NDArray[np.int64]) -> Columns:
        """The rows of these numbers, in this order."""
        return Columns(
            {key: values[order] for key, values in self.scores.items()},
            [self.clusters[index] for index in order],
            self.groups,
            self.codes[order],
        )

    def mapping(self, index: int) -> dict[str, float]:
        """The scores that a row has."""
        found = {key: float(values[index]) for key, values in self.scores.items()}
        return {key: value for key, value in found.items() if value == value}

    def score(self, key: str) -> Floats:
        """[N] one score of each row, 0 where it has none."""
        return np.nan_to_num(self.scores[key]) if key in self.scores else np.zeros(len(self))

    def means(self) -> dict[str, float]:
        """The mean of each score, missing ones counted as 0; what `Evaluator.aggregate` gives."""
        return {key: float(self.score(key).mean()) for key in sorted(self.scores)}

    def labels(self, key: str) -> dict[str | tuple[str, ...], NDArray[np.int64]]:
        """The rows of each value of a group that is there, values in order; KeyError where a row has no such group."""
        codes: dict[str | tuple[str, ...], list[int]] = {}
        for code in np.unique(self.codes).tolist():
            codes.setdefault(self.groups[code][key], []).append(code)
        return {
            label: np.flatnonzero(np.isin(self.codes, members))
            for label, members in sorted(codes.items(), key=lambda entry: entry[0])
        }

    def breakdown(self, metric: str) -> dict[str, dict[str, tuple[float, int]]]:
        """Mean of a score and number of rows, by group key and value; a row of several values counts in each."""
        sums = np.bincount(self.codes, self.score(metric), len(self.groups)).tolist()
        counts = np.bincount(self.codes, minlength=len(self.groups)).tolist()
        found: dict[str, dict[str, tuple[float, int]]] = {}
        for groups, total, n in zip(self.groups, sums, counts, strict=True):
            for key, labels in groups.items() if n else ():
                values = found.setdefault(key, {})
                for label in (labels,) if isinstance(labels, str) else labels:
                    old, many = values.get(label, (0.0, 0))
                    values[label] = old + total, many + n
        return {
            key: {label: (total / n, n) for label, (total, n) in sorted(values.items())}
            for key, values in sorted(found.items())
        }

    def single(self) -> list[str]:
        """The group keys of which every row has one value."""
        groups = [self.groups[code] for code in np.unique(self.codes).tolist()]
        keys = sorted({key for own in groups for key in own})
        return [key for key in keys if all(isinstance(own.get(key), str) for own in groups)]


@dataclass
class Filling:
    """Columns that rows are still appended to."""

    scores: dict[str, array[float]] = field(default_factory=dict)
    clusters: list[str] = field(default_factory=list)
    codes: array[int] = field(default_factory=lambda: array("i"))
    _videos: dict[str, str] = field(default_factory=dict)
    _groups: dict[Iterable[object], int] = field(default_factory=dict)
    _distinct: list[Groups] = field(default_factory=list)

    def append(self, scores: Mapping[str, float], cluster: str, groups: Groups) -> None:
        for key in scores:
            if key not in self.scores:
                self.scores[key] = array("d", [ABSENT]) * len(self.clusters)
        for key, values in self.scores.items():
            values.append(scores.get(key, ABSENT))
        self.clusters.append(self._videos.setdefault(cluster, cluster))
        code = self._groups.setdefault(tuple(groups.items()), len(self._distinct))
        if code == len(self._distinct):
            self._distinct.append(groups)
        self.codes.append(code)

    def columns(self) -> Columns:
        return Columns(
            {key: np.array(values, np.float64) for key, values in self.scores.items()},
            self.clusters,
            self._distinct,
            np.array(self.codes, np.int32),
        )
