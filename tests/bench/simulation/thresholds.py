"""Models that break at a known place, asked by the adaptive search and by a grid.

Example:
    found = search(SHAPES["step, 5 % lapses"](3.4), [0.3] * 9, np.random.default_rng(0))
    found.threshold.low <= 3.4 <= found.threshold.high

A model is its share c(x) of what guessing leaves, with c = 1/2 at its threshold. A grid asks every level equally often,
as often as it takes for its interval to be as narrow as the search's. It is read in two ways: by the same posterior
(`posterior`), and as a plain grid is (`crossing`): the line between two levels crosses one half, after the levels were
made to fall, and its interval is a bootstrap's. A grid is planned before its model is known, so it is made large enough
for nine in ten models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from viubench.stats.thresholds import Posterior, Threshold

Floats = NDArray[np.float64]
Model = Callable[[Floats], Floats]
Read = Literal["posterior", "crossing"]

WIDTH, BATCH, MOST = 1.5, 4, 120
GRID_MOST = 3000
RESAMPLES = 200


def logistic(place: float, width: float, lapse: float = 0.0) -> Model:
    """From nine tenths to one tenth of its ceiling in `width` levels."""
    shift = np.log(1 - 2 * lapse)
    return lambda x: (1 - lapse) / (1 + np.exp(2 * np.log(9) / width * (x - place) + shift))


def weibull(place: float, power: float, lapse: float = 0.0) -> Model:
    """Falls by exp(-(x + 2)^power), lopsided."""
    scale = (place + 2) / np.log(2 * (1 - lapse)) ** (1 / power)
    return lambda x: (1 - lapse) * np.exp(-(((x + 2) / scale) ** power))


def step(place: float, lapse: float = 0.0) -> Model:
    """All but its lapses right up to a place, and nothing beyond."""
    return lambda x: (1 - lapse) * (x < place)


SHAPES: Mapping[str, Callable[[float], Model]] = {
    "logistic, steep": lambda place: logistic(place, 1.0),
    "logistic, flat": lambda place: logistic(place, 3.0),
    "logistic, 10 % lapses": lambda place: logistic(place, 2.0, 0.1),
    "Weibull": lambda place: weibull(place, 6.0),
    "Weibull, 5 % lapses": lambda place: weibull(place, 6.0, 0.05),
    "step": lambda place: step(place),
    "step, 5 % lapses": lambda place: step(place, 0.05),
}


@dataclass(frozen=True)
class Found:
    threshold: Threshold
    questions: int


class Answers:
    """Answers of a model at levels, each scored as the mean over so many parts, each right or wrong by itself."""

    def __init__(self, model: Model, guess: Sequence[float], rng: np.random.Generator, parts: int = 1) -> None:
        floor = np.asarray(guess)
        self.right = floor + (1 - floor) * np.asarray(model(np.arange(len(guess), dtype=np.float64)))
        self.rng, self.parts = rng, parts

    def __call__(self, level: int) -> float:
        return float(self.rng.binomial(self.parts, self.right[level])) / self.parts


def search(
    model: Model,
    guess: Sequence[float],
    rng: np.random.Generator,
    width: float = WIDTH,
    parts: int = 1,
    most: int = MOST,
) -> Found:
    """The adaptive search, as `viubench frontier` does it."""
    answer, posterior, asked = Answers(model, guess, rng, parts), Posterior(guess), 0
    while asked < most:
        levels = posterior.next([most] * len(guess), min(BATCH, most - asked))
        for level in levels:
            posterior.add(level, answer(level))
        asked += len(levels)
        found = posterior.estimate()
        if found.high - found.low <= width or max(found.outside) >= 0.975:
            break
    return Found(found, asked)


def ask_grid(
    model: Model,
    guess: Sequence[float],
    rng: np.random.Generator,
    width: float = WIDTH,
    parts: int = 1,
    read: Read = "crossing",
) -> int:
    """Questions of a grid until its interval is as narrow."""
    answer, posterior = Answers(model, guess, rng, parts), Posterior(guess)
    scores: list[list[float]] = [[] for _ in guess]
    asked = 0
    while asked < GRID_MOST:
        for level in range(len(guess)):
            score = answer(level)
            scores[level].append(score)
            posterior.add(level, score)
            asked += 1
        if read == "posterior":
            found = posterior.estimate()
            reached = found.high - found.low <= width
        else:
            n = len(scores[0])
            due = n >= 3 and n % max(1, n // 10) == 0
            reached = due and _spread(np.array(scores), np.asarray(guess), rng) <= width
        if reached:
            break
    return asked


def _spread(scores: Floats, guess: Floats, rng: np.random.Generator) -> float:
    """Width of the 95 % bootstrap interval of the crossing, of scores [L, N]. A level with equal answers has no spread
    in a bootstrap: one more right and one more wrong answer are added to each, as Agresti and Coull do."""
    levels, n = scores.shape
    share = (scores.sum(axis=1) + 1) / (n + 2)
    drawn = rng.binomial(n, share, (RESAMPLES, levels)) / n
    low, high = np.quantile([_crossing((own - guess) / (1 - guess)) for own in drawn], [0.025, 0.975])
    return float(high - low)


def _crossing(corrected: Floats) -> float:
    """Where the line through the levels, made to fall, crosses one half."""
    falling = _falling(corrected)
    above = int((falling >= 0.5).sum())
    if above in (0, len(falling)):
        return float(above) - 0.5
    left, right = falling[above - 1], falling[above]
    return above - 1 + float((left - 0.5) / max(left - right, 1e-9))


def _falling(values: Floats) -> Floats:
    """The nearest values that never rise (pooled adjacent violators)."""
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (one, many), (two, more) = blocks[-2], blocks.pop()
            blocks[-1] = [(one * many + two * more) / (many + more), many + more]
    return np.repeat([value for value, _ in blocks], [int(many) for _, many in blocks])


# --- the experiments of `python -m tests.bench thresholds` ----------------------------------------------------


@dataclass(frozen=True)
class Experiment:
    """Models of one shape on an axis with these scores of guessing; `parts` of an answer are right by themselves."""

    axis: str
    shape: str
    guess: tuple[float, ...]
    parts: int = 1


@dataclass(frozen=True)
class Tried:
    """How often the interval held, the error of the median, mean questions of the search, and those of grids."""

    axis: str
    shape: str
    held: int
    error: float
    questions: float
    grid_crossing: float
    grid_posterior: float


def experiments() -> list[Experiment]:
    """Every shape on an axis whose guessing falls, as of a jigsaw, and on one where it is alike and an answer counts in
    parts, as of counting."""
    jigsaw = tuple(1 / float(np.prod(range(1, n + 1))) for n in range(2, 10))
    return [
        *(Experiment("8 levels, guess 1/n!", shape, jigsaw) for shape in SHAPES),
        *(Experiment("16 levels, guess 0.2, 3 parts", shape, (0.2,) * 16, 3) for shape in SHAPES),
    ]


def tried(case: Experiment, runs: int, grids: int, width: float, seed: int) -> Tried:
    """The search on so many models with thresholds all over the axis, and grids on some of them."""
    rng = np.random.default_rng([seed, len(case.guess), *case.shape.encode()])
    last = len(case.guess) - 1
    held, away, asked = 0, [], []
    grid: dict[Read, list[int]] = {"crossing": [], "posterior": []}
    for run in range(runs):
        place = float(rng.uniform(0.5, last - 0.5))
        model = SHAPES[case.shape](place)
        found = search(model, case.guess, rng, width, case.parts)
        held += found.threshold.low <= place <= found.threshold.high
        away.append(found.threshold.value - place)
        asked.append(found.questions)
        for read in grid if run < grids else ():
            grid[read].append(ask_grid(model, case.guess, rng, width, case.parts, read))
    return Tried(
        axis=case.axis,
        shape=case.shape,
        held=held,
        error=float(np.sqrt(np.mean(np.square(away)))),
        questions=float(np.mean(asked)),
        grid_crossing=float(np.quantile(grid["crossing"], 0.9)),
        grid_posterior=float(np.quantile(grid["posterior"], 0.9)),
    )
