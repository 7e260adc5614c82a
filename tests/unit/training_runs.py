"""Plausible training folders for the report tests: logs with the noise, the looks and the holes that real ones have.

Example:
    folder = write_training(tmp_path / "train", steps=60, evaluate=20, alarm="one answer to all")
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from report_runs import write_run

LEARNT = {"tiny_ground": (0.45, 0.82, 0.305), "tiny_count": (0.55, 0.74, 0.494), "tiny_jigsaw": (0.6, 0.98, 0.396)}
"""Task -> mean reward before and after, and the constant-answer floor."""

GROUPS = 6
"""Questions of each task a step, so that shares of them come in sixths."""


def write_training(
    folder: Path,
    *,
    steps: int = 220,
    warm: int = 320,
    every: int = 20,
    evaluate: int = 0,
    alarm: str = "",
    tasks: Sequence[str] = tuple(LEARNT),
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Write a training's logs.

    There is a look every `every` steps, a run of the harness every `evaluate` steps (0 is never), and in the last third
    of the looks at the first task the sentence `alarm`. `changes` replaces keys of the first line.
    """
    draw = random.Random(0)
    lines = [_step(step, steps, tasks, draw) for step in range(steps)]
    for step in range(every - 1, steps, every):
        lines[step] |= _look(tasks, _progress(step, steps), draw)
        if alarm and 3 * step > 2 * steps:
            lines[step][f"alarm/{tasks[0]}"] = alarm
    if lines:
        lines[0] |= dict(changes or {})
    write_log(folder, lines)
    if warm:
        write_log(folder / "warm-start", _warm_start(warm, tasks, draw))
    for done in range(evaluate, steps + 1, evaluate) if evaluate else ():
        write_evaluation(folder, done, skill=0.3 + 0.4 * _progress(done, steps))
    return folder


def write_log(folder: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def write_answers(folder: Path, step: int, changes: Mapping[str, Any] | None = None, n: int = 8) -> Path:
    """Answers to two questions of a step, as the trainer logs them; `changes` replaces keys of the first row."""
    rows: list[dict[str, Any]] = [
        {
            "step": step, "task": "tiny_count", "sample": f"count-{k // 4}", "question": "How many squares?",
            "target": "squares 3", "answer": f"I see <{k}>", "parsed": k != 1, "read_as": "" if k == 1 else str(k),
            "reward": float(k == 3), "exact": k == 3, "tokens": 5, "stopped": k != 2,
        }
        for k in range(n)
    ]  # fmt: skip
    rows[0] |= dict(changes or {})
    path = folder / "answers" / f"step-{step:06d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(path, index=False)
    return path


def write_evaluation(folder: Path, steps: int, *, skill: float, task: str = "viubench_ground_mirror") -> Path:
    """A finished run of the harness, its results moved under the names of the tasks that are trained."""
    run = write_run(
        folder / "evaluations" / f"step-{steps:06d}", skill=skill, n=4, half_width=0.06, tasks=[task], suite=False
    )
    results = json.loads((run / "results.json").read_text())
    results["tasks"] = {"tiny_ground": results["tasks"][task]}
    (run / "results.json").write_text(json.dumps(results))
    return run


def _progress(step: int, steps: int) -> float:
    return (1 - math.exp(-3 * step / max(steps, 1))) / (1 - math.exp(-3))


def _step(step: int, steps: int, tasks: Sequence[str], draw: random.Random) -> dict[str, Any]:
    done = _progress(step, steps)
    told: dict[str, Any] = {"step": step, "loss": draw.gauss(0, 0.01), "kl": 0.04 * done * draw.uniform(0.8, 1.2)}
    told |= {"policy": draw.gauss(0, 0.01), "clipped": 0.0, "entropy": 0.5 - 0.38 * done + draw.gauss(0, 0.02)}
    told |= {"gap": 10 ** draw.gauss(-5.5, 0.3), "grad_norm": 1.4 - 0.7 * done + abs(draw.gauss(0, 0.3))}
    told |= {"gap_max": 10 * told["gap"]}
    told |= {
        "learning_rate": 1e-4 * min((step + 1) / 10, 1 - 0.98 * step / steps),
        "seconds": round(draw.uniform(0.9, 1.3), 3),
    }
    told |= {"completions/mean_length": 7 + draw.random(), "completions/clipped_ratio": 0.2 * (1 - done)}
    told |= {"frac_reward_zero_std": 0.1 + 0.4 * done, "clip_ratio/region_mean": 0.01 * draw.random()}
    told |= {"sampling/importance_sampling_ratio/mean": draw.gauss(1, 1e-3)}
    told |= {"seconds/rollout": 0.6 * told["seconds"], "seconds/update": 0.3 * told["seconds"]}
    for task in tasks:
        if draw.random() > 0.9:
            continue  # a mixture may draw no question of a task
        reward = _mixed(LEARNT[task], done, draw, 0.06)
        told |= {
            f"{task}/reward": reward,
            f"{task}/strict": max(0.0, reward - 0.35),
            f"{task}/parsed": min(1.0, 0.96 + 0.04 * done + draw.gauss(0, 0.01)),
            f"{task}/zero_advantage": round((0.1 + 0.4 * done) * GROUPS + draw.uniform(-0.5, 1)) / GROUPS,
            f"{task}/distinct": draw.choice([4, 5, 5, 6]) / GROUPS,
            f"{task}/top": draw.choice([1, 1, 2, 2, 3]) / GROUPS,
            f"{task}/length": draw.uniform(5, 8),
        }
    own = [told[f"{task}/reward"] for task in tasks if f"{task}/reward" in told] or [0.0]
    return told | {"reward": sum(own) / len(own), "strict": max(0.0, sum(own) / len(own) - 0.35)}


def _warm_start(steps: int, tasks: Sequence[str], draw: random.Random) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for step in range(steps):
        loss = 1.8 * math.exp(-4 * step / steps) + 0.3 + draw.gauss(0, 0.05)
        lines.append(
            {"step": step, "loss": loss, "learning_rate": 1e-3 * (1 - step / steps), "seconds": draw.uniform(0.6, 0.8)}
        )
        if (step + 1) % 20 == 0:
            lines[-1] |= _look(tasks, -1 + _progress(step, steps), draw)
    return lines


def _look(tasks: Sequence[str], done: float, draw: random.Random) -> dict[str, float]:
    told = {}
    for task in tasks:
        score = _mixed(LEARNT[task], done, draw, 0.015) + 0.05
        told |= {f"validation/{task}/reward": score, f"validation/{task}/strict": max(0.0, 1.4 * score - 0.6)}
        told |= {f"validation/{task}/distinct": 0.3, f"floor/{task}": LEARNT[task][2]}
    return told


def _mixed(learnt: tuple[float, float, float], done: float, draw: random.Random, noise: float) -> float:
    before, after, floor = learnt
    mean = before + done * (after - before) if done >= 0 else floor - done * (floor - before) + 0.9 * (before - floor)
    return min(0.95, max(0.02, mean + draw.gauss(0, noise)))
