"""Whether intervals cover the truth as often as their level says: of a mean, of a suite's mean, of a difference.

Example:
    >>> from tests.bench.simulation.experiment import simulate
    >>> simulate(experiments()[:1], runs=50, seed=0)[0].share > 0.8
    True
"""

from __future__ import annotations

from functools import partial

from tests.bench.simulation.experiment import Bound, Experiment
from tests.bench.simulation.worlds import Generator, World
from viubench.stats.estimates import Estimate, mean, weighted_mean
from viubench.stats.paired_differences import Difference, paired

OF_MEAN, OF_SUITE = "95 % interval of a mean covers", "95 % interval of a suite's mean covers"
OF_DIFFERENCE, NARROWER = "95 % interval of a difference covers", "90 % interval of a difference covers"

COVERS: Bound = (0.93, 0.97)
COVERS_90: Bound = (0.88, 0.93)
AT_LEAST: Bound = (0.93, 1.0)
"""Where few answers are wrong, an interval that covers the truth more often than it says is no fault."""

LOSS = 0.03
TASKS = 6


def experiments() -> list[Experiment]:
    return [*_means(), *_suites(), *_differences()]


def _means() -> list[Experiment]:
    worlds = (
        World("equal", 50, 600),
        World("geometric", 50, 600),
        World("lognormal", 50, 600, graded=True),
        World("skewed", 50, 600),
        World("equal", 8, 160),
        World("geometric", 8, 160),
        World("lognormal", 500, 2700),
    )
    near = ((World("skewed", 50, 600), 0.9, COVERS), (World("geometric", 50, 600), 0.97, AT_LEAST))
    return [
        Experiment(f"{world.name}, mean {truth:g}", partial(_mean, world, truth), {OF_MEAN: bound})
        for world, truth, bound in (*((world, 0.6, COVERS) for world in worlds), *near)
    ]


def _mean(world: World, truth: float, rng: Generator) -> dict[str, bool]:
    owners = world.owners(rng)
    return {OF_MEAN: _covers(mean(world.scores(rng, owners, truth), owners), truth)}


def _suites() -> list[Experiment]:
    world = World("geometric", 50, 150)
    return [
        Experiment(f"{TASKS} tasks of {world.name}{shared}", partial(_suite, world, bool(shared)), {OF_SUITE: COVERS})
        for shared in (", shared", "")
    ]


def _suite(world: World, shared: bool, rng: Generator) -> dict[str, bool]:
    truths = [0.4 + 0.05 * task for task in range(TASKS)]
    same = world.owners(rng)
    parts = []
    for task, truth in enumerate(truths):
        owners = same if shared else world.owners(rng)
        names = owners if shared else [owner + task * world.videos for owner in owners]
        parts.append((1 / TASKS, world.scores(rng, owners, truth), names))
    return {OF_SUITE: _covers(weighted_mean(parts), sum(truths) / TASKS)}


def _differences() -> list[Experiment]:
    worlds = (
        World("equal", 50, 300),
        World("geometric", 50, 300),
        World("lognormal", 50, 300, graded=True),
        World("skewed", 50, 300),
        World("skewed", 50, 300, graded=True),
        World("geometric", 8, 160),
        World("lognormal", 500, 2700),
        World("equal", 300, 300),
    )
    return [
        Experiment(f"{world.name}, 3 points lost", partial(_lost, world), {OF_DIFFERENCE: COVERS, NARROWER: COVERS_90})
        for world in worlds
    ]


def _lost(world: World, rng: Generator) -> dict[str, bool]:
    owners = world.owners(rng)
    before, after = world.runs(rng, owners, world.leans(rng), LOSS)
    pair = [(1.0, before, owners)], [(1.0, after, owners)]
    return {what: _covers(paired(*pair, level), -LOSS) for what, level in ((OF_DIFFERENCE, 0.95), (NARROWER, 0.9))}


def _covers(found: Estimate | Difference, truth: float) -> bool:
    return found.low <= truth <= found.high
