"""Pretext tasks as data: the difficulty a task file states, and what was drawn for one item.

Example:
    >>> GroundSpec.model_validate({"params": {"perturb": "zoom_out", "zoom_out": 1.2}}).params.zoom_out
    (1.2, 1.2)

Every number of a difficulty is a parameter with the paper's value as default. Source: VideoSSR (arXiv 2511.06281),
Table 8 and the released settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializeAsAny,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import to_jsonable_python

from evaluators.plugins import registered
from viubench.errors import ViubenchError
from viubench.schema.base import Strict
from viubench.schema.wording import first_in_words, in_words

Perturbation = Literal[
    "saturation", "noise", "blur", "grayscale", "invert", "channel_swap",
    "zoom_in", "zoom_out", "rotate_180", "mirror", "rotate_90", "rotate_270",
    "swap", "slow", "fast", "stutter", "shuffle",
]  # fmt: skip
Kind = Literal["circle", "square", "triangle"]
KINDS: tuple[Kind, ...] = ("circle", "square", "triangle")
"""In the order the answer counts them."""


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, (int, float)) else value


def within(least: float, most: float) -> AfterValidator:
    def check(ends: tuple[float, float]) -> tuple[float, float]:
        if not least <= ends[0] <= ends[1] <= most:
            raise ValueError(f"expected a range within {least:g}..{most:g}, lower end first, not {ends[0]}..{ends[1]}")
        return ends

    return AfterValidator(check)


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _distinct(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(value)) != len(value):
        raise ValueError("a name occurs twice")
    return value


Floats = Annotated[tuple[float, float], BeforeValidator(_pair)]
Channel = Annotated[int, Field(ge=0, le=255)]
Color = tuple[Channel, Channel, Channel]
Whole = Annotated[tuple[int, int], BeforeValidator(_pair)]


class Difficulty(Strict):
    """Parameters of a task; they are written as they were given, so that the hash of a task does not depend on defaults
    or on the form of a range."""

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _remember(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        params = handler(data)
        if isinstance(data, Mapping):
            params._given = to_jsonable_python(data)
        return params

    @model_serializer
    def _as_given(self) -> dict[str, Any]:
        return self._given


class Strengths(Difficulty):
    """Ranges the strength of an item is drawn from, both ends included, in steps of 0.01; one number is that number.

    zoom_in, zoom_out: scale (the picture shows 1/scale of the scene, or fills 1/scale of the frame). noise: standard
    deviation in grey levels. blur: Gaussian sigma in pixels of a frame 384 pixels on its short side (16:9 within
    512x512 pixels). saturation: factor. stutter: frames a picture is held. slow, fast: factor.
    """

    zoom_in: Annotated[Floats, within(1.01, 4)] = (1.3, 1.5)
    zoom_out: Annotated[Floats, within(1.01, 4)] = (1.2, 1.4)
    noise: Annotated[Floats, within(0.01, 255)] = (35, 70)
    blur: Annotated[Floats, within(0.1, 100)] = (2.0, 2.0)
    saturation: Annotated[Floats, within(1.01, 10)] = (2.0, 2.0)
    stutter: Annotated[Whole, within(2, 1000)] = (2, 5)
    slow: Annotated[Whole, within(2, 100)] = (2, 2)
    fast: Annotated[Whole, within(2, 100)] = (2, 2)


class GroundParams(Strengths):
    """Anomaly grounding: `perturb` is one perturbation or several to draw from, `length` the segment's, in frames."""

    perturb: Annotated[
        tuple[Perturbation, ...], BeforeValidator(_listed), AfterValidator(_distinct), Field(min_length=1)
    ]
    length: Annotated[Whole, within(1, 100_000)] = (8, 16)


class CountParams(Difficulty):
    """Object counting; sizes in short sides of the frame, `area` the central share of it in which centres lie.

    Every kind of shape is drawn on min_frames..max_frames frames, 1..max_instances on each, both uniform; a frame holds
    one kind, and the frames of one kind are more than `min_gap` apart. Kinds left out of `shapes` count 0. A kind named
    in `colors` is always of that colour (RGB), which is easier.
    """

    min_frames: Annotated[int, Field(ge=0, le=1000)] = 1
    max_frames: Annotated[int, Field(ge=1, le=1000)] = 3
    max_instances: Annotated[int, Field(ge=1, le=12)] = 3
    size: Annotated[Floats, within(0.05, 0.6)] = (0.2, 0.4)
    area: Annotated[float, Field(gt=0, le=1)] = 0.7
    color: Annotated[Whole, within(0, 255)] = (50, 255)
    min_gap: Annotated[int, Field(ge=0)] = 8
    shapes: Annotated[tuple[Kind, ...], BeforeValidator(_listed), AfterValidator(_distinct), Field(min_length=1)] = (
        KINDS
    )
    colors: dict[Kind, Color] = {}

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames is {self.min_frames}, max_frames {self.max_frames}")
        return self


class JigsawParams(Difficulty):
    """Temporal jigsaw of `n` clips."""

    n: Annotated[int, Field(ge=2, le=100)] = 6


