"""Intervals and verdicts near the ends: scores close to 0 and 1, and few items that differ between two runs.

Example:
    >>> from tests.bench.simulation.experiment import simulate
    >>> simulate(experiments()[:1], runs=50, seed=0)[0].share > 0.9
    True
"""

from __future__ import annotations

from functools import partial

from tests.bench.simulation.experiment import Bound, Experiment
from tests.bench.simulation.intervals import AT_LEAST, OF_DIFFERENCE, OF_MEAN
from tests.bench.simulation.verdicts import BETTER, WORSE
from tests.bench.simulation.worlds import Generator, World
from viubench.comparison.gate import judge
from viubench.schema import GateConfig
from viubench.stats.estimates import mean
from viubench.stats.paired_differences import paired

PASSES = "a loss as large as the margin passes"
FALSE_PASSES: Bound = (0.0, 0.06)
FALSE_ALARMS: Bound = (0.0, 0.055)
SCORE = 0.97


def experiments() -> list[Experiment]:
    return [*_means(), *_losses(), *_unchanged()]


def _means() -> list[Experiment]:
    tried = (
        (World("equal", 20, 20), 0.975),
        (World("equal", 50, 50), 0.99),
        (World("equal", 300, 300), 0.917),
        (World("equal", 3000, 3000), 0.01),
        (World("equal", 100, 300), 0.05),
        (World("equal", 30, 600), 0.99),
        (World("geometric", 30, 600), 0.03),
        (World("geometric", 500, 3000), 0.99),
        (World("giant", 100, 600), 0.95),
    )
    return [
        Experiment(f"{world.name}, mean {truth:g}", partial(_mean, world, truth), {OF_MEAN: AT_LEAST})
        for world, truth in tried
    ]


def _mean(world: World, truth: float, rng: Generator) -> dict[str, bool]:
    owners = world.owners(rng)
    found = mean(world.scores(rng, owners, truth), owners)
    return {OF_MEAN: found.low <= truth <= found.high}


def _losses() -> list[Experiment]:
    tried = (
        (World("equal", 20, 20), 0.03, 0.05),
        (World("equal", 136, 136), 0.02, 0.02),
        (World("equal", 160, 160), 0.02, 0.02),
        (World("equal", 400, 400), 0.02, 0.02),
        (World("equal", 400, 400), 0.03, 0.05),
        (World("equal", 3000, 3000), 0.01, 0.02),
        (World("equal", 60, 400), 0.02, 0.03),
        (World("geometric", 60, 400), 0.03, 0.05),
        (World("equal", 30, 600), 0.02, 0.03),
        (World("geometric", 500, 3000), 0.02, 0.03),
        (World("giant", 100, 600), 0.02, 0.02),
    )
    bounds = {OF_DIFFERENCE: AT_LEAST, PASSES: FALSE_PASSES}
    return [
        Experiment(
            _name(world, f"{100 * loss:g} points lost", differing), partial(_lost, world, loss, differing), bounds
        )
        for world, loss, differing in tried
    ]


def _lost(world: World, loss: float, differing: float, rng: Generator) -> dict[str, bool]:
    owners, config = world.owners(rng), GateConfig(margins={"default": loss})
    before, after = world.near_the_end(rng, owners, SCORE, loss, differing)
    pair = [(1.0, before, owners)], [(1.0, after, owners)]
    found = paired(*pair)
    verdict = judge({"task": paired(*pair, config.level)}, config)["task"].verdict
    return {OF_DIFFERENCE: found.low <= -loss <= found.high, PASSES: verdict in ("pass", "improve")}


def _unchanged() -> list[Experiment]:
    tried = (
        (World("equal", 160, 160), 0.04),
        (World("equal", 60, 400), 0.03),
        (World("geometric", 60, 400), 0.05),
        (World("giant", 100, 600), 0.03),
    )
    bounds = {WORSE: FALSE_ALARMS, BETTER: FALSE_ALARMS}
    return [
        Experiment(_name(world, "nothing lost", differing), partial(_same, world, differing), bounds)
        for world, differing in tried
    ]


def _same(world: World, differing: float, rng: Generator) -> dict[str, bool]:
    owners, config = world.owners(rng), GateConfig(margins={"default": 0.0})
    before, after = world.near_the_end(rng, owners, SCORE, 0.0, differing)
    pair = [(1.0, before, owners)], [(1.0, after, owners)]
    verdict = judge({"task": paired(*pair, config.level)}, config)["task"].verdict
    return {WORSE: verdict == "regress", BETTER: verdict == "improve"}


def _name(world: World, change: str, differing: float) -> str:
    return f"{world.name}, {100 * SCORE:g} % right, {100 * differing:g} % differ, {change}"
