"""Proof of sight: before the first answer of each shape, that the model gets the frames and times that it was sent.

A processor is run on the frames, and again on copies in which pixels at the border of some frames are changed.
What it gives the vision encoder must change in exactly the numbers that those pixels became: fewer means cropped or
dropped, more means resized, and the places must rise with the frames. Which frames are changed in which run spells each
frame's number in binary, so that a few runs tell all frames apart.

Example:
    prover = Prover("hf", family, Showing.of(family, "hf"), counter.worth, group=2)
    prover.prompt(processed, videos)
    prover.frames(process, videos, processed)  # ViubenchError where frames do not arrive as they are
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from viubench.engines import prompts
from viubench.engines.families import Family
from viubench.engines.prompts import Showing
from viubench.errors import ViubenchError
from viubench.schema import ShownMedia
from viubench.video import timestamps
from viubench.video.frames import VideoInput

MOST_COPIES = 8
"""A frame may come more than once: the last one fills its group, a picture its pair."""

BLIND = 1e-6
"""Log-probabilities that differ by no more are the same."""

SPACING = 0.005
"""Seconds between groups of frames may be off by so much of them: clocks count whole milliseconds."""


@dataclass(frozen=True)
class Processed:
    """What becomes of a question before the model reads it.

    Attributes:
        text: the prompt without its vision tokens.
        tokens: how many of those it has.
        pixels: everything that the vision encoder is given, in the order of the frames.
        seconds: between the groups of frames of each video, where that goes into the positions of their tokens.
    """

    text: str
    tokens: int
    pixels: tuple[NDArray[Any], ...]
    seconds: tuple[float, ...] = ()


Shape = tuple[tuple[bool, tuple[int, ...]], ...]

Process = Callable[[Sequence[VideoInput]], Processed]
"""The same question about other frames of the same shapes."""


def require(problem: str | None, engine: str) -> None:
    """Raise ViubenchError for a problem found; `engine` names who shows the frames."""
    if problem is not None:
        raise ViubenchError(
            f"{engine} does not show the model the frames it was given: {problem}",
            hint="no score is made of answers to what was not seen; try another engine, or check the checkpoint's "
            "processor and chat template against those of the model it was made from",
        )


def shape(videos: Sequence[VideoInput]) -> Shape:
    """What a proof holds for: kind, number and size of the frames of each video."""
    return tuple((video.still, video.pixels.shape) for video in videos)


def wrong_tokens(tokens: int, due: int | None, at_most: bool = False) -> str | None:
    """Whether the prompt's vision tokens are those that the frames are worth; `at_most` where a model drops some."""
    if due is None:
        return None if tokens else "the prompt has no vision tokens"
    if tokens == due or (at_most and 0 < tokens < due):
        return None
    return f"the frames became {tokens} vision tokens where {due} were due"


def wrong_times(
    processed: Processed, videos: Sequence[VideoInput], family: Family, showing: Showing, group: int
) -> str | None:
    """Whether the model is told other times than those of the frames, wherever it reads them."""
    moving = prompts.moving(videos)
    if not moving:
        return None
    text, sentences = " ".join(processed.text.split()), prompts.sentences(moving)
    stamps = [prompts.stamp(time) for video in moving for time in video.times]
    if not showing.times:
        there = any(one in text for one in sentences) or not timestamps.missing(text, stamps, timestamps.STAMP)
        return "the prompt tells their times, which were to be left out" if there else None
    if showing.words:
        lost = [one for one in sentences if one not in text]
        return f"the prompt does not hold {lost[0]!r}" if lost else None
    if showing.medium == "images":
        return timestamps.missing(processed.text, stamps, timestamps.STAMP)
    if family.positions:
        spaces = [group * timestamps.spacing(video) for video in moving]
        same = len(spaces) == len(processed.seconds) and np.allclose(processed.seconds, spaces, SPACING, 0.002)
        told = f"the model is told {_seconds(processed.seconds)} between groups of frames"
        return None if same else f"{told}; expected {_seconds(spaces)}"
    if family.stamp is None:
        return "nothing tells the model the times of the frames"
    due = [text for video in moving for text in family.stamp.texts(timestamps.told(video, family.ticks), group)]
    return timestamps.missing(processed.text, due, family.stamp.pattern)


