"""A benchmark as data: protocol, task, suite, recipe, published rows.

Example:
    >>> Protocol(protocol="viubench").sampling.frames
    48
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from viubench.schema.base import Strict, content_hash
from viubench.schema.pretext import PretextSpec


class Sampling(Strict):
    """Which frames of a video are shown.

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
    prompt: Literal["default", "published"] = "default"
    frame_budget: Literal["per_item", "per_video"] = "per_item"
    """Whether `sampling.frames` is shared by the videos of an item or granted to each of them."""
    denominator: Literal["strict"] = "strict"

    def hash(self) -> str:
        """Hash of what matters: the name and the description do not."""
        return content_hash(self.model_dump(mode="json", exclude={"protocol", "description", "recorded_hash"}))


class EvaluatorSpec(Strict):
    """A registered evaluator by name, with its parameters."""

    name: str
    params: dict[str, Any] = {}


class Rows(Strict):
    """Where a benchmark's rows lie in its data folder, in the publisher's own layout.

    `files` are globs below the folder; one without a suffix matches .parquet, .jsonl, .json, .csv and .txt. `adapter`
    names a registered function that turns their content into one flat row per question (`viubench.datasets.adapters`).
    Rows for which the template `keep` is false are no part of the benchmark. `expected` is the published number.
    """

    files: Annotated[list[str], Field(min_length=1)]
    adapter: str = ""
    keep: str = ""
    expected: Annotated[int, Field(ge=1)] | None = None


class VideoSpec(Strict):
    """Where a row's videos lie; every text is a Jinja template over the row's fields.

    `path`: below one of `roots` of the data folder, with one of `extensions` when it is not there as it stands; a list
    is several videos, empty ones are left out. `start` and `end` (seconds) limit which part is shown. With
    `frame_fps` a path may be a folder of numbered frames. `duration` (seconds), where the row knows it, saves a probe.
    `archives` are globs of the zip and tar files (or their parts) that hold them, `into` the folder they unpack to.
    """

    path: str | list[str]
    roots: list[str] = [""]
    extensions: list[str] = []
    start: str = ""
    end: str = ""
    duration: str = ""
    frame_fps: Annotated[float, Field(gt=0)] | None = None
    archives: list[str] = []
    into: str = ""


class Published(Strict):
    """Where the published prompt comes from at run time: a task of the installed lmms-eval (`lmms`), fed with the row
    changed by `doc`; or the data (`row`, a template); or nowhere, and `none` says why."""

    lmms: str = ""
    doc: dict[str, str] = {}
    variant: str = "default"
    row: str = ""
    none: str = ""


class Prompt(Strict):
    """Prompts of a task. `default` is a Jinja template over the row's fields, `question` and `options` (lettered
    lines); empty means the prompt of the evaluator's kind (`viubench.datasets.prompts`)."""

    default: str = ""
    published: Published = Published()


class GenerationKwargs(Strict):
    """A task's own changes to the protocol's decoding, under lm-evaluation-harness's names."""

    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None


class Metadata(Strict):
    """Facts about a benchmark. `facts` are published numbers about its rows (chance, whole_video ...), fractions."""

    version: int = 1
    paper: str = ""
    source: str = ""
    license: str = ""
    note: str = ""
    facts: dict[str, float] = {}


class Task(Strict):
    """One benchmark task, read from a YAML file: built from videos (`pretext`) or read from a data set (`rows`).

    Of a data set: `dataset_path`, `dataset_name`, `split`, `revision` say where it is on the hub, `fallbacks` what its
    id was or may become; `data` is its folder below the data root (the task's name by default). `id`, `cluster`,
    `question`, `options`, `answer`, `params` and the values of `group_by` are Jinja templates over a row's fields; one
    that is a single `{{ expression }}` gives that value itself, a list or a number. `average` names a group whose means
    are averaged into the headline. `alternatives` are registered published rules shown beside it.
    """

    task: str
    description: str = ""
    domain: str
    pretext: PretextSpec | None = None
    data: str = ""
    dataset_path: str = ""
    dataset_name: str = ""
    split: str = ""
    revision: str = ""
    fallbacks: list[str] = []
    rows: Rows | None = None
    video: VideoSpec | None = None
    id: str = ""
    cluster: str = ""
    question: str
    options: str = ""
    answer: str = ""
    params: dict[str, str] = {}
    prompt: Prompt = Prompt()
    evaluator: EvaluatorSpec
    metric: str
    alternatives: list[str] = []
    average: str = ""
    protocol: str
    generation_kwargs: GenerationKwargs = GenerationKwargs()
    group_by: dict[str, str] = {}
    metadata: Metadata = Metadata()

    def hash(self) -> str:
        """Hash of what changes the items or the scores."""
        return content_hash(self.model_dump(mode="json", exclude={"description", "metadata"}))


class Suite(Strict):
    """A named list of tasks; `groups` are the sub-averages shown beside the mean over all tasks, or, with `average:
    groups`, the benchmarks of several tasks whose means the suite is the mean of."""

    suite: str
    description: str = ""
    tasks: list[str]
    groups: dict[str, list[str]] = {}
    average: Literal["tasks", "groups"] = "tasks"
    recipe: str | None = None

    def shares(self) -> dict[str, float]:
        """What share of the suite's value each task has; they sum to 1."""
        if self.average == "tasks":
            return {task: 1 / len(self.tasks) for task in self.tasks}
        return {task: 1 / len(self.groups) / len(members) for members in self.groups.values() for task in members}


class RecipeEntry(Strict):
    """`n` items of one task; with `base`, a task derived from that one, `params` replacing its difficulty."""

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


class ReferenceRow(Strict):
    """A published score set, in fractions; compared only under an equal protocol hash."""

    model: str
    source: str
    protocol: str
    values: dict[str, float]


class References(Strict):
    references: str
    rows: list[ReferenceRow]
