"""A filmstrip: the frames a model saw, side by side in one small JPEG, for the report page.

Example:
    >>> positions(48, most=4)
    [0, 16, 31, 47]
    >>> strip_path(Path("run"), "a1b2").as_posix()
    'run/strips/a1b2.jpg'
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.schema import content_hash, utf8
from viubench.storage import atomic
from viubench.video.frames import VideoInput

HEIGHT = 216
"""Most pixels of a strip's height; lower frames stay as they are."""

LONGEST = 200
"""Characters of a strip's name; systems take 255 bytes."""

_WIDEST = 4  # times its height: a panorama must not make a strip that no page can show
_QUALITY = 75


def positions(frames: int, most: int = 12) -> list[int]:
    """Which of `frames` shown frames stand in the strip, rising: at most `most`, evenly chosen, first and last among
    them."""
    if frames < 1 or most < 1:
        raise ValueError(f"frames {frames} and most {most} must be above 0")
    if frames <= most:
        return list(range(frames))
    if most == 1:
        return [0]
    return [(2 * k * (frames - 1) + most - 1) // (2 * (most - 1)) for k in range(most)]


def strip_path(run: Path, record_id: str) -> Path:
    """Where the strip of a record lies in a run folder; an id with `/`, `..` or the like stays one file name there."""
    name = quote(utf8(record_id), safe="")
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2]}-{content_hash(record_id)}"
    return run / "strips" / f"{name.replace('.', '%2E') if name.startswith('.') else name}.jpg"


def write(path: Path, videos: Sequence[VideoInput]) -> None:
    """Write the frames of `videos`, as `encoded` has them."""
    data = encoded(videos)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, data)


def encoded(videos: Sequence[VideoInput], most: int = HEIGHT) -> bytes:
    """The frames of `videos` as a JPEG, joined in the order shown, at most `most` pixels high; equal frames give equal
    bytes. ValueError where there is no frame."""
    pixels = [frame for video in videos for frame in video.pixels]
    if not pixels:
        raise ValueError("a filmstrip needs at least one frame")
    height = min(most, *map(len, pixels))
    row = np.concatenate([_thumbnail(pixels[k], height) for k in positions(len(pixels))], axis=1)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(row, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ValueError(f"cannot encode a strip of {row.shape[1]} x {row.shape[0]} pixels")
    return data.tobytes()


def _thumbnail(frame: NDArray[np.uint8], tall: int) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    wide = min(max(1, round(width * tall / height)), _WIDEST * max(tall, HEIGHT))
    return np.asarray(cv2.resize(frame, (wide, tall), interpolation=cv2.INTER_AREA), np.uint8)
