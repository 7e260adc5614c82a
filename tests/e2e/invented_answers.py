"""Searches for thresholds and groups of rewards of models that do not exist, made by the code that makes real ones.

Example:
    frontier_page.render([searched("model-a", 2.5), searched("model-b", 4.0)])
    reward_groups_page.render(grouped("model-a", ["count", "jigsaw"]))
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from viubench.frontier.search import Search
from viubench.reward_groups.groups import RewardGroup
from viubench.reward_groups.summary import group_set
from viubench.schema import Sample, ScoredRecord
from viubench.schema.frontier import FrontierAxis, FrontierLevel, FrontierPlan, FrontierReport
from viubench.schema.reward_groups import LevelGroups, RewardGroups

AXES = {"jigsaw.clips": ("clips", (2, 3, 4, 5, 6, 8)), "grounding.length": ("frames", (12, 9, 7, 5, 3, 1))}
"""Unit and values of each axis, from the easiest to the hardest."""

SAMPLES = 8
"""Answers of a group."""


def searched(model: str, place: float, axes: Sequence[str] = tuple(AXES), silent: float = 0.0) -> FrontierReport:
    """A finished search of a model that is right half of the time at a place among the levels. A share of its answers
    is `silent`: unparsed."""
    plan = FrontierPlan(
        recipe="viubench",
        axes={name: _axis(name, *kind) for name, kind in zip(axes, AXES.values(), strict=False)},
        questions=60, width=1.0, certain=0.975, batch=8, model="logistic", likelihood="Bernoulli", prior={},
    )  # fmt: skip
    tasks = {level.task: k for axis in plan.axes.values() for k, level in enumerate(axis.levels)}
    samples = [_sample(task, n) for task in tasks for n in range(40)]
    search = Search(plan, samples, dict.fromkeys(tasks, "accuracy"))
    draw = random.Random(f"{place} {silent}")

    def answer(sample: Sample) -> ScoredRecord:
        told = draw.random() >= silent
        right = draw.random() < 1 / (1 + math.exp(2.5 * (tasks[sample.task] - place)))
        return ScoredRecord(
            task=sample.task, id=sample.id, cluster=sample.cluster,
            status="ok" if told else "unparsed", scores={"accuracy": float(right)},
        )  # fmt: skip

    while batch := search.next():
        search.add(batch, {sample.id: [answer(sample)] for sample in batch})
    found = search.results()
    return FrontierReport(
        model=model, engine="vllm", recipe=plan.recipe, seed=0, axes=found, failed=0,
        questions=sum(axis.questions for axis in found.values()),
    )  # fmt: skip


def grouped(model: str, tasks: Sequence[str], levels: Sequence[str] = ("2-4", "5-7", "8-10")) -> RewardGroups:
    """The groups of several answers to the items of these tasks, each of some levels of one parameter."""
    draw = random.Random(0)
    groups = {
        (task, level): [_group(task, level, n, (k + 1) / (len(levels) + 1), draw) for n in range(24)]
        for task in tasks
        for k, level in enumerate(levels)
    }

    def of(wanted: str) -> list[RewardGroup]:
        return [group for (task, _), own in groups.items() if wanted in ("", task) for group in own]

    return RewardGroups(
        viubench="0", model=model, engine="vllm", started="", samples=SAMPLES, temperature=1.0,
        total=group_set(of("")),
        tasks={task: group_set(of(task)) for task in tasks},
        levels=[
            LevelGroups(task=task, parameter="length", level=level, found=group_set(own))
            for (task, level), own in groups.items()
        ],
        cells=[], left_out={tasks[0]: 3},
    )  # fmt: skip


def _axis(name: str, unit: str, values: Sequence[float]) -> FrontierAxis:
    levels = [
        FrontierLevel(value=value, task=f"{name} at {value:g}", items=40, guess=round(1 / (2 + k), 6))
        for k, value in enumerate(values)
    ]
    return FrontierAxis(unit=unit, base=name, scale="log", levels=levels)


def _sample(task: str, number: int) -> Sample:
    return Sample(f"{task} {number}", task, f"video {number % 7}", (), "?", None, "")


def _group(task: str, level: str, number: int, hard: float, draw: random.Random) -> RewardGroup:
    rewards = tuple(float(draw.random() > hard) for _ in range(SAMPLES))
    smooth = tuple(max(one, round(draw.random() * (1 - hard), 2)) for one in rewards)
    return RewardGroup(_sample(f"{task} {level}", number), smooth, rewards)
