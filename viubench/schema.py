"""Every type that crosses a module border or reaches the disk: task, protocol, item, sample, record, results.

Example:
    >>> Protocol(protocol="viubench").sampling.frames
    48

All models forbid unknown keys and are frozen. Fractions are in [0, 1], times in seconds.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
"""Version of the run-folder formats; raised when a reader of an older version could misread a newer file."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON of `value` (a model or plain data)."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()[:16]


# --- protocol: how a video is seen and a model is asked -------------------------------------------------------


class Sampling(Strict):
    """Which frames of a video are looked at.

    `even`: `frames` instants spread evenly over the middle `middle` share of the video (paper, section 4);
    fewer distinct frames than asked is an error. `fps`: `fps` frames a second, at most `frames`, first and last
    frame included; a short video gives fewer.
    """

    kind: Literal["even", "fps", "indices"] = "even"
    indices: tuple[int, ...] = ()
    frames: Annotated[int, Field(ge=1, le=100_000)] = 48
    middle: Annotated[float, Field(gt=0, le=1)] = 0.9
    fps: Annotated[float, Field(gt=0, le=1000)] = 2.0


class Resize(Strict):
    """Frame size: as large as `max_pixels` allows, aspect kept, both sides multiples of `multiple` pixels."""

    max_pixels: Annotated[int, Field(ge=1024)] = 512 * 512
    min_pixels: Annotated[int, Field(ge=1024)] = 128 * 128
    multiple: Annotated[int, Field(ge=1, le=256)] = 32


class Decoding(Strict):
    """How the answer is generated; temperature 0 is greedy."""

    max_tokens: Annotated[int, Field(ge=1)] = 64
    temperature: Annotated[float, Field(ge=0)] = 0.0


class Protocol(Strict):
    """All that changes a score beside model and items; two scores compare only under one hash."""

    protocol: str
    description: str = ""
    sampling: Sampling = Sampling()
    resize: Resize = Resize()
    decoding: Decoding = Decoding()
    prompt: str = "default"
    denominator: Literal["strict"] = "strict"

    def hash(self) -> str:
        """Hash of what matters: the name and the description do not."""
        return content_hash(self.model_dump(mode="json", exclude={"protocol", "description"}))


# --- task: a benchmark as data --------------------------------------------------------------------------------


class EvaluatorSpec(Strict):
    """A registered evaluator by name, with its parameters."""

    name: str
    params: dict[str, Any] = {}


class PretextSpec(Strict):
    """A self-supervised task made from any video; `params` are the difficulty (see `viubench.pretext.recipes`)."""

    kind: Literal["ground", "count", "jigsaw"]
    params: dict[str, Any] = {}


class Metadata(Strict):
    version: int = 1
    source: str = ""
    license: str = ""


class Task(Strict):
    """One benchmark task, read from a YAML file."""

    task: str
    description: str = ""
    domain: str
    pretext: PretextSpec | None = None
    question: str
    evaluator: EvaluatorSpec
    metric: str
    protocol: str
    group_by: list[str] = []
    metadata: Metadata = Metadata()

    def hash(self) -> str:
        """Hash of what changes the items or the scores."""
        return content_hash(self.model_dump(mode="json", exclude={"description", "metadata"}))


class Suite(Strict):
    """A named list of tasks; `groups` are the sub-averages shown beside the mean over all tasks."""

    suite: str
    description: str = ""
    tasks: list[str]
    groups: dict[str, list[str]] = {}
    recipe: str | None = None


class RecipeEntry(Strict):
    """`n` items of one task; with `base`, a task of its own made from that one, `params` replacing its difficulty."""

    task: str
    n: Annotated[int, Field(ge=1)]
    base: str | None = None
    params: dict[str, Any] = {}


class Recipe(Strict):
    """What `viubench build` makes. `check` is the frame size at which items are proved answerable."""

    recipe: str
    description: str = ""
    sampling: Sampling = Sampling()
    check: Resize = Resize(max_pixels=256 * 256)
    items: list[RecipeEntry]


# --- items and samples ----------------------------------------------------------------------------------------


class Item(Strict):
    """One line of `items.jsonl`: a recipe for one pretext question. The source video is never touched.

    `params` holds the drawn difficulty and, always: `kind`, `indices` (source frame numbers, one per shown frame),
    `times` (T+1 edges in seconds of the source: frame k is shown over [times[k], times[k+1])).
    """

    id: str
    task: str
    video: str
    cluster: str
    seed: int
    params: dict[str, Any]
    question: str
    answer: str


