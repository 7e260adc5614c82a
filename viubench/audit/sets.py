"""What is audited: sets of questions, and of each question what its answer is called.

Example:
    labels(sample)   # {'answer': 'B', 'answer text': 'a red car'}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viubench.audit.videos import VideoFacts
from viubench.schema import Clip, GroundItem, Sample, Task

Place = tuple[Path, str]
"""A video file: its media root, and its path below it."""


@dataclass(frozen=True)
class AuditSet:
    """The questions that one name stands for, or the `files` of a folder of videos, and what is known of the videos, by
    place."""

    name: str
    samples: Sequence[Sample] = ()
    files: Sequence[Place] = ()
    tasks: dict[str, Task] = field(default_factory=dict)
    roots: dict[str, Path] = field(default_factory=dict)
    videos: dict[Place, VideoFacts] = field(default_factory=dict)

    def place(self, clip: Clip, task: str) -> Place:
        return self.roots[task], clip.path

    def known(self, sample: Sample) -> VideoFacts | None:
        """What is known of a question's first video; None where it is no readable file."""
        return self.videos.get(self.place(sample.clips[0], sample.task)) if sample.clips else None


def span(sample: Sample) -> tuple[float, float] | None:
    """The seconds of the video that the answer names, where it is one interval."""
    target: Any = sample.target
    if isinstance(target, list | tuple) and len(target) == 1:
        target = target[0]
    if isinstance(target, list | tuple) and len(target) == 2 and all(isinstance(end, int | float) for end in target):
        low, high = map(float, target)
        return (low, high) if 0 <= low < high and sample.pretext is None else None
    return None


def labels(sample: Sample) -> dict[str, str]:
    """What a file could give away: the answer, the text of the right option, how the video was altered."""
    found = {"answer": sample.answer_text}
    if (interval := span(sample)) is not None:
        times = sample.params.get("times") or (0.0, interval[1])
        middle = (sum(interval) / 2 - times[0]) / max(times[-1] - times[0], 1e-9)
        found = {"answer": f"in third {min(max(int(3 * middle), 0), 2) + 1} of the video"}
    letters = [str(letter) for letter in sample.params.get("letters") or "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    if sample.options and sample.target in letters[: len(sample.options)]:
        found["answer text"] = sample.options[letters.index(sample.target)].strip().casefold()
    if isinstance(sample.pretext, GroundItem):
        found["perturbation"] = sample.pretext.perturb
    elif isinstance(sample.params.get("perturb"), str):
        found["perturbation"] = sample.params["perturb"]
    return found
