"""What a model saw, for one sample: the frames of its filmstrip, and the time axis that lies under them.

Example:
    >>> [place(seconds, (0.0, 10.0, 20.0)) for seconds in (0.0, 10.0, 20.0)]
    [16.67, 50.0, 83.33]

The frames of a strip are equally wide, so the axis is bent to them: frame k's time lies under the middle of frame k.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from viubench.schema import FrameInfo
from viubench.video.filmstrip import positions


def captions(frames: FrameInfo, at: Sequence[int] | None = None) -> list[str]:
    """One caption per frame of the strip: the time in the prompt, after the number of its video if several. `at` are
    the shown frames in the strip where they are not evenly chosen."""
    numbers = _videos(frames)
    shown = at or (positions(len(frames.times)) if frames.times else [])
    return [f"{numbers[k]} · {frames.times[k]:.1f}" if numbers else f"{frames.times[k]:.1f}" for k in shown]


def moments(frames: FrameInfo, at: Sequence[int] | None = None) -> list[float]:
    """The second of each frame of the strip, in its own video."""
    return [round(frames.times[k], 3) for k in at or positions(len(frames.times))] if frames.times else []


def clips(frames: FrameInfo) -> list[int]:
    """The number of the video that each frame of the strip is of, from 1; empty for a single one."""
    numbers = _videos(frames)
    return [numbers[k] for k in positions(len(numbers))] if numbers else []


def first_frames(frames: FrameInfo) -> list[int]:
    """Where in the strip each of several videos begins; empty where one of them is not in it."""
    shown = clips(frames)
    found = [shown.index(number) for number in dict.fromkeys(shown)]
    return found if len(found) == frames.videos else []


def _videos(frames: FrameInfo) -> list[int]:
    """The number of each frame's video, from 1; empty for a single one, or where the times do not separate them."""
    number, numbers = 1, []
    for k, time in enumerate(frames.times):
        number += k > 0 and time <= frames.times[k - 1]  # within a video times rise
        numbers.append(number)
    return numbers if frames.videos > 1 and numbers[-1:] == [frames.videos] else []


def place(seconds: float, times: Sequence[float]) -> float:
    """Percent in [0, 100] of the width of a strip whose frames stand at `times`, two or more seconds, rising; the half
    frames before the first and after the last middle go on at the same pace."""
    count = len(times)
    middles = (np.arange(-1, count + 1) + 0.5) / count
    at = float(np.interp(seconds, [2 * times[0] - times[1], *times, 2 * times[-1] - times[-2]], middles))
    return round(100 * min(max(at, 0.0), 1.0), 2)


def axis(frames: FrameInfo | None, spans: Sequence[tuple[float, float]]) -> Sequence[float]:
    """The times under a strip; without frames of one video, an even axis long enough for `spans`."""
    if frames and frames.videos == 1 and len(frames.times) > 1 and list(frames.times) == sorted(set(frames.times)):
        return [frames.times[k] for k in positions(len(frames.times))]
    return 0.0, max((end for _, end in spans), default=1.0) or 1.0
