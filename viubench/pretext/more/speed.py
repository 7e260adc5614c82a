"""Speed change: one part of the video plays slower or faster. When, or by what factor?

Example:
    >>> Speed().places(8, {"segment": [2, 6], "factor": 0.5})
    [0, 1, 2, 2, 3, 3, 6, 7]

The clock of the frames stays even: after the part the video goes on where it would have been.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from viubench.pretext.kinds import Question, Rejected, Scene
from viubench.pretext.more.replayed import Replayed
from viubench.pretext.perturb import positions
from viubench.schema import Difficulty, Whole, within


class SpeedParams(Difficulty):
    """`ask` for the seconds or for the factor, which is one of `factors`: whole numbers play faster, and fractions of
    which 1 is a whole multiple (0.5, 0.25) slower. `length`: frames of the segment."""

    ask: Literal["where", "factor"] = "where"
    factors: Annotated[tuple[float, ...], Field(min_length=1)] = (0.25, 0.5, 2.0, 3.0)
    length: Annotated[Whole, within(2, 100_000)] = (8, 16)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for factor in self.factors:
            steps = max(factor, 1 / factor) if factor > 0 else 0
            if steps < 2 or steps != round(steps):
                raise ValueError(f"a factor must be 2, 3, ... or 1/2, 1/4, ..., not {factor:g}")
        if len(set(self.factors)) < len(self.factors):
            raise ValueError("a factor occurs twice")
        return self


class Speed(Replayed):
    """Asks for the seconds of a part that plays at another speed, or for how many times its own speed that is."""

    Params = SpeedParams
    fields = ("factors",)

    def least_frames(self, params: SpeedParams) -> int:
        return params.length[0] + 1

    def places(self, total: int, drawn: Mapping[str, Any]) -> list[int]:
        start, stop = drawn["segment"]
        factor = drawn["factor"]
        steps = round(max(factor, 1 / factor))
        played = positions("fast" if factor > 1 else "slow", total, (start, stop), {"factor": steps})
        return [*range(start), *played, *range(stop, total)]

    def draw(self, params: SpeedParams, scene: Scene) -> Question | Rejected:
        factor = scene.rng.choice(params.factors)
        segment = scene.segment(params.length)
        if isinstance(segment, Rejected):
            return segment
        if factor * (segment[1] - segment[0] - 1) >= len(scene.videos[0]):
            return Rejected("too_few_frames")
        if (answer := scene.interval(segment)) is None:
            return Rejected("too_short_in_time")
        drawn = {"length": list(params.length), "segment": list(segment), "factor": factor}
        if params.ask == "factor":
            drawn["drawn_from"] = list(params.factors)
            answer = f"{factor:g}"
        words = {"factors": ", ".join(f"{known:g}" for known in params.factors)}
        return self.unseen(scene, drawn) or Question(drawn, answer, words)
