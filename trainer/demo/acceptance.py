"""What a training brought, from run folders of its checkpoints on items of other videos: scores, gain, controls.

Example:
    told = summary(Runs(test, swapped, train, base, warm, grpo, control), catalogue, store)
    told["tasks"]["tiny_jigsaw"]["diff"]   # {"mean": 0.28, "lo": 0.26, "hi": 0.30}
    failures(told, ("tiny_ground", "tiny_jigsaw"))   # [] where the training holds what it promises

All numbers are fractions. A score is the evaluator's smooth reward of the answer on record, 0 where none was read; the
exact match is the share of fully right answers. Differences are paired by item, with intervals clustered by video.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import evaluators
from evaluators import Evaluator
from trainer.rewards import Reward, Rewarder, constant_floor, constant_reward
from viubench.datasets import pretext_items
from viubench.datasets.dataset import Dataset
from viubench.errors import ViubenchError
from viubench.schema import Sample, canonical_json
from viubench.stats.paired_differences import Difference, paired
from viubench.storage.run_dir import read_records
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache

GAIN = 0.03
"""The paired interval of the gain over the warm start must lie above this."""

EXACT_GAIN = 0.08
"""At least so much more fully right answers than the warm start's: a policy that only sharpens does not get there."""

ABOVE_FLOOR = 0.2
"""At least so far above the best constant answer."""

NEAR_FLOOR = 0.1
"""With the video of another item the score must be at most so far above the best constant answer."""

LEFT = 0.5
"""Different answers left, as a share of the warm start's."""


@dataclass(frozen=True)
class Runs:
    """Folders: training, test and swapped items; runs of three checkpoints on the test items, and the last on swapped
    ones (question and answer of one item, video of another)."""

    train: Path
    test: Path
    swapped: Path
    base: Path
    warm: Path
    grpo: Path
    control: Path


def summary(runs: Runs, catalogue: Catalogue, store: FrameCache) -> dict[str, Any]:
    """Score, exact match and controls over all tasks (the mean of theirs), and of each task below `tasks`.

    Raises:
        ViubenchError: a run lacks answers to some of the items.
    """
    train, test, swapped = (
        pretext_items.read(path, catalogue, store) for path in (runs.train, runs.test, runs.swapped)
    )
    graders = {name: evaluators.get(task.evaluator.name, **task.evaluator.params) for name, task in test.tasks.items()}
    paths = {"base": runs.base, "warm": runs.warm, "grpo": runs.grpo}
    found = {name: graded(path, test, graders) for name, path in paths.items()}
    control = graded(runs.control, swapped, graders)
    tasks: dict[str, Any] = {}
    parts: dict[str, list[tuple[float, list[float], list[str]]]] = {"warm": [], "grpo": []}
    for name, grader in graders.items():
        samples = [sample for sample in test.samples if sample.task == name]
        rows = {run: [rewards[sample.id] for sample in samples] for run, rewards in found.items()}
        for run, share in parts.items():
            share.append((1 / len(graders), [row.value for row in rows[run]], [sample.cluster for sample in samples]))
        gain = paired([(1.0, *parts["warm"][-1][1:])], [(1.0, *parts["grpo"][-1][1:])])
        other = [control[sample.id] for sample in swapped.samples if sample.task == name]
        known = [sample for sample in train.samples if sample.task == name]
        tasks[name] = _task(rows, other, floor(known, samples, grader)) | {"diff": interval(gain)}
    return _mean(tasks) | {"diff": interval(paired(parts["warm"], parts["grpo"])), "tasks": tasks}


def graded(run: Path, items: Dataset, graders: Mapping[str, Evaluator]) -> dict[str, Reward]:
    """Item id -> what its answer on record earns; ViubenchError where an item has none."""
    rewarder = Rewarder(dict.fromkeys(graders, "smooth"), graders)
    records = {record.id: record for record in read_records(run)}
    lost = [sample.id for sample in items.samples if sample.id not in records]
    if lost:
        raise ViubenchError(f"{len(lost)} items have no record, the first is {lost[0]}", where=str(run))
    answers = {sample.id: records[sample.id] for sample in items.samples}
    return {s.id: rewarder(s, answers[s.id].response or "", answers[s.id].finish_reason or "") for s in items.samples}


Scores = dict[str, dict[str, float]]


