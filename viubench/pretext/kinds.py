"""What a further kind of pretext question is: a class that draws questions and shows the frames they are about.

Example: an own kind is a class and one line of packaging metadata; a task with `pretext: {kind: mine}` then uses it.

    class Mine(PretextKind):
        Params = MyParams
        def draw(self, params, scene): return Question({"frame": 3}, "3")
        def show(self, drawn, seed, videos): return Shown(videos[0].pixels, videos[0].indices)

    [project.entry-points."viubench.pretext"]
    mine = "my_package:Mine"
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple

from evaluators.plugins import load
from viubench.pretext.rng import Rng
from viubench.pretext.visibility import ChangeDetector
from viubench.schema import PLUGINS, Difficulty
from viubench.video.frames import Pixels, VideoInput

Cause = Literal[
    "too_few_frames",  # the difficulty asks for more frames than were sampled
    "too_short_in_time",  # the interval is the same number twice at one decimal
    "not_visible",  # a perturbed frame looks like its source
    "ends_not_visible",  # slow, fast, stutter: the segment seems shorter than it is
    "no_visible_order",  # no order of the frames makes every moved one look different
    "no_place_for_shapes",  # crowded, or colours vanish in the background
    "clips_look_alike",  # two clips of a jigsaw cannot be told apart
    "no_other_video",  # swap needs a second source
    "duplicate",  # said by the build: the video already has this question
]


@dataclass(frozen=True)
class Rejected:
    """Why a draw gives no answerable question; `final` says that no other seed helps."""

    cause: Cause
    final: bool = False


@dataclass(frozen=True)
class Scene:
    """What a question is drawn from: the video (and another one, for kinds that need it), the T + 1 edges of its
    frames in seconds, what of it differs visibly, the segment's length in frames where it is dealt, and chance."""

    videos: Sequence[VideoInput]
    times: tuple[float, ...]
    detector: ChangeDetector
    length: int | None
    rng: Rng

    def interval(self, segment: tuple[int, int]) -> str | None:
        """The seconds of a segment [start, stop) as an answer; None where both are one number."""
        low, high = (f"{self.times[edge]:.1f}" for edge in segment)
        return f"{low}-{high}" if float(low) < float(high) else None

    def segment(self, lengths: tuple[int, int]) -> tuple[int, int] | Rejected:
        """A segment [start, stop) of as many frames as was dealt, or one of `lengths`, that leaves a frame out."""
        total = len(self.videos[0])
        length = self.length or self.rng.integer(*lengths)
        if length >= total:
            return Rejected("too_few_frames")
        start = self.rng.integer(0, total - length)
        return start, start + length


@dataclass(frozen=True)
class Question:
    """One question: what was drawn (JSON data, by names an evaluator may read), the answer, and the words that a task's
    question may name in braces."""

    drawn: dict[str, Any]
    answer: str
    fields: dict[str, str] = field(default_factory=dict)


class Shown(NamedTuple):
    """The frames that are shown (uint8 [T, H, W, 3]) and the source's number of each."""

    pixels: Pixels
    indices: Sequence[int]


class PretextKind(ABC):
    """Draws questions from any video, each with a true answer that can be seen, and shows its frames again.

    All that is drawn is kept with the item, so `show` draws nothing. The video keeps its number of frames, its size and
    its timestamps. A kind with a param `length` (a range of frames) has its lengths dealt evenly over the items.
    """

    Params: ClassVar[type[Difficulty]] = Difficulty
    fields: ClassVar[tuple[str, ...]] = ()  # what a task's question may name beside start, end and frames
    other: ClassVar[bool] = False  # whether it needs a second video

    def least_frames(self, params: Any) -> int:
        """Frames of a video that every question needs."""
        return 2

    @abstractmethod
    def draw(self, params: Any, scene: Scene) -> Question | Rejected:
        """One question, or why this draw gives none that can be answered; a pure function of its arguments."""

    @abstractmethod
    def show(self, drawn: Mapping[str, Any], seed: int, videos: Sequence[VideoInput]) -> Shown:
        """What a model is shown of the video(s) that the question was drawn from, at any frame size."""


@cache
def get(name: str) -> PretextKind:
    """The kind registered as `name`; LookupError with the known ones."""
    kind: type[PretextKind] = load(PLUGINS, "kind of pretext question", name)
    return kind()
