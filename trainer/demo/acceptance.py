"""The result of a training, from run folders of its checkpoints on held-out videos: scores, gain, controls.

Example:
    result = summary({"base": ..., "warm": ..., "grpo": ..., "swapped": ...}, items, catalogue, store)
    result["tasks"]["tiny_jigsaw"]["diff"]   # {"mean": 0.28, "lo": 0.26, "hi": 0.30}
    failures(result)   # [] where the gain is as required

Scores are smooth rewards, fractions. Differences are paired by item, with intervals clustered by video.
"""

from __future__ import annotations

from collections.abc import Mapping
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

GAIN = 0.03  # the paired interval of the gain over the warm start must lie above this
EXACT_GAIN = 0.08  # required gain in exact match; a policy that only sharpens does not reach it
ABOVE_CONSTANT, NEAR_CONSTANT = 0.2, 0.1  # required over the best constant answer; allowed with another item's video
LEFT = 0.5  # different answers required, as a share of the warm start's
RUNS = ("base", "warm", "grpo")


def summary(
    runs: Mapping[str, Path], items: Mapping[str, Path], catalogue: Catalogue, store: FrameCache
) -> dict[str, Any]:
    """Score, exact match and controls over all tasks (the mean of theirs), and of each task below `tasks`. `runs` are
    folders of the `RUNS` on the test items, and of the last checkpoint on swapped ones (question and answer of one
    item, video of another); `items` those of the `train`, `test` and `swapped` items. Raises ViubenchError where a run
    lacks answers to some of the items."""
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
            "diff": difference(own["warm"], own["grpo"]),
        }
    mean = {name: fmean(task[name] for task in tasks.values()) for name in (*RUNS, "constant_floor", "swapped_video")}
    exact = {run: fmean(task["exact"][run] for task in tasks.values()) for run in RUNS}
    diff = difference(graded["warm"], graded["grpo"])
    return {"n": len(graded["grpo"]), **mean, "exact": exact, "diff": diff, "tasks": tasks}


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


def difference(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, float]:
    """The mean difference of the rewards, each task of the same weight, and its 95 % interval."""
    weight = 1 / before.task.nunique()
    one, other = (
        [(weight, list(task.value), list(task.cluster)) for _, task in frame.groupby("task")]
        for frame in (before, after)
    )
    found = paired(one, other)
    return {"mean": found.mean, "lo": found.low, "hi": found.high}


def table(result: Mapping[str, Any]) -> str:
    """The summary as text, a line a task, with the names of `summary.json`."""
    rows = [{"task": name, **task} for name, task in (*result["tasks"].items(), ("mean", {**result, "tasks": None}))]
    shown = pd.json_normalize(rows).dropna(axis="columns")
    return str(shown.to_string(index=False, float_format="{:.3f}".format))


def failures(result: Mapping[str, Any]) -> list[str]:
    """The unmet requirements of a training on drawn clips, a sentence each."""
    sentences = []
    for name, task in result["tasks"].items():
        diff, exact, distinct, constant = task["diff"], task["exact"], task["distinct"], task["constant_floor"]
        score, swapped, more = task["grpo"], task["swapped_video"], exact["grpo"] - exact["warm"]
        low, least, most = diff["lo"], constant + ABOVE_CONSTANT, constant + NEAR_CONSTANT
        few = distinct["grpo"] < LEFT * distinct["warm"]
        missed = {
            f"gains {diff['mean']:+.3f}, at least {low:+.3f} (95 %), {GAIN:+} is required": low <= GAIN,
            f"exact match gains {more:+.3f}, {EXACT_GAIN:+} is required": more < EXACT_GAIN,
            f"scores {score:.3f}, {ABOVE_CONSTANT:+} over {constant:.3f} is required": score < least,
            f"scores {swapped:.3f} with another video, a constant answer {constant:.3f}": swapped > most,
            f"different answers {distinct['warm']} to {distinct['grpo']}, {LEFT:g} of them are required": few,
        }
        sentences += [f"{name}: {sentence}" for sentence, holds in missed.items() if holds]
    return sentences


def clips_failures(comparison: Path, result: Mapping[str, Any]) -> list[str]:
    """The unmet requirements of a training on real clips, a sentence each: to score above the blind row in
    `comparison`, their `compare.json`, and with another scene's video below the best constant answer."""
    report = CompareReport.model_validate_json(comparison.read_bytes())
    sentences = []
    for name, task in report.tasks.items():
        if task.ci[0] <= 0:
            sentences.append(f"{name}: {task.difference:+.3f} above the blind row, at least {task.ci[0]:+.3f} (95 %)")
        score, constant = (result["tasks"][name][key] for key in ("swapped_video", "constant_floor"))
        if score >= constant:
            sentences.append(f"{name}: scores {score:.3f} with another video, a constant answer {constant:.3f}")
    return sentences
