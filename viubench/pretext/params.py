"""The difficulty of the pretext tasks, every number of it a parameter with the paper's value as default.

Example:
    >>> params_of(PretextSpec(kind="ground", params={"perturb": "zoom_out", "zoom_out": [1.1, 1.2]})).zoom_out
    (1.1, 1.2)

Source: VideoSSR (arXiv 2511.06281), Table 8 and the released settings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from viubench.errors import ViubenchError
from viubench.pretext.shapes import KINDS, Kind
from viubench.schema import PretextSpec, Strict

Perturbation = Literal[
    "saturation", "noise", "blur", "grayscale", "invert", "channel_swap",
    "zoom_in", "zoom_out", "rotate_180", "mirror", "rotate_90", "rotate_270",
    "swap", "slow", "fast", "stutter", "shuffle",
]  # fmt: skip


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, (int, float)) else value


def _within(least: float, most: float) -> AfterValidator:
    """Both ends of a range, in order, lie in least..most."""

    def check(ends: tuple[float, float]) -> tuple[float, float]:
        if not least <= ends[0] <= ends[1] <= most:
            raise ValueError(
                f"a range within {least:g}..{most:g}, lower end first, is wanted, not {ends[0]}..{ends[1]}"
            )
        return ends

    return AfterValidator(check)


Floats = Annotated[tuple[float, float], BeforeValidator(_pair)]
Channel = Annotated[int, Field(ge=0, le=255)]
Whole = Annotated[tuple[int, int], BeforeValidator(_pair)]


class Strengths(Strict):
    """Ranges the strength of an item is drawn from, both ends included, in steps of 0.01; one number is that number.

    zoom_in, zoom_out: scale (the picture shows 1/scale of the scene, or fills 1/scale of the frame). noise: standard
    deviation in grey levels. blur: Gaussian sigma in pixels of a frame 384 pixels on its short side (16:9 within
    512x512 pixels). saturation: factor. stutter: frames a picture is held. slow, fast: factor.
    """

    zoom_in: Annotated[Floats, _within(1.01, 4)] = (1.3, 1.5)
    zoom_out: Annotated[Floats, _within(1.01, 4)] = (1.2, 1.4)
    noise: Annotated[Floats, _within(0.01, 255)] = (35, 70)
    blur: Annotated[Floats, _within(0.1, 100)] = (2.0, 2.0)
    saturation: Annotated[Floats, _within(1.01, 10)] = (2.0, 2.0)
    stutter: Annotated[Whole, _within(2, 1000)] = (2, 5)
    slow: Annotated[Whole, _within(2, 100)] = (2, 2)
    fast: Annotated[Whole, _within(2, 100)] = (2, 2)


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _distinct(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(value)) != len(value):
        raise ValueError("a name occurs twice")
    return value


class GroundParams(Strengths):
    """Anomaly grounding: `perturb` is one perturbation or several to draw from, `length` the segment's, in frames."""

    perturb: Annotated[
        tuple[Perturbation, ...], BeforeValidator(_listed), AfterValidator(_distinct), Field(min_length=1)
    ]
    length: Annotated[Whole, _within(1, 100_000)] = (8, 16)


class CountParams(Strict):
    """Object counting; sizes in short sides of the frame, `area` the central share of it in which centres lie.

    Every kind of shape is drawn on min_frames..max_frames frames, 1..max_instances on each, both uniform; a frame holds
    one
    kind, and the frames of one kind are more than `min_gap` apart. Kinds left out of `shapes` count 0. A kind named in
    `colors` is always of that colour (RGB), which is easier.
    """

    min_frames: Annotated[int, Field(ge=0, le=1000)] = 1
    max_frames: Annotated[int, Field(ge=1, le=1000)] = 3
    max_instances: Annotated[int, Field(ge=1, le=12)] = 3
    size: Annotated[Floats, _within(0.05, 0.6)] = (0.2, 0.4)
    area: Annotated[float, Field(gt=0, le=1)] = 0.7
    color: Annotated[Whole, _within(0, 255)] = (50, 255)
    min_gap: Annotated[int, Field(ge=0)] = 8
    shapes: Annotated[tuple[Kind, ...], BeforeValidator(_listed), AfterValidator(_distinct), Field(min_length=1)] = (
        KINDS
    )
    colors: dict[Kind, tuple[Channel, Channel, Channel]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames is {self.min_frames}, max_frames {self.max_frames}")
        return self


class JigsawParams(Strict):
    """Temporal jigsaw of `n` clips."""

    n: Annotated[int, Field(ge=2, le=100)] = 6


_MODELS: dict[str, type[GroundParams | CountParams | JigsawParams]] = {
    "ground": GroundParams,
    "count": CountParams,
    "jigsaw": JigsawParams,
}


def params_of(pretext: PretextSpec) -> GroundParams | CountParams | JigsawParams:
    """The difficulty of a task, checked and with every default filled in.

    Raises:
        ViubenchError: an unknown key or a value out of range; says which.
    """
    try:
        return _MODELS[pretext.kind].model_validate(pretext.params)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(_MODELS[pretext.kind].model_fields)
        raise ViubenchError(
            f"{pretext.kind} params: {key}: {first['msg']}", where="pretext.params", hint=f"known params: {known}"
        ) from None


def videos_needed(pretext: PretextSpec) -> int:
    """How many source videos `draw` must be given: 2 where `swap` may be drawn, else 1."""
    params = params_of(pretext)
    return 2 if isinstance(params, GroundParams) and "swap" in params.perturb else 1
