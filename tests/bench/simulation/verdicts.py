"""What the gate says of runs with a known truth: false alarms, losses found, and a loss as large as the margin.

Example:
    >>> from tests.bench.simulation.experiment import simulate
    >>> unchanged = experiments()[0]
    >>> simulate([unchanged], runs=20, seed=0)[0].what
    'a task is called worse'
"""

from __future__ import annotations

from functools import partial

from tests.bench.simulation.experiment import ANY, Bound, Experiment
from tests.bench.simulation.worlds import Generator, World
from viubench.comparison.gate import judge
from viubench.schema import GateConfig
from viubench.schema.gate import MARGIN
from viubench.stats.paired_differences import Difference, paired

WORSE, BETTER = "a task is called worse", "a task is called better"
VERDICTS = ("regress", "pass", "improve", "inconclusive")

ALPHA: Bound = (0.0, 0.05)
FOUND: Bound = (0.8, 1.0)
FOUND_OF_18: Bound = (0.75, 1.0)
"""The best that can be had is 0.76, Phi(0.03 / se - z) with se^2 = (0.2 - 0.03^2) / 2700 and the z of 0.05 / 18, where
no task is favoured and the false alarms of all eighteen are to stay below 5 %."""

TASKS = 18
LOSS = 0.03
DEFAULT = GateConfig()
NO_MARGIN = GateConfig(margins={"default": 0.0})


def experiments() -> list[Experiment]:
    return [*_unchanged(), *_lost(), *_at_the_margin()]


def _unchanged() -> list[Experiment]:
    """Suites without a true difference, with margins of nothing, so that only the test holds the gate back."""
    worlds = (
        (World("equal", 50, 150), True),
        (World("equal", 50, 150), False),
        (World("geometric", 50, 150), True),
        (World("geometric", 50, 150), False),
        (World("lognormal", 50, 150), False),
        (World("skewed", 50, 150), False),
        (World("lognormal", 50, 150, graded=True), False),
        (World("geometric", 8, 150), False),
        (World("equal", 150, 150), False),
    )
    return [
        Experiment(
            f"{TASKS} tasks of {world.name}{', shared' if shared else ''}, nothing lost",
            partial(_suite, world, shared),
            {WORSE: ALPHA, BETTER: ALPHA},
        )
        for world, shared in worlds
    ]


def _suite(world: World, shared: bool, rng: Generator) -> dict[str, bool]:
    verdicts = {judged.verdict for judged in judge(_tasks(world, shared, rng), NO_MARGIN).values()}
    return {WORSE: "regress" in verdicts, BETTER: "improve" in verdicts}


def _tasks(world: World, shared: bool, rng: Generator, count: int = TASKS) -> dict[str, Difference]:
    """Unchanged tasks; of the same videos, which lean the same way in all of them, or each of videos of its own."""
    owners, leans = world.owners(rng), world.leans(rng)
    found: dict[str, Difference] = {}
    for task in range(count):
        if not shared and task:
            owners, leans = world.owners(rng), world.leans(rng)
        before, after = world.runs(rng, owners, leans, 0.0)
        found[str(task)] = paired([(1.0, before, owners)], [(1.0, after, owners)], DEFAULT.level)
    return found


def _lost() -> list[Experiment]:
    """One task of which 3 points are lost, with the margin of 2 that the gate has by default."""
    alone = (World("equal", 540, 2700), World("geometric", 540, 2700), World("equal", 2700, 2700))
    among = (World("equal", 540, 2700, lean=0.0), World("geometric", 540, 2700, lean=0.0))
    bounds = {"regress": FOUND, "pass": ANY, "inconclusive": ANY}
    of_18 = {"regress": FOUND_OF_18, "pass": ANY, "inconclusive": ANY}
    return [
        *(Experiment(f"{w.name}, 3 points lost", partial(_one, w, LOSS, 0), bounds) for w in alone),
        *(
            Experiment(f"{w.name}, 3 points lost, one of {TASKS}", partial(_one, w, LOSS, TASKS - 1), of_18)
            for w in among
        ),
        Experiment(
            f"{alone[0].name}, nothing lost",
            partial(_one, alone[0], 0.0, 0),
            dict.fromkeys(VERDICTS, ANY) | {"regress": ALPHA, "improve": ALPHA},
        ),
    ]


def _at_the_margin() -> list[Experiment]:
    """A true loss as large as the margin must not pass more often than alpha."""
    worlds = (World("geometric", 540, 2700), World("skewed", 50, 2700), World("lognormal", 50, 2700, graded=True))
    bounds = {"pass": ALPHA, "regress": ANY, "inconclusive": ANY}
    return [Experiment(f"{w.name}, {100 * MARGIN:g} points lost", partial(_one, w, MARGIN, 0), bounds) for w in worlds]


def _one(world: World, loss: float, others: int, rng: Generator) -> dict[str, bool]:
    """The verdict on one task, among so many unchanged ones of 150 items."""
    owners = world.owners(rng)
    before, after = world.runs(rng, owners, world.leans(rng), loss)
    found = _tasks(World("equal", 50, 150), False, rng, others)
    found["lost"] = paired([(1.0, before, owners)], [(1.0, after, owners)], DEFAULT.level)
    verdict = judge(found, DEFAULT)["lost"].verdict
    return {name: verdict == name for name in VERDICTS}
