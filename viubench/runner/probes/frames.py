"""What a probe leaves of the frames of a video: fewer of them, or the same in another order.

Example:
    >>> places("half-frames", 5, "item"), places("reversed", 3, "item"), places("single-frame", 5, "item")
    ([0, 2, 4], [2, 1, 0], [2])

Where only the order changes, each place keeps its time: the prompt is that of the real run, the pictures are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from viubench.pretext.rng import Rng
from viubench.schema import Probe, content_hash
from viubench.video.frames import VideoInput

ORDERED = ("reversed", "shuffled-frames")
"""Probes that show every frame, in another order."""

FRAMES: tuple[Probe, ...] = ("single-frame", "half-frames", "reversed", "shuffled-frames")
"""Probes of the frames that are shown, which need more than one."""


def probed(videos: Sequence[VideoInput], probe: Probe, name: str) -> tuple[VideoInput, ...]:
    """What is left of the videos of the question `name`; each is changed by itself."""
    if probe not in FRAMES:
        return tuple(videos)
    return tuple(_probed(video, probe, f"{name}/{number}") for number, video in enumerate(videos))


def places(probe: Probe, frames: int, name: str) -> list[int]:
    """Which of so many frames are shown, in the order in which they are; a shuffle is drawn from `name`, and never
    leaves all frames where they were."""
    if probe == "single-frame":
        return [frames // 2]
    if probe == "half-frames":
        return list(range(0, frames, 2))
    if probe == "reversed":
        return list(range(frames - 1, -1, -1))
    return other_order(frames, "shuffled-frames", name)


def other_order(n: int, *key: str) -> list[int]:
    """An order of 0..n-1 that follows from `key`; of two or more never the one they are in.

    >>> other_order(2, "any")
    [1, 0]
    """
    rng, own = Rng(*key), list(range(n))
    order = rng.permutation(n)
    while order == own and n > 1:
        order = rng.permutation(n)
    return order


def _probed(video: VideoInput, probe: Probe, name: str) -> VideoInput:
    chosen = places(probe, len(video), name)
    times = video.times if probe in ORDERED else tuple(video.times[place] for place in chosen)
    indices = tuple(video.indices[place] for place in chosen)
    key = content_hash([video.key, probe, chosen]) if video.key else ""
    return replace(video, pixels=video.pixels[chosen], indices=indices, times=times, key=key)
