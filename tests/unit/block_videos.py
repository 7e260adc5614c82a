"""Videos in memory for the tests of the pretext tasks: coloured blocks that move, with true metadata.

Example:
    >>> moving().pixels.shape
    (48, 96, 160, 3)
"""

from __future__ import annotations

import numpy as np

from viubench.video.frames import Pixels, VideoInput

BLOCK = 16


def blocks(height: int, width: int, low: int, high: int, seed: int) -> Pixels:
    """A picture of coloured squares; made of whole numbers, so that it is the same on every machine."""
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    state = np.arange(1, rows * columns * 3 + 1, dtype=np.uint64) * np.uint64(2654435761 + 2 * seed)
    values = (low + ((state ^ (state >> np.uint64(13))) >> np.uint64(7)) % np.uint64(high - low + 1)).astype(np.uint8)
    small = values.reshape(rows, columns, 3)
    return small.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[:height, :width]


def wrap(pixels: Pixels, times: tuple[float, ...] | None = None, source: str = "ab" * 16) -> VideoInput:
    """`pixels` as the frames 3, 8, 13, ... of a file of 25 frames a second, or at the given times."""
    total = len(pixels)
    indices = tuple(3 + 5 * k for k in range(total))
    shown = times or tuple(index / 25 for index in indices)
    return VideoInput(pixels, 25.0, indices, shown, 5 * total + 3, shown[-1] + 0.2, "memory", source, "key")


def moving(
    frames: int = 48, height: int = 96, width: int = 160, *, low: int = 0, high: int = 255, seed: int = 0
) -> VideoInput:
    """Blocks that scroll by 5 pixels a frame: no two frames look alike, nothing is symmetric or grey."""
    wide = blocks(height, width + 5 * frames, low, high, seed)
    return wrap(np.stack([wide[:, 5 * k : 5 * k + width] for k in range(frames)]))


def still(frames: int = 48, height: int = 96, width: int = 160) -> VideoInput:
    """One colourful picture, shown all the time."""
    return wrap(np.stack([blocks(height, width, 0, 255, 0)] * frames))
