"""Reversed segment: one part of the video plays backwards. When?

Example:
    >>> Reversal().places(6, {"segment": [1, 4]})
    [0, 3, 2, 1, 4, 5]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from viubench.pretext.kinds import Question, Rejected, Scene
from viubench.pretext.more.replayed import Replayed
from viubench.schema import Difficulty, Whole, within


class ReversalParams(Difficulty):
    """`length`: frames of the segment."""

    length: Annotated[Whole, within(2, 100_000)] = (8, 16)


class Reversal(Replayed):
    """Asks for the seconds of a part that plays backwards."""

    Params = ReversalParams

    def least_frames(self, params: ReversalParams) -> int:
        return params.length[0] + 1

    def places(self, total: int, drawn: Mapping[str, Any]) -> list[int]:
        start, stop = drawn["segment"]
        return [*range(start), *range(stop - 1, start - 1, -1), *range(stop, total)]

    def draw(self, params: ReversalParams, scene: Scene) -> Question | Rejected:
        segment = scene.segment(params.length)
        if isinstance(segment, Rejected):
            return segment
        if (answer := scene.interval(segment)) is None:
            return Rejected("too_short_in_time")
        drawn = {"length": list(params.length), "segment": list(segment)}
        return self.unseen(scene, drawn) or Question(drawn, answer)
