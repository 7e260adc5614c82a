"""Which frames are chosen, when each is shown, and how large: pure arithmetic on true timestamps.

Example:
    >>> times = np.arange(100) / 25
    >>> choose(times, 4.0, Sampling(frames=4))
    array([16, 39, 61, 84])
    >>> fit(720, 1280, Resize())
    (384, 672)
    >>> fit(720, 1280, Resize(tokens=14336), frames=256)
    (256, 448)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from viubench.errors import MediaError, ViubenchError
from viubench.schema import Resize, Sampling

Seconds = NDArray[np.float64]


def choose(
    times: Seconds,
    duration: float,
    sampling: Sampling,
    start: float | None = None,
    end: float | None = None,
    *,
    name: str = "",
) -> NDArray[np.int64]:
    """Frame numbers to show, int64 [T].

    `even` (paper, section 4: frames spread evenly over the middle 90 %): the middle share of the clip is cut into
    `frames` equal bins, and the frame nearest in time to the centre of each bin is taken, so spacing is true time
    on variable frame rate too. `fps`: from the first frame to the last, floor(span * fps) + 1 instants but at most
    `frames` and at least `min_frames`; a frame that is nearest to two of them is taken once; one instant alone is the
    first frame. `qwen` (qwen-vl-utils): as many frames as the span has seconds times fps, within the same bounds, made
    even, spread over the frame numbers from the first to the last. `indices`: as given.

    Args:
        times: seconds of every frame, float64 [N], rising from 0.
        start, end: choose only from this part of the video, in seconds; ignored by `indices`.
        name: the file, for the error message.

    Raises:
        MediaError: `too_short` when `even` finds fewer distinct frames than asked or nothing lies between start and
            end, `changed` when a given index does not exist.
    """
    if sampling.kind == "indices":
        chosen = np.asarray(sampling.indices, np.int64)
        if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= len(times):
            top = f"frame {chosen.max()}" if len(chosen) else "no frame"
            raise MediaError("changed", name, f"{top} asked of a video with {len(times)} frames")
        return chosen
    if sampling.kind == "times":
        if max(sampling.times) > duration:
            raise MediaError("too_short", name, f"the frame at {max(sampling.times):g} s asked of {duration:.2f} s")
        return np.unique(_nearest(times, np.asarray(sampling.times, np.float64)))
    low, high = max(start or 0.0, 0.0), min(duration if end is None else end, duration)
    inside = np.flatnonzero((times >= low) & (times < high))
    if len(inside) == 0:
        raise MediaError("too_short", name, f"no frame from {low:.2f} to {high:.2f} s of {duration:.2f} s")
    if sampling.kind == "even":
        return _even(times, inside, low, high, sampling, name)
    if sampling.kind == "qwen":
        return _qwen(inside, len(inside) * duration / len(times), sampling)
    first, last = times[inside[0]], times[inside[-1]]
    # A span that is a whole number of steps up to rounding counts as whole.
    count = min(max(math.floor((last - first) * sampling.fps + 1e-6) + 1, sampling.min_frames), sampling.frames)
    instants = np.linspace(first, last, count)
    return np.unique(inside[_nearest(times[inside], instants)])


def _even(
    times: Seconds, inside: NDArray[np.int64], low: float, high: float, sampling: Sampling, name: str
) -> NDArray[np.int64]:
    span = (high - low) * sampling.middle
    begin = low + (high - low - span) / 2
    instants = begin + (np.arange(sampling.frames) + 0.5) * span / sampling.frames
    chosen = inside[_nearest(times[inside], instants)]
    distinct = len(np.unique(chosen))
    if distinct < sampling.frames:
        share = f"the middle {100 * sampling.middle:g} %"
        within = int(np.count_nonzero((times[inside] >= begin) & (times[inside] < begin + span)))
        if within < sampling.frames:
            raise MediaError("too_short", name, f"{within} frames in {share}, {sampling.frames} asked")
        raise MediaError(
            "too_short", name, f"{sampling.frames} even instants of {share} meet only {distinct} distinct frames"
        )
    return chosen


def _qwen(inside: NDArray[np.int64], span: float, sampling: Sampling) -> NDArray[np.int64]:
    """The frames that qwen-vl-utils takes of a part of `span` seconds; of a video of one frame, that one."""
    least, most = math.ceil(sampling.min_frames / 2) * 2, sampling.frames // 2 * 2
    count = math.floor(min(max(span * sampling.fps, least), most, len(inside)) / 2) * 2
    places = np.linspace(0, len(inside) - 1, max(count, 1)).round().astype(np.int64)
    return inside[places]


def _nearest(times: Seconds, instants: Seconds) -> NDArray[np.int64]:
    """Position of the time nearest to each instant; halfway goes to the earlier one."""
    after = np.clip(np.searchsorted(times, instants), 1, max(len(times) - 1, 1))
    if len(times) == 1:
        return np.zeros(len(instants), np.int64)
    before = after - 1
    # Rounded to the nanosecond, so that a tie is a tie on every machine.
    closer = np.round(times[after] - instants, 9) < np.round(instants - times[before], 9)
    return np.where(closer, after, before).astype(np.int64)


def places(indices: NDArray[np.int64], held: Sequence[int]) -> NDArray[np.int64] | None:
    """Where each of the frame numbers (int64 [T], any order, repeats allowed) is in `held`; None if one is not.

    >>> places(np.array([0, 40]), (0, 20, 40))
    array([0, 2])
    >>> places(np.array([0, 41]), (0, 20, 40)) is None
    True
    """
    numbers = np.asarray(held, np.int64)
    order = np.argsort(numbers, kind="stable")
    at = np.searchsorted(numbers[order], indices)
    if np.any(at == len(numbers)) or np.any(numbers[order][at] != indices):
        return None
    return np.asarray(order[at], np.int64)


def edges(times: Seconds, gap: float | None = None) -> Seconds:
    """When each sampled frame is shown, float64 [T + 1] seconds to the millisecond: frame k over [edge k, edge k + 1).

    `gap` is how long the last one is shown, by default the median distance of the others; needed when T is 1.
    """
    times = np.asarray(times, np.float64)
    if gap is None:
        if len(times) < 2:
            raise ValueError("one frame alone does not say how long it is shown: give `gap`")
        gap = float(np.median(np.diff(times)))
    return np.round(np.append(times, times[-1] + gap), 3)


def largest(resize: Resize, frames: int) -> float:
    """Pixels that each of `frames` frames of a video may have: `max_pixels`, or less where a budget for the whole video
    is shared among them, but a little more than `min_pixels` in any case (qwen-vl-utils)."""
    if resize.fixed is not None:
        return resize.fixed[0] * resize.fixed[1]
    tokens = resize.tokens and resize.tokens * resize.multiple**2
    budgets = [budget for budget in (resize.total_pixels, tokens) if budget]
    if not budgets or resize.kind == "fill":
        return resize.max_pixels
    share = min(budgets) / math.ceil(frames / resize.group)
    return max(min(resize.max_pixels, max(share, int(1.05 * resize.min_pixels))), resize.multiple**2)


def fit(height: int, width: int, resize: Resize, frames: int = 1) -> tuple[int, int]:
    """Frame size (height, width) to show `frames` frames of a video of `height` x `width` pixels at.

    As large as the source, at most `largest` and at least `min_pixels`, sides multiples of `multiple`, the shape
    as near to the source's as such sides allow. A strip thinner than one multiple gets one multiple on the thin side
    and is cut down on the long one where `max_pixels` demands it. Sizes of the kind `smart_resize` are those of
    qwen-vl-utils, those of `fill` as large as `max_pixels` allows; a `fixed` size is that.

    Raises:
        ViubenchError: when not even one tile of multiple x multiple pixels fits into `max_pixels`.
    """
    if resize.fixed is not None:
        return resize.fixed
    step, most = resize.multiple, largest(resize, frames)
    if step * step > most:
        raise ViubenchError(
            f"max_pixels {most:g} is less than one tile of {step}x{step} pixels",
            hint="raise max_pixels or lower multiple",
        )
    if resize.kind == "smart_resize":
        return _smart_resize(height, width, resize, most)
    if resize.kind == "fill":
        return _fill(height, width, resize)
    scale = math.sqrt(min(max(height * width, resize.min_pixels), most) / (height * width))
    longest = int(most) // step // step * step

    def multiples(side: float) -> list[int]:
        around = math.floor(side / step + 1e-9), math.ceil(side / step - 1e-9)
        return [min(max(count * step, step), longest) for count in around]

    sizes = [(h, w) for h in multiples(height * scale) for w in multiples(width * scale) if h * w <= most]

    def misfit(size: tuple[int, int]) -> tuple[bool, float, float]:
        h, w = size
        shape = abs(math.log(h * width / (w * height)))
        return h * w < resize.min_pixels, round(shape, 9), abs(math.log(h * w / (height * width * scale**2)))

    return min(sizes, key=misfit)


def _fill(height: int, width: int, resize: Resize) -> tuple[int, int]:
    """Both sides grown or shrunk by one factor to `max_pixels` and rounded down, again and again until nothing changes:
    what fills its frames leaves those of this size as they are."""
    step = resize.multiple
    room, before = resize.max_pixels // step**2 * step**2, (0, 0)
    while (height, width) != before:
        before, scale = (height, width), math.sqrt(room / (height * width))
        height, width = (max(step, math.floor(side * scale / step) * step) for side in before)
    return height, width


def _smart_resize(height: int, width: int, resize: Resize, most: float) -> tuple[int, int]:
    """Each side rounded to the nearest multiple; down, both by one factor, where that is too large, or up."""
    step = resize.multiple
    rows, columns = (max(step, round(side / step) * step) for side in (height, width))
    if rows * columns > most:
        shrink = math.sqrt(height * width / most)
        return max(step, int(height / shrink // step) * step), max(step, int(width / shrink // step) * step)
    if rows * columns < resize.min_pixels:
        grow = math.sqrt(resize.min_pixels / (height * width))
        return math.ceil(height * grow / step) * step, math.ceil(width * grow / step) * step
    return rows, columns