def wrong_pixels(
    process: Process,
    videos: Sequence[VideoInput],
    every: bool = True,
    exact: bool = True,
    processed: Processed | None = None,
) -> str | None:
    """Whether frames are dropped, cropped, resized, sampled again or put in another order on the way to the encoder.

    Args:
        every: tell all frames apart, else only the first, middle and last of each video.
        exact: no number may come from more than one pixel; False for processors that must resize frames themselves.
        processed: of the videos as they are, where it is there already.
    """
    base = (processed or process(videos)).pixels
    if not any(array.size for array in base):
        return "it gets no pixels at all"
    frames = [(place, frame) for place, video in enumerate(videos) for frame in _probed(len(video), every)]
    found = _places(process, videos, base, frames)
    if found is None:
        return "the same frames in other colours have another shape"
    last = {True: -1, False: -1}  # where the frame before begins, of pictures and of videos
    for code, (place, frame) in enumerate(frames, start=1):
        video = videos[place]
        name = f"frame {frame + 1} of {len(video)}" + f" of video {place + 1}" * (len(videos) > 1)
        changed = found.get(code, _NOTHING)
        if problem := _wrong_border(changed.size, _border(video), exact):
            return f"{name} {problem}"
        if changed[0] <= last[video.still]:
            return f"{name} does not come after the frames before it"
        last[video.still] = int(changed[0])
    return None


def _wrong_border(changed: int, border: int, exact: bool) -> str | None:
    copies, rest = divmod(changed, border)
    if not changed:
        return "does not reach it"
    if exact and not copies:
        return f"is cropped: {changed} of the {border} numbers of its border reach it"
    if exact and (rest or copies > MOST_COPIES):
        return f"is resized: the {border} numbers of its border became {changed}"
    return None


def blind(next_token: Callable[[Sequence[VideoInput]], NDArray[Any]], videos: Sequence[VideoInput]) -> str | None:
    """Whether the log-probabilities of the next token are the same for the frames and for their negatives."""
    seen, negated = next_token(videos), next_token([negative(video) for video in videos])
    if np.abs(seen.astype(np.float64) - negated.astype(np.float64)).max() > BLIND:
        return None
    return "the negatives of the frames give the same log-probabilities: it does not see them"


class Prover:
    """Proves the sight of an engine: tokens and times of every prompt, the way of the pixels once for each shape, and
    once for videos and once for pictures that the answer depends on them, which takes a pass through the model.

    Args:
        engine: its name, for the message.
        worth: the vision tokens that videos are worth; None where that is not known.
        group: frames of a video that are merged in time.
    """

    def __init__(
        self,
        engine: str,
        family: Family,
        showing: Showing,
        worth: Callable[[Sequence[VideoInput]], int | None],
        group: int,
    ) -> None:
        self.engine, self.family, self.showing, self.worth, self.group = engine, family, showing, worth, group
        self._proven: set[Shape] = set()
        self._kinds: set[bool] = set()

    def new(self, videos: Sequence[VideoInput]) -> bool:
        """Whether no videos of these shapes have been proven yet."""
        return bool(videos) and shape(videos) not in self._proven

    def prompt(self, processed: Processed, videos: Sequence[VideoInput], times: bool = True) -> None:
        """Check tokens and times of a prompt, or that it tells no `times`; cheap enough for every question."""
        if videos:
            self._require(wrong_tokens(processed.tokens, self.worth(videos), self.family.drops))
            self._require(wrong_times(processed, videos, self.family, self.showing.asked(times), self.group))

    def frames(
        self,
        process: Process,
        videos: Sequence[VideoInput],
        processed: Processed,
        next_token: Callable[[Sequence[VideoInput]], NDArray[Any]] | None = None,
    ) -> None:
        """Check the pixels of new shapes, and that the answer depends on them where `next_token` can tell; `processed`
        are the videos themselves."""
        kinds = {video.still for video in videos}
        first = not kinds <= self._kinds
        self._require(wrong_pixels(process, videos, first, self._exact(videos), processed))
        self._require(blind(next_token, videos) if first and next_token else None)
        self._kinds |= kinds
        self._proven.add(shape(videos))

    def shown(self, processed: Processed, videos: Sequence[VideoInput], times: bool = True) -> ShownMedia:
        """For the record: what the model got; the size of the first video, which all of one protocol share or fit."""
        moving = prompts.moving(videos)
        height, width = videos[0].pixels.shape[1:3]
        exact = self._exact(videos)
        told: Literal["none", "positions", "prompt"] = (
            "none" if not (moving and times) else "positions" if self._in_positions else "prompt"
        )
        return ShownMedia(
            kind="video" if moving and self.showing.medium == "video" else "images",
            tokens=processed.tokens,
            times=told,
            height=height if exact else None,
            width=width if exact else None,
        )

    def _exact(self, videos: Sequence[VideoInput]) -> bool:
        media = {"images" if video.still else self.showing.medium for video in videos}
        return not media & {*self.family.resizes}

    @property
    def _in_positions(self) -> bool:
        return self.family.positions and self.showing.medium == "video" and not self.showing.words

    def _require(self, problem: str | None) -> None:
        require(problem, self.engine)