class _Spec(Strict):
    """A self-supervised task made from any video; `params` are its difficulty."""

    def with_params(self, params: Mapping[str, Any]) -> Self:
        """The same task with some of its difficulty replaced; a ViubenchError says which key or value is wrong."""
        data = self.model_dump(mode="json")
        try:
            return self.model_validate(data | {"params": data["params"] | params})
        except ValidationError as error:
            (_, *key), said = in_words(error.errors()[0], type(self))
            known = ", ".join(type(self.params).model_fields)  # type: ignore[attr-defined]
            raise ViubenchError(
                f"{data['kind']} params: {'.'.join(map(str, key))} {said}",
                where="pretext.params",
                hint=f"known params: {known}",
            ) from None


class GroundSpec(_Spec):
    kind: Literal["ground"] = "ground"
    params: GroundParams


class CountSpec(_Spec):
    kind: Literal["count"] = "count"
    params: CountParams = CountParams()


class JigsawSpec(_Spec):
    kind: Literal["jigsaw"] = "jigsaw"
    params: JigsawParams = JigsawParams()


PLUGINS = "viubench.pretext"
"""Entry points of further kinds of questions: classes derived from `viubench.pretext.kinds.PretextKind`."""

BUILT_IN = ("ground", "count", "jigsaw")


class PluginSpec(_Spec):
    """A kind of question that is registered as a plug-in, whose class says what its params are."""

    kind: str
    params: SerializeAsAny[Difficulty] = Field(default_factory=dict, validate_default=True)

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in registered(PLUGINS):
            raise ValueError(f"must be one of {', '.join((*BUILT_IN, *sorted(registered(PLUGINS))))}")
        return kind

    @field_validator("params", mode="plain")
    @classmethod
    def _own(cls, given: Any, info: ValidationInfo) -> Difficulty:
        if "kind" not in info.data:  # which is what is wrong
            return Difficulty()
        params: type[Difficulty] = registered(PLUGINS)[info.data["kind"]].load().Params
        if isinstance(given, params):
            return given
        try:
            return params.model_validate(given)
        except ValidationError as error:
            raise ValueError(first_in_words(error, params)) from None


def _which(data: Any) -> str:
    """Whether a spec, or an item's params, is one of ours or a plug-in's."""
    kind = data.get("kind") if isinstance(data, Mapping) else getattr(data, "kind", None)
    return "built-in" if kind in BUILT_IN else "plugin"


PretextSpec = Annotated[
    Annotated[GroundSpec | CountSpec | JigsawSpec, Field(discriminator="kind"), Tag("built-in")]
    | Annotated[PluginSpec, Tag("plugin")],
    Discriminator(_which),
]


class Shape(Strict):
    """One drawn shape; `frame` counts shown frames, `angle` is in whole degrees clockwise, `color` RGB."""

    shape: Kind
    frame: int
    x: float
    y: float
    size: float
    angle: int
    color: tuple[int, int, int]


class Borrowed(Strict):
    """The second video of a swap: its path, content hash and frame numbers."""

    video: str = ""
    content: str
    indices: tuple[int, ...]


class _Drawn(Strict):
    """What every item holds: `content` (hash of the source file), `frames` (T), `indices` (T source frame numbers) and
    `times` (T+1 edges in seconds of the source: frame k is shown over [times[k], times[k+1]))."""

    content: str
    frames: int
    indices: tuple[int, ...]
    times: tuple[float, ...]
    other: Annotated[Borrowed | None, Field(exclude_if=lambda other: other is None)] = None
    shown: Annotated[tuple[int, ...], Field(exclude_if=lambda places: not places)] = ()
    """Places (0..T-1) of the frames a model is shown, where not all (see `viubench.pretext.fewer_frames`)."""

    @property
    def places(self) -> tuple[int, ...]:
        """The places of the frames that are shown, all of them included."""
        return self.shown or tuple(range(self.frames))


class GroundItem(_Drawn):
    """An altered segment [start, stop) in frames; `length` is the range its length was drawn from; `strength` depends
    on the perturbation (see `viubench.pretext.perturb`)."""

    kind: Literal["ground"] = "ground"
    perturb: Perturbation
    length: tuple[int, int]
    segment: tuple[int, int]
    strength: dict[str, Any]


class CountItem(_Drawn):
    """Shapes placed on frames of `canvas` (height, width), and the limits their numbers were drawn from."""

    kind: Literal["count"] = "count"
    min_frames: Annotated[int, Field(exclude_if=lambda frames: frames == 1)] = 1
    max_frames: int
    max_instances: int
    kinds: tuple[Kind, ...]
    canvas: tuple[int, int]
    shapes: tuple[Shape, ...]


class JigsawItem(_Drawn):
    """`order[p]` is the original clip, of `n`, that is shown at position p."""

    kind: Literal["jigsaw"] = "jigsaw"
    n: int
    order: tuple[int, ...]


class PluginItem(_Drawn, extra="allow"):
    """What a plug-in drew, JSON data beside what every item holds; its evaluator reads it by name."""

    kind: str

    @property
    def drawn(self) -> dict[str, Any]:
        """What the plug-in drew."""
        return dict(self.model_extra or {})


ItemParams = Annotated[
    Annotated[GroundItem | CountItem | JigsawItem, Field(discriminator="kind"), Tag("built-in")]
    | Annotated[PluginItem, Tag("plugin")],
    Discriminator(_which),
]