def scores(run: Path, items: Path, train: Path, catalogue: Catalogue, store: FrameCache) -> Scores:
    """Task -> `n`, `score`, `exact` and `constant_floor` of one run, for items that have no second run beside it."""
    test, known = pretext_items.read(items, catalogue, store), pretext_items.read(train, catalogue, store)
    graders = {name: evaluators.get(task.evaluator.name, **task.evaluator.params) for name, task in test.tasks.items()}
    found = graded(run, test, graders)
    told = {}
    for name, grader in graders.items():
        samples, taught = ([s for s in built.samples if s.task == name] for built in (test, known))
        rewards = [found[sample.id] for sample in samples]
        told[name] = {
            "n": len(rewards),
            "score": fmean(reward.value for reward in rewards),
            "exact": fmean(reward.strict for reward in rewards),
            "constant_floor": floor(taught, samples, grader),
        }
    return told


def floor(train: Sequence[Sample], test: Sequence[Sample], grader: Evaluator) -> float:
    """The best constant answer's score on the test items; it is chosen on the training items."""
    return constant_reward(constant_floor(train, grader).text, test, grader)


def interval(found: Difference) -> dict[str, float]:
    return {"mean": found.mean, "lo": found.low, "hi": found.high}


def _task(rows: Mapping[str, Sequence[Reward]], control: Sequence[Reward], constant: float) -> dict[str, Any]:
    told: dict[str, Any] = {"n": len(rows["grpo"])}
    told |= {run: fmean(reward.value for reward in found) for run, found in rows.items()}
    for name in ("exact", "distinct", "top"):
        told[name] = {}
    for run, found in rows.items():
        answers = Counter(canonical_json(reward.answer) for reward in found if reward.parsed)
        told["exact"][run] = fmean(reward.strict for reward in found)
        told["distinct"][run] = len(answers)
        told["top"][run] = max(answers.values(), default=0) / len(found)
    return told | {"constant_floor": constant, "swapped_video": fmean(reward.value for reward in control)}


def _mean(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Over the tasks: the sum of `n`, the means of what is a fraction."""
    told: dict[str, Any] = {"n": sum(task["n"] for task in tasks.values())}
    for name in ("base", "warm", "grpo", "constant_floor", "swapped_video"):
        told[name] = fmean(task[name] for task in tasks.values())
    told["exact"] = {run: fmean(task["exact"][run] for task in tasks.values()) for run in ("base", "warm", "grpo")}
    return told


def table(told: Mapping[str, Any]) -> str:
    """The summary as text, a line a task."""
    from tabulate import tabulate

    heads = [
        "task",
        "n",
        "floor",
        "swapped",
        "base",
        "warm",
        "GRPO",
        "gain",
        "95 % interval",
        "exact warm",
        "exact GRPO",
    ]
    rows = []
    for name, task in (*told["tasks"].items(), ("mean", told)):
        diff = task["diff"]
        numbers = [task[key] for key in ("constant_floor", "swapped_video", "base", "warm", "grpo")]
        between = f"{diff['lo']:+.3f} to {diff['hi']:+.3f}"
        rows.append(
            [name, task["n"], *numbers, f"{diff['mean']:+.3f}", between, *(task["exact"][r] for r in ("warm", "grpo"))]
        )
    return tabulate(rows, heads, floatfmt=".3f", disable_numparse=[7, 8])


def failures(told: Mapping[str, Any], promised: Sequence[str]) -> list[str]:
    """What of the promise does not hold, a sentence each, for each of the `promised` tasks; none when all holds."""
    found = []
    for name in promised:
        task = told["tasks"][name]
        exact, distinct = task["exact"], task["distinct"]
        checks = {
            f"gains {task['diff']['mean']:+.3f}, at least {task['diff']['lo']:+.3f} (95 %), {GAIN:+} is asked": (
                task["diff"]["lo"] > GAIN
            ),
            f"fully right {exact['warm']:.3f} to {exact['grpo']:.3f}, {EXACT_GAIN:+} is asked": (
                exact["grpo"] - exact["warm"] >= EXACT_GAIN
            ),
            f"scores {task['grpo']:.3f}, a constant answer {task['constant_floor']:.3f}, {ABOVE_FLOOR:+} is asked": (
                task["grpo"] >= task["constant_floor"] + ABOVE_FLOOR
            ),
            f"scores {task['swapped_video']:.3f} with another video, {task['constant_floor']:.3f} is the floor": (
                task["swapped_video"] <= task["constant_floor"] + NEAR_FLOOR
            ),
            f"different answers {distinct['warm']} to {distinct['grpo']}, {LEFT:g} of them are asked": (
                distinct["grpo"] >= LEFT * distinct["warm"]
            ),
        }
        found += [f"{name}: {sentence}" for sentence, holds in checks.items() if not holds]
    return found
