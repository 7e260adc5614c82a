"""The result of a training, from run folders of its checkpoints on held-out videos: scores, gain, controls.

Example:
    result = summary(DemoRuns(train, test, swapped, base, warm, grpo, control), catalogue, store)
    result["tasks"]["tiny_jigsaw"]["diff"]   # {"mean": 0.28, "lo": 0.26, "hi": 0.30}
    failures(result)   # [] where the gain is as required

All numbers are fractions. A score is the smooth reward of the recorded answer, 0 where none was extracted; exact match
is the share of exactly right answers. Differences are paired by item, with intervals clustered by video.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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
from viubench.schema.compare import CompareReport
from viubench.stats.estimates import Part
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

RUNS = ("base", "warm", "grpo")


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
    rewards = {name: run_rewards(getattr(runs, name), test) for name in RUNS}
    control = run_rewards(runs.control, swapped)
    tasks: dict[str, Any] = {}
    parts: dict[str, list[Part]] = {run: [] for run in RUNS}
    for name, evaluator in evaluators_of(test).items():
        samples = of_task(test, name)
        result: dict[str, Any] = {"n": len(samples), "exact": {}, "distinct": {}, "top": {}}
        for run in RUNS:
            own = [rewards[run][sample.id] for sample in samples]
            answers = Counter(canonical_json(reward.answer) for reward in own if reward.parsed)
            result[run] = fmean(reward.value for reward in own)
            result["exact"][run] = fmean(reward.strict for reward in own)
            result["distinct"][run] = len(answers)
            result["top"][run] = max(answers.values(), default=0) / len(own)
            parts[run].append((1 / len(test.tasks), [reward.value for reward in own], [s.cluster for s in samples]))
        gain = paired([(1.0, *parts["warm"][-1][1:])], [(1.0, *parts["grpo"][-1][1:])])
        tasks[name] = result | {
            "constant_floor": constant_reward(best_constant(of_task(train, name), evaluator), samples, evaluator),
            "swapped_video": fmean(control[sample.id].value for sample in of_task(swapped, name)),
            "diff": interval(gain),
        }
    mean: dict[str, Any] = {"n": sum(task["n"] for task in tasks.values())}
    for name in (*RUNS, "constant_floor", "swapped_video"):
        mean[name] = fmean(task[name] for task in tasks.values())
    mean["exact"] = {run: fmean(task["exact"][run] for task in tasks.values()) for run in RUNS}
    return mean | {"diff": interval(paired(parts["warm"], parts["grpo"])), "tasks": tasks}


def evaluators_of(items: Dataset) -> dict[str, Evaluator]:
    """The evaluator of each task."""
    return {name: evaluators.get(task.evaluator.name, **task.evaluator.params) for name, task in items.tasks.items()}


def of_task(items: Dataset, task: str) -> list[Sample]:
    return [sample for sample in items.samples if sample.task == task]


def run_rewards(run: Path, items: Dataset) -> dict[str, Reward]:
    """Item id -> the reward of its recorded answer; ViubenchError where an item has none."""
    rewarder = Rewarder(dict.fromkeys(items.tasks, "smooth"), evaluators_of(items))
    records = {record.id: record for record in read_records(run)}
    missing = [sample.id for sample in items.samples if sample.id not in records]
    if missing:
        raise ViubenchError(f"{len(missing)} items have no record, the first is {missing[0]}", where=str(run))
    answers = ((sample, records[sample.id]) for sample in items.samples)
    return {s.id: rewarder(s, record.response or "", record.finish_reason or "") for s, record in answers}


def interval(difference: Difference) -> dict[str, float]:
    return {"mean": difference.mean, "lo": difference.low, "hi": difference.high}


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


def failures(result: Mapping[str, Any]) -> list[str]:
    """The unmet requirements of a training on drawn clips, a sentence each."""
    sentences = []
    for name, task in result["tasks"].items():
        diff, exact, distinct, constant = task["diff"], task["exact"], task["distinct"], task["constant_floor"]
        checks = {
            f"gains {diff['mean']:+.3f}, at least {diff['lo']:+.3f} (95 %), {GAIN:+} is required": diff["lo"] > GAIN,
            f"exact match {exact['warm']:.3f} to {exact['grpo']:.3f}, {EXACT_GAIN:+} is required": (
                exact["grpo"] - exact["warm"] >= EXACT_GAIN
            ),
            f"scores {task['grpo']:.3f}, constant {constant:.3f}, {ABOVE_CONSTANT:+} is required": (
                task["grpo"] >= constant + ABOVE_CONSTANT
            ),
            f"scores {task['swapped_video']:.3f} with another video, a constant answer {constant:.3f}": (
                task["swapped_video"] <= constant + NEAR_CONSTANT
            ),
            f"different answers {distinct['warm']} to {distinct['grpo']}, {LEFT:g} of them are required": (
                distinct["grpo"] >= LEFT * distinct["warm"]
            ),
        }
        sentences += [f"{name}: {sentence}" for sentence, holds in checks.items() if not holds]
    return sentences


def clips_failures(comparison: Path, result: Mapping[str, Any]) -> list[str]:
    """The unmet requirements of a training on real clips, a sentence each.

    Args:
        comparison: `compare.json` of the blind run and the trained model's, with intervals clustered by scene.
        result: the summary; with another scene's video a task must score below the best constant answer.
    """
    report = CompareReport.model_validate_json(comparison.read_bytes())
    sentences = []
    for name, task in report.tasks.items():
        if task.ci[0] <= 0:
            sentences.append(f"{name}: {task.difference:+.3f} above the blind row, at least {task.ci[0]:+.3f} (95 %)")
        score, constant = (result["tasks"][name][key] for key in ("swapped_video", "constant_floor"))
        if score >= constant:
            sentences.append(f"{name}: scores {score:.3f} with another video, a constant answer {constant:.3f}")
    return sentences
