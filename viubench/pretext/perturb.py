"""The perturbations of anomaly grounding: what they do to the frames of one segment, and how strongly.

Example:
    strength = draw_strength("zoom_out", Strengths(), Rng(0))
    frames[10:22] = altered(frames, "zoom_out", (10, 22), strength, seed=0)

Source of names and strengths: VideoSSR (arXiv 2511.06281), Table 8 and the released settings. Strength is drawn once
per item. The frame size never changes. All arithmetic is on integers or along bit-exact OpenCV routes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.pretext.rng import Rng
from viubench.schema import Perturbation, Strengths
from viubench.video.frames import Pixels

TEMPORAL: tuple[Perturbation, ...] = ("slow", "fast", "stutter", "shuffle")
"""Those that only change which source frame is shown when."""

_NO_CLOCK = "frame timestamps stay evenly spaced and are no evidence of speed"
WORDS: dict[Perturbation, str] = {
    "saturation": "its colours are far too strong",
    "noise": "it is covered with random grain",
    "blur": "it is blurred",
    "grayscale": "it has lost its colours",
    "invert": "its colours are inverted, as in a photographic negative",
    "channel_swap": "its red and blue are exchanged",
    "zoom_in": "it is zoomed in on the middle of the picture",
    "zoom_out": "its picture is shrunk and stands on black",
    "rotate_180": "its picture stands on its head (turned by 180 degrees)",
    "mirror": "its left and right are exchanged, as in a mirror",
    "rotate_90": "its picture is turned a quarter turn clockwise and stands on black",
    "rotate_270": "its picture is turned a quarter turn counterclockwise and stands on black",
    "swap": "it is replaced by frames of another video",
    "slow": f"it plays in slow motion ({_NO_CLOCK})",
    "fast": f"it plays too fast ({_NO_CLOCK})",
    "stutter": "it stutters: a frame stands still, then the picture jumps on",
    "shuffle": "its frames are in a wrong order",
}
"""What the question says of the altered part."""

STRENGTHS: dict[Perturbation, str] = {
    "zoom_in": "scale", "zoom_out": "scale", "noise": "sigma", "blur": "sigma", "saturation": "factor",
    "stutter": "hold", "slow": "factor", "fast": "factor",
}  # fmt: skip
"""What the drawn strength of a perturbation is called; the others have none."""

BLUR_SIDE = 384
"""Short side, in pixels, of the frame on which a blur of sigma 1 is one pixel wide: 16:9 within 512x512 pixels."""


def draw_strength(name: Perturbation, ranges: Strengths, rng: Rng) -> dict[str, Any]:
    """The strength of one item, JSON data; none for a shuffle, whose order is drawn from what the frames show."""
    if name not in STRENGTHS:
        return {}
    draw = rng.integer if name in TEMPORAL else rng.hundredths
    return {STRENGTHS[name]: draw(*getattr(ranges, name))}


def positions(name: Perturbation, total: int, segment: tuple[int, int], strength: Mapping[str, Any]) -> list[int]:
    """Which of the `total` sampled frames a temporal perturbation shows at each place of `segment` = [start, stop).

    slow: the first 1/factor of the segment, each frame `factor` times. fast: every factor-th frame from the start on,
    beginning earlier where the video ends too soon. stutter: a frame is held for `hold` places, then the picture is
    where it would have been. shuffle: `order`, relative to the start.

    Raises:
        ValueError: `fast` needs more frames than there are.
    """
    start, stop = segment
    length = stop - start
    if name == "shuffle":
        return [start + source for source in strength["order"]]
    if name == "slow":
        return [start + k // int(strength["factor"]) for k in range(length)]
    if name == "fast":
        step = int(strength["factor"])
        first = min(start, total - 1 - step * (length - 1))
        if first < 0:
            raise ValueError(
                f"{length} places at {step} times the speed need {step * (length - 1) + 1} of {total} frames"
            )
        return [first + step * k for k in range(length)]
    if name == "stutter":
        hold = int(strength["hold"])
        # A held frame alone in the last block would show its own picture: the segment would seem to end before it.
        last = length // hold - 1 if length % hold == 1 else length // hold
        return [start + min(k // hold, max(last, 0)) * hold for k in range(length)]
    raise ValueError(f"{name} is no temporal perturbation")


def altered(
    frames: Pixels,
    name: Perturbation,
    segment: tuple[int, int],
    strength: Mapping[str, Any],
    seed: int,
    other: Pixels | None = None,
) -> Pixels:
    """What is shown at the places start..stop-1 of `frames` (uint8 [T, H, W, 3]): uint8 [stop - start, H, W, 3].

    `seed` is that of the noise field; `other` are the frames of another video, of any size, for `swap`.
    """
    start, stop = segment
    if name in TEMPORAL:
        return frames[positions(name, len(frames), segment, strength)]
    if name == "noise":
        return np.stack([_noise(frames[k], float(strength["sigma"]), f"{seed}:{k}") for k in range(start, stop)])
    if name == "swap":
        if other is None or len(other) != len(frames):
            raise ValueError(f"swap needs a second video of {len(frames)} frames")
        return np.stack([cover(frame, *frames.shape[1:3]) for frame in other[start:stop]])
    return np.stack([_PICTURE[name](frame, strength) for frame in frames[start:stop]])


def _luma(planes: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint16]:
    """Rec. 601 luma 0..255 of planes R, G, B [H, W]: at most 255 * 256 + 128 before the shift, which 16 bits hold."""
    red, green, blue = (plane.astype(np.uint16) * weight for plane, weight in zip(planes, (77, 150, 29), strict=True))
    return np.asarray((red + green + blue + 128) >> 8, np.uint16)


def _saturation(frame: Pixels, strength: Mapping[str, Any]) -> Pixels:
    factor = round(float(strength["factor"]) * 100)
    planes = cv2.split(frame)
    luma = _luma(planes).astype(np.int32)
    stretched = [np.clip(luma + (plane - luma) * factor // 100, 0, 255).astype(np.uint8) for plane in planes]
    return np.asarray(cv2.merge(stretched), np.uint8)


def _blur(frame: Pixels, strength: Mapping[str, Any]) -> Pixels:
    """Gaussian blur with whole-number weights that sum to 256: float32 then holds every partial sum exactly."""
    sigma = float(strength["sigma"]) * min(frame.shape[:2]) / BLUR_SIDE
    reach = max(1, math.ceil(3 * sigma))
    bell = [math.exp(-(k * k) / (2 * sigma * sigma)) for k in range(-reach, reach + 1)]
    weights = [round(256 * value / sum(bell)) for value in bell]
    weights[reach] += 256 - sum(weights)
    kernel = np.array(weights, np.float32)
    sums = cv2.sepFilter2D(frame, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray((sums.astype(np.int32) + 32768) >> 16, np.uint8)


def _noise(frame: Pixels, sigma: float, key: str) -> Pixels:
    """Adds noise that is nearly Gaussian: the sum of four random bytes, scaled through a table of whole numbers."""
    centred = np.arange(4 * 255 + 1, dtype=np.int64) - 2 * 255
    # Four uniform bytes have variance 4 (256^2 - 1) / 12, a standard deviation of 147.80.
    table = ((centred * round(sigma * 100) * 2 + 14780) // (2 * 14780)).astype(np.int16)
    stream = np.frombuffer(hashlib.shake_128(key.encode()).digest(4 * frame.size), np.uint8)
    total = stream.reshape(4, *frame.shape).sum(axis=0, dtype=np.int16)
    return np.asarray(np.clip(table.take(total) + frame, 0, 255), np.uint8)


def _resize(frame: Pixels, height: int, width: int) -> Pixels:
    size = (max(1, width), max(1, height))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)


def _on_black(frame: Pixels, height: int, width: int) -> Pixels:
    """`frame` in the middle of a black picture of that size, which it must fit."""
    shown = np.zeros((height, width, 3), np.uint8)
    top, left = (height - frame.shape[0]) // 2, (width - frame.shape[1]) // 2
    shown[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
    return shown


def _middle(frame: Pixels, height: int, width: int) -> Pixels:
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return np.asarray(np.ascontiguousarray(frame[top : top + height, left : left + width]), np.uint8)


def _zoom(frame: Pixels, strength: Mapping[str, Any], out: bool) -> Pixels:
    height, width = frame.shape[:2]
    scale = round(float(strength["scale"]) * 100)
    part = (max(1, height * 100 // scale), max(1, width * 100 // scale))
    if out:
        return _on_black(_resize(frame, *part), height, width)
    return _resize(_middle(frame, *part), height, width)


def _quarter_turn(frame: Pixels, turn: int) -> Pixels:
    """Turned by a quarter, then shrunk to fit by short side / long side: the frame size stays."""
    height, width = frame.shape[:2]
    short, long = min(height, width), max(height, width)
    turned = np.asarray(cv2.rotate(frame, turn), np.uint8)
    return _on_black(_resize(turned, width * short // long, height * short // long), height, width)


def cover(frame: Pixels, height: int, width: int) -> Pixels:
    """The middle of `frame` that has the requested shape, resized to it."""
    tall, wide = frame.shape[:2]
    part = (
        (tall, max(1, tall * width // height))
        if wide * height > tall * width
        else (max(1, wide * height // width), wide)
    )
    return _resize(_middle(frame, *part), height, width)


_PICTURE: dict[str, Callable[[Pixels, Mapping[str, Any]], Pixels]] = {
    "saturation": _saturation,
    "blur": _blur,
    "grayscale": lambda frame, _: cv2.merge([_luma(cv2.split(frame)).astype(np.uint8)] * 3),
    "invert": lambda frame, _: np.asarray(255 - frame, np.uint8),
    "channel_swap": lambda frame, _: cv2.cvtColor(frame, cv2.COLOR_RGB2BGR),
    "zoom_in": lambda frame, strength: _zoom(frame, strength, out=False),
    "zoom_out": lambda frame, strength: _zoom(frame, strength, out=True),
    "rotate_180": lambda frame, _: cv2.flip(frame, -1),
    "mirror": lambda frame, _: cv2.flip(frame, 1),
    "rotate_90": lambda frame, _: _quarter_turn(frame, cv2.ROTATE_90_CLOCKWISE),
    "rotate_270": lambda frame, _: _quarter_turn(frame, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
