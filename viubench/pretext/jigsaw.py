"""Temporal jigsaw: a video cut into n equal clips, shown as n separate videos in another order.

Example: the true first clip is shown third, the second first, the third second.
    >>> answer([1, 2, 0])
    '312'

Convention (VideoSSR, arXiv 2511.06281, section 3): with `order[p]` the original clip shown at position p, digit i of
the answer is the position at which original clip i is shown: the order in which the shown clips must be played.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from viubench.pretext.visibility import ChangeDetector
from viubench.schema import content_hash
from viubench.video.frames import VideoInput


def answer(order: Sequence[int]) -> str:
    """The inverse of `order` (counted from 0) as digits counted from 1; comma-separated from ten clips on."""
    places = [order.index(original) + 1 for original in range(len(order))]
    return ("," if len(order) >= 10 else "").join(map(str, places))


def clips(video: VideoInput, order: Sequence[int], step: float) -> tuple[VideoInput, ...]:
    """The clips of `video` in the shown `order`, floor(T / n) frames each; frames left over at the end are dropped.

    Every clip's clock starts at 0 and advances by `step` seconds: true timestamps would give the order away. `indices`
    stay the true frame numbers; `duration` is the clip's.
    """
    size = len(video) // len(order)
    times = tuple(round(k * step, 3) for k in range(size))
    return tuple(
        replace(
            video,
            pixels=video.pixels[start : start + size],
            indices=video.indices[start : start + size],
            times=times,
            duration=size * step,
            # The same clip of another question is the same media: an engine may reuse what it computed.
            key=content_hash([video.key, start, start + size, step]) if video.key else "",
        )
        for start in (original * size for original in order)
    )


def look_alike(detector: ChangeDetector, total: int, n: int) -> bool:
    """Whether two of the n clips of `total` frames look the same (fewer than half of their frames differ)."""
    size = total // n
    return any(
        sum(detector.moved(first + k, second + k) for k in range(size)) * 2 < size
        for first, second in combinations(range(0, n * size, size), 2)
    )
