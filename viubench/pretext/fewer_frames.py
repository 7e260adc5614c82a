"""Ready items asked at fewer frames: the same altered video, of which fewer frames are shown, evenly spread.

Example:
    >>> places(48, 4)
    (6, 18, 30, 42)

What was altered and the true answer stay what they were, so that a score at 8 frames and one at 48 are of one question.
Only grounding can be asked so: a counting item hides its shapes in single frames, and a jigsaw is made of its frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from viubench.errors import ViubenchError
from viubench.pretext.perturb import TEMPORAL, positions
from viubench.schema import GroundItem, Sample, Task

FIXED = {
    "count": "its shapes are in single frames, which fewer frames would leave out",
    "jigsaw": "its clips are made of its frames",
}
"""Why the frames of a kind of items cannot be varied."""


def places(total: int, frames: int) -> tuple[int, ...]:
    """Which of `total` frames are shown where `frames` are asked, at most as many: the middle one of each equal part.

    >>> places(4, 4), places(4, 9)
    ((0, 1, 2, 3), (0, 1, 2, 3))
    """
    frames = min(frames, total)
    return tuple((2 * place + 1) * total // (2 * frames) for place in range(frames))


def asked(samples: Iterable[Sample], task: Task, frames: int) -> list[Sample]:
    """The items of one task with at most so many frames shown.

    Raises:
        ViubenchError: the task cannot be asked so, or the items have not so many frames.
    """
    samples = list(samples)
    sizes = {sample.pretext.frames for sample in samples if sample.pretext}
    if frames > max(sizes, default=frames):
        raise ViubenchError(
            f"{task.task}: the items are of {max(sizes)} frames, {frames} cannot be shown",
            where="--frames",
            hint=f"build them with --frames {frames}",
        )
    if all(size <= frames for size in sizes):
        return samples
    kind = task.pretext.kind if task.pretext else ""
    why = FIXED.get(kind, "" if kind in ("", "ground") else "its kind does not say how") or (
        "its question says how many frames there are" if "{frames}" in task.question else ""
    )
    if why:
        raise ViubenchError(
            f"{task.task} cannot be asked at other frames: {why}", where="--frames", hint=f"--exclude {task.task}"
        )
    return [_asked(sample, frames) for sample in samples]


def _asked(sample: Sample, frames: int) -> Sample:
    item = sample.pretext
    if not isinstance(item, GroundItem) or item.frames <= frames:
        return sample
    return replace(sample, pretext=item.model_copy(update={"shown": places(item.frames, frames)}))


def hidden(sample: Sample) -> bool:
    """Whether none of the frames shown is an altered one: the answer cannot be seen."""
    item = sample.pretext
    if not isinstance(item, GroundItem):
        return False
    start, stop = item.segment
    altered = set(range(start, stop))
    if item.perturb in TEMPORAL:
        sources = positions(item.perturb, item.frames, item.segment, item.strength)
        altered = {start + k for k, source in enumerate(sources) if source != start + k}
    return bool(item.shown) and not altered & set(item.shown)
