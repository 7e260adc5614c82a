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

_STAMP = re.compile(r"<\d+\.\d seconds>")


def metadata(video: VideoInput) -> dict[str, Any]:
    """Metadata of frames that are already sampled, whose `frames_indices / fps` are `video.times` within 1 ms.

    Keys: `fps` (per second), `frames_indices` (ints, one per frame), `total_num_frames`, `duration` (seconds),
    `video_backend`, `do_sample_frames` (False: the frames are shown as they are).
    """
    fps, indices, total = float(video.fps), [int(index) for index in video.indices], int(video.total)
    if any(abs(index / fps - time) > TOLERANCE for index, time in zip(indices, video.times, strict=True)):
        fps, indices = 1000.0, [round(1000 * time) for time in video.times]
        total = round(1000 * video.duration)
    return {
        "fps": fps,
        "frames_indices": indices,
        "total_num_frames": max(total, max(indices) + 1, len(indices)),
        "duration": float(video.duration),
        "video_backend": video.reader or "frames",
        "do_sample_frames": False,
    }


def stamps(meta: dict[str, Any], group: int = 2) -> list[str]:
    """The timestamps a Qwen3-VL prompt holds for a video: one per `group` merged frames, the last frame repeated."""
    times = [index / meta["fps"] for index in meta["frames_indices"]]
    times += [times[-1]] * (-len(times) % group)
    return [f"<{(times[i] + times[i + group - 1]) / 2:.1f} seconds>" for i in range(0, len(times), group)]


def missing_timestamps(prompt: str, metas: Sequence[dict[str, Any]], group: int = 2) -> str | None:
    """None when `prompt` holds every video's times in order, else a sentence on what it holds instead."""
    expected = [stamp for meta in metas for stamp in stamps(meta, group)]
    actual = _STAMP.findall(prompt)
    if any(actual[start : start + len(expected)] == expected for start in range(len(actual) - len(expected) + 1)):
        return None
    if not actual:
        return f"the prompt holds no frame timestamps; expected {expected[0]} to {expected[-1]}"
    return (
        f"the prompt holds {len(actual)} frame times, {actual[0]} to {actual[-1]}; "
        f"expected {len(expected)}, {expected[0]} to {expected[-1]}"
    )


def has_timestamps(prompt: str) -> bool:
    """Whether `prompt` holds any frame timestamp of the Qwen3-VL form."""
    return bool(_STAMP.search(prompt))
