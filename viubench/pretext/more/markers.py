"""Event order: coloured markers flash up in the video one after the other. In which order?

Example: of two markers, the second one (green) comes first.

    {"n": 2, "order": [2, 1], ...}, answer "21"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from viubench.pretext.kinds import PretextKind, Question, Rejected, Scene, Shown
from viubench.pretext.shapes import Color, paint, place, spread
from viubench.schema import CountParams, Difficulty, Floats, Shape, within
from viubench.video.frames import VideoInput

COLORS: dict[str, Color] = {
    "red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0),
    "violet": (255, 0, 255), "turquoise": (0, 255, 255),
}  # fmt: skip
"""Colours of the markers by number; every pair of them differs by a whole channel at least."""


class MarkersParams(Difficulty):
    """`n` markers, each a disc of `size` short sides on `hold` frames, with more than `gap` frames between two."""

    n: Annotated[int, Field(ge=2, le=len(COLORS))] = 2
    hold: Annotated[int, Field(ge=1, le=100)] = 2
    gap: Annotated[int, Field(ge=0, le=1000)] = 2
    size: Annotated[Floats, within(0.05, 0.6)] = (0.2, 0.4)


class Markers(PretextKind):
    """Asks in which order the markers appear, as their numbers."""

    Params = MarkersParams
    fields = ("n", "markers")

    def least_frames(self, params: MarkersParams) -> int:
        return params.n * params.hold + (params.n - 1) * (params.gap + 1)

    def draw(self, params: MarkersParams, scene: Scene) -> Question | Rejected:
        video, rng = scene.videos[0], scene.rng
        if len(video) < self.least_frames(params):
            return Rejected("too_few_frames", final=True)
        order = [number + 1 for number in rng.permutation(params.n)]
        starts = spread(len(video) - params.hold + 1, params.n, params.hold + params.gap, rng)
        names = list(COLORS)[: params.n]
        shapes: list[Shape] = []
        for number, start in zip(order, starts, strict=True):
            limits = CountParams(size=params.size, colors={"circle": COLORS[names[number - 1]]})
            for frame in range(start, start + params.hold):
                placed = place("circle", frame, 1, video.pixels[frame], limits, rng)
                if not placed:
                    return Rejected("no_place_for_shapes")
                shapes += placed
        drawn = {
            "n": params.n,
            "order": order,
            "canvas": list(video.pixels.shape[1:3]),
            "shapes": [shape.model_dump(mode="json") for shape in shapes],
        }
        listed = ", ".join(f"{number} {name}" for number, name in enumerate(names, start=1))
        return Question(drawn, "".join(map(str, order)), {"n": str(params.n), "markers": listed})

    def show(self, drawn: Mapping[str, Any], seed: int, videos: Sequence[VideoInput]) -> Shown:
        high, wide = drawn["canvas"]
        shapes = [Shape.model_validate(shape) for shape in drawn["shapes"]]
        return Shown(paint(videos[0].pixels, shapes, (high, wide)), videos[0].indices)
