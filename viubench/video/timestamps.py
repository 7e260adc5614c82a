"""When each frame was shown, for the model: the video metadata that vLLM and transformers turn into timestamps.

Qwen3-VL writes before each pair of frames the mean of their `index / fps` in seconds, to one decimal. Source frame
numbers over the source rate give the true time only where the rate is constant and the clock starts with the file; for
everything else (variable rate, clips whose clock starts anew, shuffled frames) a clock of 1000 ticks a second does.

Example:
    metadata(video)["fps"], metadata(video)["frames_indices"]   # 25 frames a second
    # (25.0, [0, 25])
    stamps(metadata(video))
    # ['<0.5 seconds>']
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from viubench.video.frames import VideoInput

TOLERANCE = 0.001
"""Seconds by which frame number / fps may miss the true time before the millisecond clock is used."""

STAMP = re.compile(r"<\d+\.\d seconds>")
"""A time as Qwen3-VL writes it."""

LABEL = re.compile(r"\d+:")
"""The end of a label such as "Clip 2:"."""


def metadata(video: VideoInput, *, ticks: bool = False) -> dict[str, Any]:
    """Metadata of frames that are already sampled, whose `frames_indices / fps` are `video.times` within 1 ms.

    With `ticks` the clock always counts milliseconds, and `total_num_frames` is that of a video which these frames
    cover evenly: for processors that take their frame rate from it, as Qwen2.5-VL's does.

    Keys: `fps` (per second), `frames_indices` (ints, one per frame), `total_num_frames`, `duration` (seconds),
    `video_backend`, `do_sample_frames` (False: the frames are shown as they are).
    """
    fps, indices, total = float(video.fps), [int(index) for index in video.indices], int(video.total)
    if ticks or any(abs(index / fps - time) > TOLERANCE for index, time in zip(indices, video.times, strict=True)):
        fps, indices = 1000.0, [round(1000 * time) for time in video.times]
        total = round(1000 * video.duration)
    total = max(total, max(indices) + 1, len(indices))
    return {
        "fps": fps,
        "frames_indices": indices,
        "total_num_frames": max(round(1000 * spacing(video) * len(video)), 1) if ticks else total,
        "duration": float(video.duration),
        "video_backend": video.reader or "frames",
        "do_sample_frames": False,
    }


def told(video: VideoInput, ticks: bool = False) -> list[float]:
    """The times that `metadata` tells, in seconds: within 1 ms of the true ones, which in text can be another digit."""
    meta = metadata(video, ticks=ticks)
    return [index / meta["fps"] for index in meta["frames_indices"]]


def spacing(video: VideoInput) -> float:
    """Seconds from one frame to the next, on average; of a single frame, how long it is shown in its source."""
    times = video.times
    return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1 / video.fps


def stamps(meta: dict[str, Any], group: int = 2) -> list[str]:
    """The timestamps a Qwen3-VL prompt holds for a video: one per `group` merged frames, the last frame repeated."""
    times = [index / meta["fps"] for index in meta["frames_indices"]]
    times += [times[-1]] * (-len(times) % group)
    return [f"<{(times[i] + times[i + group - 1]) / 2:.1f} seconds>" for i in range(0, len(times), group)]


def missing_timestamps(prompt: str, metas: Sequence[dict[str, Any]], group: int = 2) -> str | None:
    """None when `prompt` holds every video's times in order, else a sentence on what it holds instead."""
    return missing(prompt, [stamp for meta in metas for stamp in stamps(meta, group)], STAMP)


def missing(prompt: str, expected: Sequence[str], pattern: re.Pattern[str]) -> str | None:
    """None when the times that `pattern` finds in `prompt` are the `expected` ones in one run, else what they are.

    A digit right before the first time belongs to the question, and so does the label of a video right before one of
    its times: a chat template may have trimmed "Clip 2: 00:00" to "Clip 2:00:00".
    """
    actual = pattern.findall(prompt)
    for start in range(len(actual) - len(expected) + 1):
        first, *others = actual[start : start + len(expected)]
        if first.endswith(expected[0]) and all(map(_holds, others, expected[1:])):
            return None
    if not actual:
        return f"the prompt holds no frame timestamps; expected {expected[0]} to {expected[-1]}"
    return (
        f"the prompt holds {len(actual)} frame times, {actual[0]} to {actual[-1]}; "
        f"expected {len(expected)}, {expected[0]} to {expected[-1]}"
    )


def _holds(found: str, time: str) -> bool:
    """Whether a time that was found is `time`, with or without a label before it."""
    return found == time or LABEL.fullmatch(found.removesuffix(time)) is not None


def has_timestamps(prompt: str) -> bool:
    """Whether `prompt` holds any frame timestamp of the Qwen3-VL form."""
    return bool(STAMP.search(prompt))
