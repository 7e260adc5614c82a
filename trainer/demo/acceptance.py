"""The result of a training, from run folders of its checkpoints on held-out videos: scores, gain, controls.

Example:
    result = summary(DemoRuns(train, test, swapped, base, warm, grpo, control), catalogue, store)
    result["tasks"]["tiny_jigsaw"]["diff"]   # {"mean": 0.28, "lo": 0.26, "hi": 0.30}
    failures(result, ("tiny_ground", "tiny_jigsaw"))   # [] where the gain is as required

All numbers are fractions. A score is the smooth reward of the recorded answer, 0 where none was extracted; exact match
is the share of exactly right answers. Differences are paired by item, with intervals clustered by video.
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
from trainer.rewards import Reward, Rewarder, best_constant, constant_reward
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
"""Required gain in exact match over the warm start; a policy that only sharpens does not reach it."""

ABOVE_CONSTANT = 0.2
"""Required distance to the best constant answer."""

NEAR_CONSTANT = 0.1
"""With another item's video the score may be at most so far above the best constant answer."""

LEFT = 0.5
"""Different answers required, as a share of the warm start's."""


@dataclass(frozen=True)
class DemoRuns:
    """Folders: training, test and swapped items; runs of three checkpoints on the test items, and of the last on
    swapped ones (question and answer of one item, video of another)."""

    train: Path
    test: Path
    swapped: Path
    base: Path
    warm: Path
    grpo: Path
    control: Path


def summary(runs: DemoRuns, catalogue: Catalogue, store: FrameCache) -> dict[str, Any]:
    """Score, exact match and controls over all tasks (the mean of theirs), and of each task below `tasks`.

    Raises:
        ViubenchError: a run lacks answers to some of the items.
    """
    train, test, swapped = (
        pretext_items.read(path, catalogue, store) for path in (runs.train, runs.test, runs.swapped)
    )
    task_evaluators = evaluators_of(test)
    paths = {"base": runs.base, "warm": runs.warm, "grpo": runs.grpo}
    results = {name: run_rewards(path, test) for name, path in paths.items()}
    control = run_rewards(runs.control, swapped)
    tasks: dict[str, Any] = {}
    parts: dict[str, list[tuple[float, list[float], list[str]]]] = {"warm": [], "grpo": []}
    for name, evaluator in task_evaluators.items():
        samples = [sample for sample in test.samples if sample.task == name]
        rows = {run: [rewards[sample.id] for sample in samples] for run, rewards in results.items()}
        for run, share in parts.items():
            share.append(
                (1 / len(task_evaluators), [row.value for row in rows[run]], [sample.cluster for sample in samples])
            )
        gain = paired([(1.0, *parts["warm"][-1][1:])], [(1.0, *parts["grpo"][-1][1:])])
        other = [control[sample.id] for sample in swapped.samples if sample.task == name]
        known = [sample for sample in train.samples if sample.task == name]
        tasks[name] = _task(rows, other, constant_baseline(known, samples, evaluator)) | {"diff": interval(gain)}
    return _mean(tasks) | {"diff": interval(paired(parts["warm"], parts["grpo"])), "tasks": tasks}


def evaluators_of(items: Dataset) -> dict[str, Evaluator]:
    """The evaluator of each task."""
    return {name: evaluators.get(task.evaluator.name, **task.evaluator.params) for name, task in items.tasks.items()}


def run_rewards(run: Path, items: Dataset) -> dict[str, Reward]:
    """Item id -> the reward of its recorded answer; ViubenchError where an item has none."""
    rewarder = Rewarder(dict.fromkeys(items.tasks, "smooth"), evaluators_of(items))
    records = {record.id: record for record in read_records(run)}
    missing = [sample.id for sample in items.samples if sample.id not in records]
    if missing:
        raise ViubenchError(f"{len(missing)} items have no record, the first is {missing[0]}", where=str(run))
    answers = {sample.id: records[sample.id] for sample in items.samples}
    return {s.id: rewarder(s, answers[s.id].response or "", answers[s.id].finish_reason or "") for s in items.samples}


