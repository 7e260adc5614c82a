"""How frames look, in few numbers, and what of a pair of frames speaks for a change of one of them.

Example:
    evidence = turned(small(frames), lambda pictures: pictures[:, :, ::-1])
    # +1 where one of two frames is the mirror picture of the other, -1 where they look alike as they are

All evidence is [T, T] in -1..1: for frame i being changed and frame j not, less that for their being of one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.video.frames import Pixels

Numbers = NDArray[np.float64]
Change = Callable[[Numbers], Numbers]
"""From pictures [T, side, side, 3] to pictures of that shape."""

SIDE = 64
"""Side of the small pictures, in pixels."""

COARSER = (8, 4, 2)
"""By how much they are reduced again: coarse pictures bear motion, fine ones tell more apart."""


def small(frames: Pixels) -> Numbers:
    """The frames as square pictures: [T, SIDE, SIDE, 3], 0..255."""
    pictures = [cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for frame in frames]
    return np.stack(pictures).astype(np.float64)


def reduced(pictures: Numbers, times: int) -> Numbers:
    """The pictures with a side that is so many times smaller, a divisor of theirs."""
    total, side = pictures.shape[0], pictures.shape[1] // times
    return np.asarray(pictures.reshape(total, side, times, side, times, 3).mean(axis=(2, 4)))


def cosines(rows: Numbers, others: Numbers) -> Numbers:
    """[T, T] cosine of the angle between each two entries of two stacks; 0 for an entry of zeros."""
    unit, other = (
        flat / np.maximum(np.linalg.norm(flat, axis=1), 1e-6)[:, None]
        for flat in (rows.reshape(len(rows), -1), others.reshape(len(others), -1))
    )
    return np.asarray(unit @ other.T)


def turned(pictures: Numbers, change: Change) -> Numbers:
    """Evidence of a change that undoes itself. What it leaves as it is says nothing; the rest of a changed picture,
    x - change(x), has the other sign."""
    odd = [level - change(level) for level in (reduced(pictures, times) for times in COARSER)]
    return np.asarray(-np.mean([cosines(level, level) for level in odd], axis=0))


def changed(pictures: Numbers, changes: Sequence[Change]) -> Numbers:
    """Evidence of a change that has a direction: frame i looks like frame j after one of `changes`, more than as it
    is, and frame j does not look so like frame i."""
    plain = _contrast(reduced(pictures, 2))
    after = np.max([cosines(plain, _contrast(reduced(change(pictures), 2))) for change in changes], axis=0)
    others = np.stack([cosines(plain, plain), after.T])
    spread = 1.05 - np.minimum(after, others.min(axis=0))  # in a scene of few shapes all pictures are alike
    return np.asarray(np.clip((after - others.max(axis=0)) / spread, -1, 1))


def foreign(pictures: Numbers) -> Numbers:
    """Evidence that frames are of two scenes."""
    plain = _contrast(reduced(pictures, 4))
    return np.asarray(0.5 - cosines(plain, plain))


def _contrast(pictures: Numbers) -> Numbers:
    """The pictures less their mean colour."""
    return np.asarray(pictures - pictures.mean(axis=(1, 2), keepdims=True))


def more(values: Numbers, step: float) -> Numbers:
    """Evidence from one number a frame ([T]) that the change raises by `step` or more."""
    return np.asarray(np.clip(np.subtract.outer(values, values) / step * 2 - 1, -1, 1))


def chroma(pictures: Numbers) -> Numbers:
    """[T] mean distance of the strongest from the weakest channel, in grey levels."""
    return np.asarray((pictures.max(axis=3) - pictures.min(axis=3)).mean(axis=(1, 2)))


def sharpness(frames: Pixels) -> Numbers:
    """[T] logarithm of the mean second difference: grain raises it, blur lowers it."""
    green = (np.ascontiguousarray(frame[..., 1]) for frame in frames)
    return np.log([np.abs(cv2.Laplacian(plane, cv2.CV_16S)).mean() + 0.1 for plane in green])


def margins(frames: Pixels) -> Numbers:
    """[T, 2] share of the picture that is wholly black at both ends of its height and of its width; 0 for a black
    frame."""
    shares = np.zeros((len(frames), 2))
    for k, frame in enumerate(frames):
        for axis in (0, 1):
            brightest = cv2.reduce(frame.reshape(frame.shape[0], -1), 1 - axis, cv2.REDUCE_MAX).reshape(-1)
            lit = np.flatnonzero(brightest if axis == 0 else brightest.reshape(-1, 3).max(axis=1))
            if len(lit):
                shares[k, axis] = min(lit[0], frame.shape[axis] - 1 - lit[-1]) / frame.shape[axis]
    return shares
