"""Which questions to ask next: by how much the rewards of recent groups varied, cell by cell of difficulty.

Example:
    curriculum = VarianceCurriculum({"a": "easy", "b": "hard"}, {"easy": 1.0, "hard": 1.0})
    curriculum.update([("a", 0.0), ("b", 0.09)])
    curriculum.weights()   # {'easy': 0.42, 'hard': 0.58}: few groups so far, so that both are near the mean

A group whose rewards are all equal has no advantage, so GRPO learns nothing from it (VideoSSR, arXiv 2511.06281,
section 5). What a cell brings is estimated as the mean variance within its groups, drawn towards that of all cells by
as many groups as `PRIOR`: few groups say little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from viubench.pretext.difficulty import cells_of
from viubench.schema import Sample

K = TypeVar("K")

PRIOR = 4.0
"""Groups that the mean of all cells counts for in the estimate of one."""


def expected(sums: Mapping[K, float], counts: Mapping[K, float]) -> dict[K, float]:
    """The variance to expect within a group of each cell, from the `sums` over its `counts` groups so far: their mean,
    drawn towards that of all groups. All are equal where no group varied yet."""
    total = sum(counts.values())
    pooled = sum(sums.values()) / total if total else 0.0
    return {cell: (sums[cell] + PRIOR * pooled) / (counts[cell] + PRIOR) for cell in sums}


def weighted(prior: Mapping[K, float], varies: Mapping[K, float], floor: float) -> dict[K, float]:
    """Shares of the cells, which sum to 1: `floor` of it as the `prior` (above 0, any scale), the rest as the prior
    times the variance to expect; the prior alone where nothing varies."""
    total = sum(prior.values())
    gains = {cell: share * varies[cell] for cell, share in prior.items()}
    most = sum(gains.values())
    if most <= 0:
        return {cell: share / total for cell, share in prior.items()}
    return {cell: floor * prior[cell] / total + (1 - floor) * gains[cell] / most for cell in prior}


def quotas(shares: Mapping[K, float], n: int, start: float = 0.5) -> dict[K, int]:
    """How many of `n` draws each cell gets: its share of them, to less than one more or fewer, by systematic sampling;
    `start`, in [0, 1), is where it begins, so that a cell of few draws gets one in some batches."""
    counts, reached, drawn = dict.fromkeys(shares, 0), 0.0, 0
    for cell, share in shares.items():
        reached += share * n
        while drawn < n and drawn + start < reached:
            counts[cell] += 1
            drawn += 1
    for cell in list(shares)[-1:]:  # shares that sum to a hair less than 1
        counts[cell] += n - drawn
    return counts


@dataclass
class VarianceCurriculum:
    """What was seen of each cell of difficulty, and the questions to ask next.

    Attributes:
        cells: the cell of each question, by the question's id.
        prior: the share of the questions that each cell has by itself (above 0, any scale).
        floor: share of the questions, in (0, 1], that keeps the prior, so that no cell is given up.
        decay: what the groups seen so far count after a batch, in (0, 1].
    """

    cells: Mapping[str, str]
    prior: Mapping[str, float]
    floor: float = 0.2
    decay: float = 0.9
    _sums: dict[str, float] = field(init=False)
    _counts: dict[str, float] = field(init=False)
    _drawn: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._sums, self._counts = dict.fromkeys(self.prior, 0.0), dict.fromkeys(self.prior, 0.0)
        self._drawn = dict.fromkeys(self.prior, 0)

    @classmethod
    def over(cls, samples: Sequence[Sample], weights: Mapping[str, float], floor: float, decay: float) -> Self:
        """A curriculum over these training samples, of tasks with these weights against each other."""
        cells, sizes = cells_of(samples), Counter(sample.task for sample in samples)
        prior: dict[str, float] = {}
        for cell, n in Counter(cells.values()).items():
            prior[cell.name] = weights[cell.task] * n / sizes[cell.task]
        return cls({item: cell.name for item, cell in cells.items()}, prior, floor, decay)

    def pools(self, samples: Sequence[Sample]) -> dict[str, list[Sample]]:
        """The samples of each cell."""
        pools: dict[str, list[Sample]] = {cell: [] for cell in self.prior}
        for sample in samples:
            pools[self.cells[sample.id]].append(sample)
        return pools

    def weights(self) -> dict[str, float]:
        """The share of the next questions that each cell has; they sum to 1."""
        return weighted(self.prior, expected(self._sums, self._counts), self.floor)

    def measures(self) -> dict[str, float]:
        """The weights by their names in a training log, `curriculum/CELL`."""
        return {f"curriculum/{cell}": share for cell, share in self.weights().items()}

    def turns(self, n: int, start: float) -> list[tuple[str, int]]:
        """The next `n` questions: cell, and the number of the question in it, over all epochs. They stay the same until
        `update`; `start`, in [0, 1), is that of `quotas`."""
        due = quotas(self.weights(), n, start)
        return [(cell, self._drawn[cell] + number) for cell, many in due.items() for number in range(many)]

    def update(self, groups: Sequence[tuple[str, float]]) -> None:
        """Count a batch: id of each question, and the variance of the rewards of its answers."""
        self._sums = {cell: self.decay * one for cell, one in self._sums.items()}
        self._counts = {cell: self.decay * one for cell, one in self._counts.items()}
        for item, variance in groups:
            cell = self.cells[item]
            self._sums[cell] += variance
            self._counts[cell] += 1
            self._drawn[cell] += 1

    def state(self) -> list[list[Any]]:
        """What a resumed run needs, as JSON: a row a cell, in the order of the prior."""
        return [[self._sums[cell], self._counts[cell], self._drawn[cell]] for cell in self.prior]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Put back what `state` returned."""
        for cell, (total, count, drawn) in zip(self.prior, state, strict=True):
            self._sums[cell], self._counts[cell], self._drawn[cell] = float(total), float(count), int(drawn)