def scores(run: Path, items: Path, train: Path, catalogue: Catalogue, store: FrameCache) -> dict[str, dict[str, float]]:
    """Task -> `n`, `score`, `exact` and `constant_floor` of one run."""
    test, known = pretext_items.read(items, catalogue, store), pretext_items.read(train, catalogue, store)
    by_item = run_rewards(run, test)
    result = {}
    for name, evaluator in evaluators_of(test).items():
        samples, training = ([s for s in built.samples if s.task == name] for built in (test, known))
        rewards = [by_item[sample.id] for sample in samples]
        result[name] = {
            "n": len(rewards),
            "score": fmean(reward.value for reward in rewards),
            "exact": fmean(reward.strict for reward in rewards),
            "constant_floor": constant_baseline(training, samples, evaluator),
        }
    return result


def constant_baseline(train: Sequence[Sample], test: Sequence[Sample], evaluator: Evaluator) -> float:
    """The score of the best constant answer on the test items, chosen on the training items."""
    return constant_reward(best_constant(train, evaluator), test, evaluator)


def interval(difference: Difference) -> dict[str, float]:
    return {"mean": difference.mean, "lo": difference.low, "hi": difference.high}


def _task(rows: Mapping[str, Sequence[Reward]], control: Sequence[Reward], constant: float) -> dict[str, Any]:
    result: dict[str, Any] = {"n": len(rows["grpo"]), "exact": {}, "distinct": {}, "top": {}}
    for run, rewards in rows.items():
        answers = Counter(canonical_json(reward.answer) for reward in rewards if reward.parsed)
        result[run] = fmean(reward.value for reward in rewards)
        result["exact"][run] = fmean(reward.strict for reward in rewards)
        result["distinct"][run] = len(answers)
        result["top"][run] = max(answers.values(), default=0) / len(rewards)
    return result | {"constant_floor": constant, "swapped_video": fmean(reward.value for reward in control)}


def _mean(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Over the tasks: the sum of `n`, the means of the fractions."""
    result: dict[str, Any] = {"n": sum(task["n"] for task in tasks.values())}
    for name in ("base", "warm", "grpo", "constant_floor", "swapped_video"):
        result[name] = fmean(task[name] for task in tasks.values())
    result["exact"] = {run: fmean(task["exact"][run] for task in tasks.values()) for run in ("base", "warm", "grpo")}
    return result


def table(result: Mapping[str, Any]) -> str:
    """The summary as text, a line a task."""
    from tabulate import tabulate

    heads = ["task", "n", "constant", "swapped", "base", "warm", "GRPO", "gain", "95 % interval"]
    heads += ["exact warm", "exact GRPO"]
    rows = []
    for name, task in (*result["tasks"].items(), ("mean", result)):
        diff = task["diff"]
        numbers = [task[key] for key in ("constant_floor", "swapped_video", "base", "warm", "grpo")]
        gain = [f"{diff['mean']:+.3f}", f"{diff['lo']:+.3f} to {diff['hi']:+.3f}"]
        rows.append([name, task["n"], *numbers, *gain, *(task["exact"][run] for run in ("warm", "grpo"))])
    return tabulate(rows, heads, floatfmt=".3f", disable_numparse=[7, 8])


def failures(result: Mapping[str, Any], required: Sequence[str]) -> list[str]:
    """The unmet requirements, a sentence each, of each of the `required` tasks."""
    sentences = []
    for name in required:
        task = result["tasks"][name]
        exact, distinct = task["exact"], task["distinct"]
        checks = {
            f"gains {task['diff']['mean']:+.3f}, at least {task['diff']['lo']:+.3f} (95 %), {GAIN:+} is required": (
                task["diff"]["lo"] > GAIN
            ),
            f"exact match {exact['warm']:.3f} to {exact['grpo']:.3f}, {EXACT_GAIN:+} is required": (
                exact["grpo"] - exact["warm"] >= EXACT_GAIN
            ),
            f"scores {task['grpo']:.3f}, constant {task['constant_floor']:.3f}, {ABOVE_CONSTANT:+} is required": (
                task["grpo"] >= task["constant_floor"] + ABOVE_CONSTANT
            ),
            f"scores {task['swapped_video']:.3f} with another video, a constant answer {task['constant_floor']:.3f}": (
                task["swapped_video"] <= task["constant_floor"] + NEAR_CONSTANT
            ),
            f"different answers {distinct['warm']} to {distinct['grpo']}, {LEFT:g} of them are required": (
                distinct["grpo"] >= LEFT * distinct["warm"]
            ),
        }
        sentences += [f"{name}: {sentence}" for sentence, holds in checks.items() if not holds]
    return sentences
