"""Intrusion: a clip of another video stands in one part of the video. When?

Example: frames 10 to 17 of the video are frames 20 to 27 of the other one.

    {"segment": [10, 18], "offset": 20}

Unlike the perturbation `swap`, the clip may come from any part of the other video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from viubench.pretext.kinds import PretextKind, Question, Rejected, Scene, Shown
from viubench.pretext.perturb import cover
from viubench.schema import Difficulty, Whole, within
from viubench.video.frames import VideoInput


class IntrusionParams(Difficulty):
    """`length`: frames of the clip."""

    length: Annotated[Whole, within(1, 100_000)] = (8, 16)


class Intrusion(PretextKind):
    """Asks for the seconds in which frames of another video are shown."""

    Params = IntrusionParams
    other = True

    def least_frames(self, params: IntrusionParams) -> int:
        return params.length[0] + 1

    def draw(self, params: IntrusionParams, scene: Scene) -> Question | Rejected:
        segment = scene.segment(params.length)
        if isinstance(segment, Rejected):
            return segment
        start, stop = segment
        if stop - start > len(scene.videos[1]):
            return Rejected("too_few_frames")
        if (answer := scene.interval(segment)) is None:
            return Rejected("too_short_in_time")
        offset = scene.rng.integer(0, len(scene.videos[1]) - (stop - start))
        drawn = {"length": list(params.length), "segment": list(segment), "offset": offset}
        shown = self.show(drawn, 0, scene.videos).pixels[start:stop]
        return Question(drawn, answer) if scene.detector.changed(start, shown).all() else Rejected("not_visible")

    def show(self, drawn: Mapping[str, Any], seed: int, videos: Sequence[VideoInput]) -> Shown:
        video, other = videos
        (start, stop), offset = drawn["segment"], drawn["offset"]
        taken = slice(offset, offset + stop - start)
        pixels, indices = video.pixels.copy(), list(video.indices)
        pixels[start:stop] = np.stack([cover(frame, *video.pixels.shape[1:3]) for frame in other.pixels[taken]])
        indices[start:stop] = other.indices[taken]
        return Shown(pixels, indices)
