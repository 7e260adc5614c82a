"""GRPO with and without a curriculum, from one warm start: what it gains a step on items of unseen drawn clips.

Example:
    found = measure(Path("runs/train-demo"), Path("runs/curriculum"), seeds=[0, 1, 2], steps=60)
    print(table(found))

`train-demo` is a folder of `make train-demo`. Every training is `viubench train` with equally many steps and questions;
the seed decides the questions and the answers sampled. The greedy answers of the last checkpoints to the test items are
rewarded, and compared item by item, clustered by video.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import yaml
from tabulate import tabulate

from trainer.checkpoints import checkpoint, metrics_log
from trainer.config import TrainConfig, load
from trainer.dataset import Questions
from trainer.demo.acceptance import difference
from trainer.rewards import Rewarder
from viubench.errors import ViubenchError
from viubench.storage import atomic
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache

ASKED_AT_ONCE = 32


@dataclass(frozen=True)
class Row:
    """One training: test score of the warm start and of the last checkpoint, in [0, 1]; the share of groups without
    advantage, a mean over the steps; `gain` is points of 100 a step."""

    seed: int
    curriculum: bool
    warm: float
    last: float
    exact: float
    gain: float
    zero_advantage: float
    shares: dict[str, float]


@dataclass(frozen=True)
class Found:
    """The trainings, and the curriculum's score less the other's: mean and 95 % interval, by seed and over all."""

    rows: list[Row]
    differences: dict[str, dict[str, float]]


def measure(demo: Path, out: Path, seeds: Sequence[int], steps: int) -> Found:
    """Train in folders of `out`, which are resumed, and compare. Raises ViubenchError where `demo` is no such folder or
    a training fails."""
    warm = checkpoint.latest(demo / "training" / "warm-start")
    if warm is None:
        raise ViubenchError("there is no warm start", where=str(demo), hint="make train-demo")
    out.mkdir(parents=True, exist_ok=True)
    before = answered(warm, demo, configured(0, steps, on=False), out / "warm-start.parquet")
    rows, by_seed = [], {}
    for seed in seeds:
        graded = {}
        for on in (False, True):
            config, folder = configured(seed, steps, on=on), out / f"seed-{seed}-{'curriculum' if on else 'plain'}"
            graded[on] = answered(train(config, warm, demo, folder), demo, config, folder / "test.parquet")
            rows.append(row(before, graded[on], folder, config))
        by_seed[seed] = graded
    found = {f"seed {seed}": difference(graded[False], graded[True]) for seed, graded in by_seed.items()}
    plain, other = (averaged([graded[on] for graded in by_seed.values()]) for on in (False, True))
    return Found(rows, found | {"all seeds": difference(plain, other)})


def configured(seed: int, steps: int, *, on: bool) -> TrainConfig:
    """The recipe of the demo with so many steps of GRPO, without a warm start of its own."""
    changes: dict[str, Any] = {"seed": seed, "max_steps": steps, "save_steps": steps, "eval_steps": 0}
    changes |= {"warm_start": None, "log_completions": 0, "save_best": False, "report_to": ()}
    changes |= {"curriculum": {"type": "reward_variance"}} if on else {}
    return TrainConfig.model_validate(load("tiny-cpu").model_dump() | changes)


def train(config: TrainConfig, warm: Path, demo: Path, folder: Path) -> Path:
    """The last checkpoint of the training in `folder`, which is run or resumed where it is not there."""
    last = checkpoint.named(folder, config.max_steps)
    if not last.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "train.yaml"
        atomic.write(written, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False).encode())
        words: list[object] = ["train", "--config", written, "--model", warm, "--out", folder, "--quiet"]
        words += ["--items", demo / "items" / "train", "--validation", demo / "items" / "validation"]
        words += ["--frame-cache", demo / "frames", "--device", "cpu"]
        done = subprocess.run([sys.executable, "-m", "viubench", *map(str, words)], check=False)
        if done.returncode:
            raise ViubenchError(f"a training ended with code {done.returncode}", where=str(folder))
    return last


def answered(model: Path, demo: Path, config: TrainConfig, kept: Path) -> pd.DataFrame:
    """A row for each test item: task, cluster, reward of the greedy answer (`value`), and whether it is `exact`; read
    from `kept` where it is there, else written to it."""
    from trainer.model.policy import Policy

    if kept.exists():
        return pd.read_parquet(kept)
    config = config.override(train=str(demo / "items" / "train"), validation=str(demo / "items" / "test"))
    questions = Questions.read(config, Catalogue(), FrameCache(demo / "frames"))
    policy = Policy.open(model, finetuning=config.finetuning)
    rewarder = Rewarder(dict.fromkeys(config.tasks, "smooth"), questions.evaluators)
    samples, rows = questions.validation(), []
    for start in range(0, len(samples), ASKED_AT_ONCE):
        batch = samples[start : start + ASKED_AT_ONCE]
        packed = policy.stack([policy.pack(sample, questions.videos(sample)) for sample in batch])
        told = policy.rollout(packed, 1, [0] * len(batch), 0.0, config.max_completion_length)
        for sample, text, stopped in zip(batch, told.texts, told.stopped, strict=True):
            reward = rewarder(sample, text, "stop" if stopped else "length")
            rows.append((sample.id, sample.task, sample.cluster, reward.value, reward.strict))
    frame = pd.DataFrame(rows, columns=["id", "task", "cluster", "value", "exact"])
    frame.to_parquet(kept)
    return frame


def averaged(graded: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rewards of each item, their mean over the seeds."""
    return graded[0].assign(value=sum(one.value for one in graded) / len(graded))


def row(before: pd.DataFrame, after: pd.DataFrame, folder: Path, config: TrainConfig) -> Row:
    """What a training came to; scores are means over tasks of the same weight."""
    warm, last, exact = (mean(frame, name) for frame, name in ((before, "value"), (after, "value"), (after, "exact")))
    lines = metrics_log.read(folder)
    return Row(
        seed=config.seed,
        curriculum=config.curriculum.type != "none",
        warm=warm,
        last=last,
        exact=exact,
        gain=100 * (last - warm) / config.max_steps,
        zero_advantage=fmean(line["zero_advantage"] for line in lines),
        shares={key: value for key, value in lines[-1].items() if key.startswith("curriculum/")},
    )


def mean(frame: pd.DataFrame, name: str) -> float:
    """The mean over tasks."""
    return float(frame.groupby("task")[name].mean().mean())


def table(found: Found) -> str:
    """The trainings and the differences as text."""
    rows = [
        [one.seed, "yes" if one.curriculum else "no", f"{one.warm:.3f}", f"{one.last:.3f}", f"{one.exact:.3f}",
         f"{one.gain:.3f}", f"{one.zero_advantage:.3f}"]
        for one in found.rows
    ]  # fmt: skip
    heads = ["seed", "curriculum", "warm start", "last", "exact", "points a step", "groups without advantage"]
    lines = [tabulate(rows, heads, disable_numparse=True), "", "with the curriculum less without, of the last:"]
    lines += [f"  {name}: {d['mean']:+.3f} [{d['lo']:+.3f}, {d['hi']:+.3f}]" for name, d in found.differences.items()]
    return "\n".join(lines)
