"""Repetition count: a short part of the video plays several times in a row. How often?

Example:
    >>> Repetition().places(9, {"segment": [1, 3], "repeats": 3})
    [0, 1, 2, 1, 2, 1, 2, 7, 8]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from viubench.pretext.kinds import Question, Rejected, Scene
from viubench.pretext.more.replayed import Replayed
from viubench.schema import Difficulty, Whole, within


class RepetitionParams(Difficulty):
    """`repeats`: how often the part plays, the first time included; `part`: its frames."""

    repeats: Annotated[Whole, within(2, 100)] = (2, 5)
    part: Annotated[Whole, within(2, 1000)] = (4, 8)


class Repetition(Replayed):
    """Asks how often the repeated part plays."""

    Params = RepetitionParams

    def least_frames(self, params: RepetitionParams) -> int:
        return params.part[0] * params.repeats[1] + 1

    def places(self, total: int, drawn: Mapping[str, Any]) -> list[int]:
        start, stop = drawn["segment"]
        played = list(range(start, stop)) * drawn["repeats"]
        return [*range(start), *played, *range(start + len(played), total)]

    def draw(self, params: RepetitionParams, scene: Scene) -> Question | Rejected:
        total = len(scene.videos[0])
        fewest, most = params.repeats
        repeats = scene.rng.integer(fewest, most)
        part = scene.rng.integer(*params.part)
        if part * repeats >= total:
            return Rejected("too_few_frames")
        start = scene.rng.integer(0, total - part * repeats)
        drawn = {
            "segment": [start, start + part],
            "repeats": repeats,
            "drawn_from": list(range(fewest, most + 1)),
        }
        if not scene.detector.moved(start, start + part - 1):  # or the jump back could not be seen
            return Rejected("ends_not_visible")
        return self.unseen(scene, drawn) or Question(drawn, str(repeats))
