"""What a question shows, as files that any video reader opens.

A publisher's own video stays what it is. Whatever is no video file by itself (a pretext item's altered frames, a part
of a video, a folder of frames) is written as one: exactly the frames viubench shows, at the protocol's size, as many
a second as they are apart in the source: `frame number / frame rate` is the time since the first of them.

Example:
    write_video(Path("altered.mp4"), video.pixels, Fraction(40, 9))

Frames are H.264 in RGB, lossless, each one a key frame. Of the encodings tried (decord, PyAV and OpenCV reading, 48
frames of 384x672, mean and worst error in 0..255) only this one gives every pixel back: RGB 0 and 0, 4:4:4 0.4 and 2,
4:2:0 1.8 and 180. Key frames only cost a quarter more bytes and leave a reader that jumps nothing to get wrong.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from viubench.errors import ViubenchError
from viubench.runner.pipeline import shown
from viubench.schema import Clip, Sample
from viubench.storage import atomic
from viubench.video.content_hash import located
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import Pixels, VideoInput
from viubench.video.loader import FrameRequest

CODEC = "libx264rgb"
LOSSLESS = {"crf": "0", "g": "1", "preset": "veryfast", "threads": "1"}


class File(NamedTuple):
    """One video or picture of a question."""

    path: str  # relative to the export folder, or absolute
    frames: int | None = None  # it holds when it was written here, None for a publisher's own file
    start: float = 0.0  # seconds of the source at its first frame, where its clock is 0
    drift: float = 0.0  # seconds between the time of a frame in the file and that in the source, at most


def is_file(clip: Clip) -> bool:
    """Whether other tools can be given the clip as it is: a whole video file, or one picture."""
    if clip.frame_files:
        return len(clip.frame_files) == 1 and clip.frame_fps is None
    return clip.start is None and clip.end is None


def own_file(clip: Clip, root: Path, out: Path, cache: FrameCache, *, copy: bool) -> File:
    """The publisher's file of a clip: its absolute path, or with `copy` a hard link (else a copy) in `out/media`.

    Raises MediaError where it is missing, empty or outside `root`.
    """
    ((_, path),) = located(clip, root)
    if not copy:
        return File(str(path))
    name = f"media/{cache.content(clip, root)}{path.suffix.lower()}"
    if not (out / name).exists():
        (out / "media").mkdir(parents=True, exist_ok=True)
        with atomic.replacing(out / name) as aside:
            try:
                os.link(path, aside)
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, aside)
    return File(name)


def written(cache: Path, sample: Sample, requests: Sequence[FrameRequest], out: Path) -> list[File]:
    """The videos a sample shows, written below `out/media`, named by content; those that are there are kept.

    What a worker process runs: decodes, and raises MediaError as `FrameCache.get`.
    """
    frames = FrameCache(cache)
    loaded = [frames.get(clip, root, sampling, resize) for root, clip, sampling, resize in requests]
    (out / "media").mkdir(parents=True, exist_ok=True)
    files = []
    for video in shown(sample, loaded):
        name = f"media/{video.key}.mp4"
        rate = frame_rate(video)
        # A single frame is written twice: qwen-vl-utils refuses a video of one.
        pixels = np.repeat(video.pixels, 2, axis=0) if len(video) == 1 else video.pixels
        if not (out / name).exists():
            write_video(out / name, pixels, rate)
        start = video.times[0]
        drift = max(abs(time - start - k / float(rate)) for k, time in enumerate(video.times))
        files.append(File(name, len(pixels), start, drift))
    return files


def frame_rate(video: VideoInput) -> Fraction:
    """Frames a second at which the shown frames are as far apart as in the source, on the mean."""
    if len(video) == 1:
        return Fraction(1)
    step = (video.times[-1] - video.times[0]) / (len(video) - 1)
    return Fraction(1 / step).limit_denominator(10_000)


def write_video(path: Path, frames: Pixels, rate: Fraction) -> None:
    """Write uint8 RGB frames [T, H, W, 3] as an MP4 of `rate` frames a second; the file appears whole.

    Raises ViubenchError where this build of PyAV has no H.264 encoder.
    """
    with atomic.replacing(path) as aside, av.open(str(aside), "w", format="mp4") as container:
        try:
            stream: Any = container.add_stream(CODEC, rate=rate, options=LOSSLESS)
        except (ValueError, LookupError) as error:
            hint = "pip install --only-binary :all: av, whose wheels can"
            raise ViubenchError(f"PyAV cannot encode {CODEC}: {error}", hint=hint) from error
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb24"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