def negative(video: VideoInput) -> VideoInput:
    """The same frames in opposite colours."""
    return replace(video, pixels=255 - video.pixels)


_NOTHING = np.zeros(0, np.int64)


def _probed(frames: int, every: bool) -> list[int]:
    return list(range(frames)) if every else sorted({0, frames // 2, frames - 1})


def _border(video: VideoInput) -> int:
    """Numbers of the marked pixels of a frame."""
    return 3 * int(_marks(video.pixels.shape[1], video.pixels.shape[2]).sum())


def _marks(height: int, width: int) -> NDArray[np.bool_]:
    """Some pixels of a border of one, drawn: of a regular pattern, every other row left out and the rest doubled could
    be as many."""
    marks: NDArray[np.bool_] = np.random.default_rng(0).random((height, width)) < 0.5
    marks[1:-1, 1:-1] = False
    return marks


def _places(
    process: Process, videos: Sequence[VideoInput], base: Sequence[NDArray[Any]], frames: Sequence[tuple[int, int]]
) -> dict[int, NDArray[np.int64]] | None:
    """Where the border of each of `frames` arrives, by its number counted from 1; None where the shapes change."""
    places, values = _NOTHING, np.zeros(0, np.int64)
    for bit in range(len(frames).bit_length()):
        marked = [frame for code, frame in enumerate(frames, start=1) if code >> bit & 1]
        pixels = process(_with_borders(videos, marked)).pixels
        if [array.shape for array in pixels] != [array.shape for array in base]:
            return None
        changed = _changed(base, pixels)
        places = np.concatenate([places, changed])
        values = np.concatenate([values, np.full(changed.size, 1 << bit)])
    unique, inverse = np.unique(places, return_inverse=True)
    spelled = np.bincount(inverse, weights=values).astype(np.int64)
    order = np.argsort(spelled, kind="stable")
    ends = np.flatnonzero(np.diff(spelled[order])) + 1
    return {int(spelled[part[0]]): unique[part] for part in np.split(order, ends) if part.size}


def _changed(base: Sequence[NDArray[Any]], other: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Flat places, over all arrays one after another, whose numbers differ."""
    start, found = 0, []
    for before, after in zip(base, other, strict=True):
        found.append(start + np.flatnonzero(before.ravel() != after.ravel()))
        start += before.size
    return np.concatenate(found)


def _with_borders(videos: Sequence[VideoInput], marked: Sequence[tuple[int, int]]) -> list[VideoInput]:
    """The videos with the `marked` frames (video, frame) changed at their border by half the range of colours."""
    copies = [video.pixels.copy() for video in videos]
    for place, frame in marked:
        picture = copies[place][frame]
        picture[_marks(*picture.shape[:2])] ^= 128
    return [replace(video, pixels=pixels) for video, pixels in zip(videos, copies, strict=True)]


def _seconds(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f} s" for value in values) or "nothing"