class Clip(Strict):
    """A piece of one video: a file below the media root, or a list of already extracted frames."""

    path: str = ""
    frame_files: tuple[str, ...] = ()
    frame_fps: float | None = None
    start: float | None = None
    end: float | None = None
    content: str | None = None
    """Expected content hash of the file; another one is a `changed` media error."""


class Sample(Strict):
    """One question put to a model.

    `question` is text in which each `<video>` marks the place of the next video; `recipe` (an item's params and seed)
    turns the frames of `clips` into the videos shown. An evaluator reads `target`, `options` and `params`.
    """

    id: str
    task: str
    cluster: str
    clips: tuple[Clip, ...]
    question: str
    target: Any
    answer_text: str
    options: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    seed: int = 0
    groups: dict[str, str] = {}

    def target_hash(self) -> str:
        return content_hash(self.target)


# --- records --------------------------------------------------------------------------------------------------

Status = Literal["ok", "unparsed", "truncated", "refused", "media_error", "engine_error"]
STATUSES: tuple[Status, ...] = ("ok", "unparsed", "truncated", "refused", "media_error", "engine_error")


class FrameInfo(Strict):
    """What the model was shown: source frame numbers, the times it was told, the size, and a hash of the pixels."""

    indices: list[int]
    times: list[float]
    height: int
    width: int
    hash: str
    videos: int = 1


class Failure(Strict):
    """Why a sample has no answer: `fault` is a word to count by, `detail` a sentence to read."""

    fault: str
    detail: str = ""


class Record(Strict):
    """One line of `records.jsonl`, appended when the sample finishes."""

    task: str
    id: str
    cluster: str
    status: Status
    question: str = ""
    response: str | None = None
    finish_reason: str | None = None
    answer: Any = None
    rule: str | None = None
    target: Any = None
    scores: dict[str, float] = {}
    groups: dict[str, str] = {}
    frames: FrameInfo | None = None
    usage: dict[str, int] = {}
    seconds: dict[str, float] = {}
    error: Failure | None = None


class TaskResult(Strict):
    """Score of one task over every sample; all but `ok` count as wrong. `as_published` leaves failures out."""

    metric: str
    value: float
    ci: tuple[float, float]
    se: float
    n: int
    clusters: int
    statuses: dict[str, int]
    as_published: float | None
    chance: float | None
    blind: float | None
    blind_statement: str = ""
    corrected: float | None = None
    """(value - chance) / (1 - chance): 0 at chance, 1 at the ceiling."""
    metrics: dict[str, float] = {}
    groups: dict[str, dict[str, Any]] = {}
    protocol: str = ""
    protocol_hash: str = ""
    items_hash: str = ""


class SuiteResult(Strict):
    value: float
    ci: tuple[float, float]
    se: float
    tasks: list[str]
    groups: dict[str, float] = {}


class Results(Strict):
    """`results.json`; equal records give equal bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Annotated[int, Field(alias="schema")] = SCHEMA_VERSION
    model: str
    engine: str
    tasks: dict[str, TaskResult]
    suites: dict[str, SuiteResult]


class Manifest(Strict):
    """`manifest.json`: everything needed to say what was run and to run it again."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Annotated[int, Field(alias="schema")] = SCHEMA_VERSION
    argv: list[str]
    model: dict[str, Any]
    """`name` shown in tables; `path` or hub id; `revision` or `fingerprint` of the weights."""
    engine: dict[str, Any]
    """`kind` (vllm, server, hf, random, blind, oracle, answers), `version`, settings."""
    protocols: dict[str, dict[str, Any]]
    """Per task: the resolved protocol and its `hash`."""
    tasks: dict[str, dict[str, Any]]
    """Per task: `hash`, `version`, `items_hash`, `n`."""
    suites: dict[str, Suite] = {}
    packages: dict[str, str]
    seed: int
    hardware: dict[str, Any]
    started: str


class ReferenceRow(Strict):
    """A published score set, in fractions; compared only under an equal protocol hash."""

    model: str
    source: str
    protocol: str
    values: dict[str, float]


class References(Strict):
    references: str
    rows: list[ReferenceRow]
