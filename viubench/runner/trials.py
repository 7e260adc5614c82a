"""Questions to try a task on: built from drawn clips for a pretext task, read from example rows for a data set.

Example:
    >>> len(questions(Catalogue().task("viubench_count_easy"), Catalogue()))
    4

Example rows are invented, in the publisher's own schema and layout: `examples/<data>/` in a folder of tasks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from viubench.datasets import loader, row_files
from viubench.errors import ViubenchError
from viubench.pretext import generate
from viubench.schema import Item, Sample, Task
from viubench.tasks.registry import Catalogue
from viubench.video import synthetic
from viubench.video.frames import VideoInput

QUESTIONS = 4
SEEDS = 200


def questions(task: Task, catalogue: Catalogue, data_root: Path | None = None) -> list[Sample]:
    """Questions of a task, with different answers; of a data set, from the rows in `data_root` or else example rows.
    Raises ViubenchError where there are no readable rows, or no answerable question can be drawn."""
    if task.pretext:
        return _drawn(task)
    if task.rows is None:
        raise ViubenchError(f"{task.task} has neither pretext nor rows", hint="add: rows: {files: [...]}")
    if data_root is not None:
        return loader.read(task, data_root).samples
    for folder in catalogue.examples(task):
        if folder.is_dir() and row_files.paths(task.rows, folder):
            return loader.read(task, folder).samples
    raise ViubenchError(
        f"{task.task}: no rows to try it on", hint="name the folder of its data with --data-root, or add example rows"
    )


def _drawn(task: Task) -> list[Sample]:
    """A few questions of a pretext task with different answers, built from drawn clips."""
    assert task.pretext is not None
    clips = [drawn_clip(seed) for seed in range(2)]
    samples: dict[str, Sample] = {}
    for seed in range(SEEDS):
        drawn = generate.draw(task.pretext, seed, clips)
        if isinstance(drawn, generate.Rejected) or drawn.answer in samples:
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
        samples[drawn.answer] = generate.sample_of(item, task)
        if len(samples) == QUESTIONS:
            return list(samples.values())
    if len(samples) > 1:  # there may be no more answers: two markers have two orders
        return list(samples.values())
    raise ViubenchError(f"{task.task}: its difficulty gave no two answerable questions on a drawn clip")


def drawn_clip(seed: int) -> VideoInput:
    """48 frames of a drawn scene, four a second."""
    pixels = np.stack(list(synthetic.clip_frames(synthetic.plan(0, seed, 12.0, (96, 64), 4.0))))
    total = len(pixels)
    times = tuple(number / 4 for number in range(total))
    return VideoInput(pixels, fps=4.0, indices=tuple(range(total)), times=times, total=total, duration=total / 4)
