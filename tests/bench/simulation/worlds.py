"""What a simulated run is drawn from: videos of unequal size, and scores to which a video lends something of its own.

Example:
    >>> rng = np.random.default_rng(0)
    >>> world = World("geometric", videos=50, items=300)
    >>> ids = world.owners(rng)
    >>> before, after = world.runs(rng, ids, world.leans(rng), loss=0.03)
    >>> len(before), sorted(set(before + after)), world.name
    (300, [0.0, 1.0], '300 items, 50 geometric videos')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from viubench.stats.estimates import Floats

Generator = np.random.Generator
Sizes = Literal["equal", "geometric", "lognormal", "skewed", "giant"]
"""How items are spread over videos: of `skewed` ones a tenth hold half of the items, of `giant` ones a single one."""

DISCORDANCE = 0.2
"""Share of the items that are right in one run and wrong in the other."""


@dataclass(frozen=True)
class World:
    """Items of videos, answered right or wrong or with graded scores.

    Attributes:
        lean: how much of a video's own there is in the difference of two runs, from 0 to 1.
    """

    sizes: Sizes
    videos: int
    items: int
    graded: bool = False
    lean: float = 1.0

    @property
    def name(self) -> str:
        kind = "graded " if self.graded else "" if self.lean else "independent "
        items = f"{self.items:,} {kind}items"
        return f"{items}, a video each" if self.videos == self.items else f"{items}, {self.videos} {self.sizes} videos"

    def owners(self, rng: Generator) -> list[int]:
        """The video of each item; each video has one at least."""
        count, items = self.videos, self.items
        if self.sizes == "equal":
            owners = np.arange(items) % count
        elif self.sizes in ("skewed", "giant"):
            few, half = count // 10 if self.sizes == "skewed" else 1, items // 2
            owners = np.concatenate([np.arange(half) % few, few + np.arange(items - half) % (count - few)])
        else:
            weights = rng.exponential(size=count) if self.sizes == "geometric" else np.exp(rng.normal(size=count))
            owners = np.repeat(np.arange(count), 1 + rng.multinomial(items - count, weights / weights.sum()))
        found: list[int] = owners.tolist()
        return found

    def scores(self, rng: Generator, owners: list[int], mean: float) -> list[float]:
        """One run's scores, of expectation `mean` about the rate of their video. The rates are of a beta distribution,
        such that two right-or-wrong scores of a video have a correlation of 0.1."""
        rates = rng.beta(9 * mean, 9 * (1 - mean), self.videos)[owners]
        scores = rng.beta(4 * rates, 4 * (1 - rates)) if self.graded else rng.random(len(owners)) < rates
        found: list[float] = np.asarray(scores, dtype=np.float64).tolist()
        return found

    def leans(self, rng: Generator) -> Floats:
        """How far each video leans to the one run or the other, in [-1, 1]: none is favoured on the whole."""
        return self.lean * rng.uniform(-1, 1, self.videos)

    def runs(self, rng: Generator, owners: list[int], leans: Floats, loss: float) -> tuple[list[float], list[float]]:
        """Two runs over the same items, the second worse by `loss` (at most 0.06) in expectation.

        Right or wrong: a share DISCORDANCE of the items differs, and of these a video loses 0.5 + up to 0.35. Graded:
        all items differ, by the loss, by up to 0.1 that the video's items share, and by up to 0.2 of their own, so that
        the differences of a video's items have a correlation of 0.2.
        """
        n, lean = len(owners), leans[owners]
        if self.graded:
            before = rng.uniform(0.4, 0.6, n)
            after = before - loss + 0.1 * lean + rng.uniform(-0.2, 0.2, n)
        else:
            differs = rng.random(n) < DISCORDANCE
            lost = rng.random(n) < 0.5 + loss / (2 * DISCORDANCE) + 0.35 * lean
            before = np.where(differs, lost, rng.random(n) < 0.6).astype(np.float64)
            after = np.where(differs, ~lost, before).astype(np.float64)
        return before.tolist(), after.tolist()

    def near_the_end(
        self, rng: Generator, owners: list[int], score: float, loss: float, differing: float
    ) -> tuple[list[float], list[float]]:
        """Two runs of which the first has a `score` near 1 and the second one that is worse by `loss` in expectation,
        where a small share `differing` of the items differs.

        Each video has rates of its own at which its items are lost and gained, from the beta distribution of `scores`.
        """
        n, lost, gained = len(owners), (differing + loss) / 2, (differing - loss) / 2
        falls, rises = (
            rng.beta(9 * mean, 9 * (1 - mean), self.videos)[owners] if mean and self.videos < n else np.full(n, mean)
            for mean in (lost, gained)
        )
        down = rng.random(n) < falls
        up = ~down & (rng.random(n) < rises / (1 - lost))
        before = down | (~up & (rng.random(n) < (score - lost) / (1 - differing)))
        return before.astype(np.float64).tolist(), (~down & (before | up)).astype(np.float64).tolist()
