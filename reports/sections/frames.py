"""What a model saw, for one sample: its filmstrip as a data URI, and the time axis that lies under it.

Example:
    >>> [place(seconds, (0.0, 10.0, 20.0)) for seconds in (0.0, 10.0, 20.0)]
    [16.67, 50.0, 83.33]

The frames of a strip are equally wide, so the axis is bent to them: frame k's time lies under the middle of frame k.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from viubench.schema import FrameInfo
from viubench.video.filmstrip import positions, strip_path

MOST_BYTES = 400_000
"""A strip above this is left out: ours take 10 to 60 kB."""

_JPEG = b"\xff\xd8\xff"


def strip_uri(run: Path, record_id: str) -> str | None:
    """The strip of a record as a `data:` URI; None when there is none, or it is no small JPEG inside the run."""
    path = strip_path(run, record_id)
    if not path.is_file() or not path.resolve().is_relative_to(run.resolve()) or path.stat().st_size > MOST_BYTES:
        return None
    data = path.read_bytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" if data.startswith(_JPEG) else None


def captions(frames: FrameInfo) -> list[str]:
    """One caption per frame of the strip: the time in the prompt, after the number of its video if several."""
    numbers = _videos(frames)
    shown = positions(len(frames.times)) if frames.times else []
    return [f"{numbers[k]} · {frames.times[k]:.1f}" if numbers else f"{frames.times[k]:.1f}" for k in shown]


def first_frames(frames: FrameInfo) -> list[int]:
    """Where in the strip each of several videos begins; empty where one of them is not in it."""
    numbers = _videos(frames)
    shown = [numbers[k] for k in positions(len(numbers))] if numbers else []
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
