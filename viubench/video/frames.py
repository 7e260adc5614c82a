"""Frames with true metadata: the one form in which a video moves through the harness.

Example:
    >>> video = VideoInput(np.zeros((2, 32, 32, 3), np.uint8), fps=25.0, indices=(0, 25), times=(0.0, 1.0),
    ...                    total=50, duration=2.0)
    >>> len(video)
    2
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""uint8, [T, H, W, 3], RGB, 0..255."""

IMAGES = "images"
"""The reader of a list of pictures."""

STILL = "still"
"""The reader of a single picture, which has no time: it is shown as an image."""


@dataclass(frozen=True)
class VideoInput:
    """A video as it is shown to a model; cannot exist without its metadata.

    Attributes:
        pixels: uint8 [T, H, W, 3], RGB.
        fps: frames per second of the source (mean; > 0).
        indices: source frame number of each shown frame, counted in presentation order from 0.
        times: seconds the model is given for each frame, rising; for a plain clip the true presentation time minus
            the first frame's.
        total: number of frames of the source that really decode.
        duration: seconds of the source that really decode (> 0).
        reader: what decoded it, for the record: "pyav", "decord", "torchcodec", "images" (a list of
            frames), STILL (one picture).
        source: content hash of the file (hex), "" when created in memory.
    """

    pixels: Pixels
    fps: float
    indices: tuple[int, ...]
    times: tuple[float, ...]
    total: int
    duration: float
    reader: str = ""
    source: str = ""
    key: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[3] != 3 or self.pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be uint8 [T, H, W, 3], got {self.pixels.dtype} {self.pixels.shape}")
        if not len(self.pixels) == len(self.indices) == len(self.times) > 0:
            raise ValueError(
                f"{len(self.pixels)} frames, {len(self.indices)} indices, {len(self.times)} times: not the same number"
            )
        if not (self.fps > 0 and self.duration > 0 and self.total > 0):
            raise ValueError(f"fps {self.fps}, duration {self.duration} and total {self.total} must be above 0")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def still(self) -> bool:
        """Whether this is one picture, shown as an image and not as a video."""
        return self.reader == STILL

    @cached_property
    def checksum(self) -> str:
        """32 hex digits: the BLAKE3 hash of the pixels' bytes. Computed once."""
        return str(blake3(np.ascontiguousarray(self.pixels).data.cast("B")).hexdigest(length=16))

    def pixel_hash(self) -> str:
        """32 hex digits over shape and pixels: equal frames, equal hash, on every machine."""
        return str(blake3(f"{self.pixels.shape} {self.checksum}".encode()).hexdigest(length=16))
