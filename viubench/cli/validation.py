"""`viubench tasks validate`: a task that does not grade as it should is refused.

Example:
    faults = check_all(["viubench_count_easy"], Catalogue())

For every task the true answer must score 1, a wrong one less, and junk must count as unparsed. Pretext tasks are tried
on questions made from drawn clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import evaluators
from viubench.errors import ViubenchError
from viubench.grading import grade
from viubench.pretext import recipes
from viubench.schema import Item, Sample, Task
from viubench.tasks import Catalogue, load_task
from viubench.video import draw
from viubench.video.frames import VideoInput

JUNK = ("", ")", "The scene shows a street.", "I think so", "\x00")
QUESTIONS = 4
SEEDS = 200


def check_all(names: Sequence[str], catalogue: Catalogue) -> int:
    """Check the named tasks (or YAML files), or all; prints one line each and returns how many are at fault."""
    faults = 0
    for name in names or list(catalogue.task_files):
        try:
            task = load_task(Path(name)) if name.endswith((".yaml", ".yml")) else catalogue.task(name)
            problem = fault(task)
            where = None
        except ViubenchError as error:
            problem, where = error.message, error.where
            problem += f" ({error.hint})" if error.hint else ""
        faults += problem is not None
        print(f"{'BAD' if problem else 'ok':>4}  {name}" + (f": {problem}" if problem else ""))
        if where:
            print(f"      at: {where}")
    return faults


def fault(task: Task) -> str | None:
    """What is wrong with a task's grading, in one sentence; None when nothing is."""
    evaluator = evaluators.get(task.evaluator.name, **task.evaluator.params)
    if task.metric not in (evaluator.task_metric, evaluator.metric):
        return f"metric {task.metric!r} is not what {task.evaluator.name} gives ({evaluator.task_metric})"
    samples = questions(task)
    for sample in samples:
        truth = grade(sample.answer_text, "stop", sample, evaluator)
        if truth.scores.get(evaluator.metric) != 1:
            return f"the true answer {sample.answer_text!r} scores {truth.scores or truth.status}, not 1"
        for other in samples:
            wrong = grade(other.answer_text, "stop", sample, evaluator)
            if other.target != sample.target and wrong.scores.get(evaluator.metric, 0) >= 1:
                return f"the wrong answer {other.answer_text!r} scores 1 where {sample.answer_text!r} is true"
        for junk in JUNK:
            if grade(junk, "stop", sample, evaluator).status != "unparsed":
                return f"the junk answer {junk!r} is taken for an answer"
    return None


def questions(task: Task) -> list[Sample]:
    """A few questions of a pretext task with different answers, made from drawn clips.

    Raises:
        ViubenchError: its difficulty allows no answerable question on them.
    """
    if task.pretext is None:
        raise ViubenchError(f"{task.task} has no pretext and no rows to try it on")
    clips = [drawn_clip(seed) for seed in range(2)]
    found: dict[str, Sample] = {}
    for seed in range(SEEDS):
        drawn = recipes.draw(task.pretext, seed, clips)
        if isinstance(drawn, recipes.Rejected) or drawn.answer in found:
            continue
        item = Item(
            id=f"{task.task}-{seed}",
            task=task.task,
            video="drawn.mp4",
            cluster="drawn",
            seed=seed,
            params=drawn.params,
            question=task.question.format(**drawn.question_fields),
            answer=drawn.answer,
        )
        found[drawn.answer] = recipes.sample_of(item, task)
        if len(found) == QUESTIONS:
            return list(found.values())
    raise ViubenchError(f"{task.task}: its difficulty gave no {QUESTIONS} answerable questions on a drawn clip")


def drawn_clip(seed: int) -> VideoInput:
    """48 frames of a drawn scene, four a second."""
    frames = list(draw.clip_frames(draw.plan(0, seed, 12.0, (96, 64), 4.0)))
    return VideoInput(
        np.stack(frames),
        fps=4.0,
        indices=tuple(range(len(frames))),
        times=tuple(time / 4 for time in range(len(frames))),
        total=len(frames),
        duration=len(frames) / 4,
    )
