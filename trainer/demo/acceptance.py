"""The result of a training, from run folders of its checkpoints on held-out videos: scores, gain, controls.

Example:
    result = summary({"base": ..., "warm": ..., "grpo": ..., "swapped": ...}, items, catalogue, store)
    result["tasks"]["tiny_jigsaw"]["diff"]   # {"mean": 0.28, "lo": 0.26, "hi": 0.30}
    failures(result)   # [] where the gain is as required

All numbers are fractions. A score is the smooth reward of the recorded answer, 0 where none was extracted; exact match
is the share of exactly right answers. Differences are paired by item, with intervals clustered by video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

import evaluators
from evaluators import Evaluator
from trainer.dataset import of_task
from trainer.rewards import Rewarder, best_constant, constant_reward
from viubench.datasets import pretext_items
from viubench.datasets.dataset import Dataset
from viubench.errors import ViubenchError
from viubench.schema import canonical_json
from viubench.schema.compare import CompareReport
from viubench.stats.paired_differences import paired
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


def summary(
    runs: Mapping[str, Path], items: Mapping[str, Path], catalogue: Catalogue, store: FrameCache
) -> dict[str, Any]:
    """Score, exact match and controls over all tasks (the mean of theirs), and of each task below `tasks`.

    Args:
        runs: folders of the `RUNS` on the test items, and of the last checkpoint on swapped ones (question and answer
            of one item, video of another).
        items: folders of the `train`, `test` and `swapped` items.

    Raises:
        ViubenchError: a run lacks answers to some of the items.
    """
    built = {name: pretext_items.read(folder, catalogue, store) for name, folder in items.items()}
    graders, train = evaluators_of(built["test"]), built["train"].samples
    graded = {name: rewards(run, built["swapped" if name == "swapped" else "test"]) for name, run in runs.items()}
    tasks: dict[str, Any] = {}
    for name, evaluator in graders.items():
        own = {run: frame[frame.task == name] for run, frame in graded.items()}
        constant = best_constant(of_task(name, train), evaluator)
        tasks[name] = {
            "n": len(own["grpo"]),
            **{run: own[run].value.mean() for run in RUNS},
            "swapped_video": own["swapped"].value.mean(),
            "constant_floor": constant_reward(constant, of_task(name, built["test"].samples), evaluator),
            "exact": {run: own[run].exact.mean() for run in RUNS},
            "distinct": {run: own[run].answer.nunique() for run in RUNS},
            "diff": difference([own["warm"]], [own["grpo"]]),
        }
    mean = {name: fmean(task[name] for task in tasks.values()) for name in (*RUNS, "constant_floor", "swapped_video")}
    exact = {run: fmean(task["exact"][run] for task in tasks.values()) for run in RUNS}
    parts = ([frame for _, frame in graded[run].groupby("task")] for run in ("warm", "grpo"))
    return {"n": len(graded["grpo"]), **mean, "exact": exact, "diff": difference(*parts), "tasks": tasks}


def evaluators_of(items: Dataset) -> dict[str, Evaluator]:
    """The evaluator of each task."""
    return {name: evaluators.get(task.evaluator.name, **task.evaluator.params) for name, task in items.tasks.items()}


def rewards(run: Path, items: Dataset) -> pd.DataFrame:
    """A row for each item: task, cluster, and of the recorded answer its reward, whether it is exact, and what it says
    (None where none was extracted). Raises ViubenchError where an item has no record."""
    rewarder = Rewarder(dict.fromkeys(items.tasks, "smooth"), evaluators_of(items))
    records, rows = {record.id: record for record in read_records(run)}, []
    if missing := [sample.id for sample in items.samples if sample.id not in records]:
        raise ViubenchError(f"{len(missing)} items have no record, the first is {missing[0]}", where=str(run))
    for sample in items.samples:
        record = records[sample.id]
        reward = rewarder(sample, record.response or "", record.finish_reason or "")
        answer = canonical_json(reward.answer) if reward.parsed else None
        rows.append((sample.task, sample.cluster, reward.value, reward.strict, answer))
    return pd.DataFrame(rows, columns=["task", "cluster", "value", "exact", "answer"])


def difference(before: Sequence[pd.DataFrame], after: Sequence[pd.DataFrame]) -> dict[str, float]:
    """The mean difference of these tasks' rewards, each of the same weight, and its 95 % interval."""
    one, other = (
        [(1 / len(tasks), list(task.value), list(task.cluster)) for task in tasks] for tasks in (before, after)
    )
    found = paired(one, other)
    return {"mean": found.mean, "lo": found.low, "hi": found.high}


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
