"""A benchmark as data: protocol, task, suite, recipe, published rows.

Example:
    >>> Protocol(protocol="viubench").sampling.frames
    48
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field

from viubench.schema.base import Strict, content_hash
from viubench.schema.pretext import PretextSpec

Answers = Literal["free", "constrained", "likelihood"]
Subtitles = bool | Literal["interleaved"]
Side = Annotated[int, Field(ge=1)]
"""How a model answers: with any text, with text held to the form of an answer, or by the likeliest of the options."""

Probe = Literal[
    "none",
    "blind",
    "single-frame",
    "shuffled-frames",
    "reversed",
    "half-frames",
    "no-times",
    "other-video",
    "option-shuffle",
    "circular",
]
PROBES: tuple[Probe, ...] = get_args(Probe)[1:]
"""What of the evidence is taken away from every question (see `viubench.runner.probes`)."""


def _unless(default: Any) -> Any:
    """A field that is written only where it differs from its default: protocols from before it keep their hash."""
    return Field(exclude_if=lambda value: value == default)


class Sampling(Strict):
    """Which frames of a video are shown.

    `even`: `frames` instants spread evenly over the middle `middle` share of the video (paper, section 4);
    fewer distinct frames than asked is an error. `fps`: `fps` frames a second, first and last frame included, at most
    `frames` and at least `min_frames` (a short video's are then closer), as far as the video has so many. `qwen`: the
    same numbers by the rule of qwen-vl-utils, an even count spread over the frame numbers. `indices` and `times`: the
    frames of these numbers, or nearest to these seconds, which an item says itself.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    kind: Literal["even", "fps", "qwen", "indices", "times"] = "even"
    indices: tuple[int, ...] = ()
    times: Annotated[tuple[float, ...], _unless(())] = ()
    frames: Annotated[int, Field(ge=1, le=100_000)] = 48
    min_frames: Annotated[int, Field(ge=1), _unless(1)] = 1
    middle: Annotated[float, Field(gt=0, le=1)] = 0.9
    fps: Annotated[float, Field(gt=0, le=1000)] = 2.0

    @property
    def most(self) -> int:
        """How many frames it chooses at most."""
        return len(self.indices) or len(self.times) or self.frames


class Resize(Strict):
    """Frame size: as large as `max_pixels` allows, aspect kept, both sides multiples of `multiple` pixels.

    `kind` says how sides are rounded: to the nearest shape, or as `smart_resize` of qwen-vl-utils does; with `fill` the
    frames of small videos are as large as those of others, and no budget makes them smaller. `total_pixels`
    bounds all frames of a video together, `group` frames that the model merges counting once, as qwen-vl-utils counts
    them; `tokens` says the same in vision tokens of a video. `fixed` is the one size (height, width) that a model's
    frames have; every frame is shown whole at that size. The engine sets `multiple`, `group` and `fixed`.
    """

    kind: Annotated[Literal["shape", "smart_resize", "fill"], _unless("shape")] = "shape"
    max_pixels: Annotated[int, Field(ge=1024)] = 512 * 512
    min_pixels: Annotated[int, Field(ge=1024)] = 128 * 128
    multiple: Annotated[int, Field(ge=1, le=256)] = 32
    total_pixels: Annotated[int | None, Field(ge=1024), _unless(None)] = None
    tokens: Annotated[int | None, Field(ge=1), _unless(None)] = None
    group: Annotated[int, Field(ge=1), _unless(2)] = 2
    fixed: Annotated[tuple[Side, Side] | None, _unless(None)] = None


class Decoding(Strict):
    """How the answer is generated, under the names of vLLM and OpenAI; temperature 0 is greedy.

    `seed` fixes the seeds of the requests, which otherwise follow from the run's; `samples` is how many answers each
    question gets. With `generation_config` the model's own sampling settings (generation_config.json) hold instead of
    those here: a checkpoint's are read when the run is planned, a server applies its own.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    max_tokens: Annotated[int, Field(ge=1)] = 64
    temperature: Annotated[float, Field(ge=0)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1), _unless(1.0)] = 1.0
    top_k: Annotated[int, Field(ge=0), _unless(0)] = 0
    min_p: Annotated[float, Field(ge=0, le=1), _unless(0.0)] = 0.0
    presence_penalty: Annotated[float, Field(ge=-2, le=2), _unless(0.0)] = 0.0
    frequency_penalty: Annotated[float, Field(ge=-2, le=2), _unless(0.0)] = 0.0
    repetition_penalty: Annotated[float, Field(gt=0), _unless(1.0)] = 1.0
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], _unless(())] = ()
    seed: Annotated[int | None, Field(ge=0, lt=2**63), _unless(None)] = None
    samples: Annotated[int, Field(ge=1), _unless(1)] = 1
    generation_config: Annotated[bool, _unless(False)] = False


def _switch(value: Any) -> Any:
    """YAML reads a bare on and off as true and false."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class Chat(Strict):
    """What the chat template is given beside the question, and how reasoning is handled.

    `thinking` "default" leaves it to the model. `reasoning_budget` are tokens of reasoning at most, `reasoning_parser`
    the name of vLLM's parser ("" reads think tags).
    """

    system: str = ""
    thinking: Annotated[Literal["default", "on", "off"], BeforeValidator(_switch)] = "default"
    reasoning_budget: Annotated[int, Field(ge=1)] | None = None
    reasoning_parser: str = ""
    template_kwargs: dict[str, Any] = {}


class JudgeSpec(Strict):
    """Who judges answers and how it is asked: `model` is what names its weights, `prompts` are the templates of its
    questions by form (see `viubench.judging.forms`)."""

    model: dict[str, Any]
    prompts: dict[str, str]


class Protocol(Strict):
    """All that changes a score beside model and items; two scores compare only under one hash.

    `source` is where its values were published, `commands` run it as its source did.
    """

    protocol: str
    description: str = ""
    source: Annotated[str, _unless("")] = ""
    commands: Annotated[tuple[str, ...], _unless(())] = ()
    sampling: Sampling = Sampling()
    resize: Resize = Resize()
    decoding: Decoding = Decoding()
    chat: Annotated[Chat, _unless(Chat())] = Chat()
    answers: Annotated[Answers, _unless("free")] = "free"
    media: Annotated[Literal["frames", "file"], _unless("frames")] = "frames"
    """Whether the model is shown frames chosen here, or its server is given the file and samples it itself."""
    subtitles: Annotated[Subtitles, _unless(False)] = False
    """Whether they are told: all before the question, or interleaved, the video in parts and after each what is said in
    it."""
    prompt: Literal["default", "published"] = "default"
    frame_budget: Literal["per_item", "per_video"] = "per_item"
    """Whether `sampling.frames` is shared by the videos of an item or granted to each of them."""
    denominator: Literal["strict"] = "strict"
    probe: Annotated[Probe, _unless("none")] = "none"
    """Which evidence is taken away: the score says what is answered without it."""
    judge: Annotated[JudgeSpec | None, _unless(None)] = None
    """Where the answers are verdicts on the answers of another run."""

    def hash(self) -> str:
        """Hash of what matters: the name and what describes it do not."""
        about = {"protocol", "description", "source", "commands", "recorded_hash"}
        return content_hash(self.model_dump(mode="json", exclude=about))


class EvaluatorSpec(Strict):
    """A registered evaluator by name, with its parameters."""

    name: str
    params: dict[str, Any] = {}


class Rows(Strict):
    """Where a benchmark's rows lie in its data folder, in the publisher's own layout.

    `files` are globs below the folder; one without a suffix matches .parquet, .jsonl, .json, .csv and .txt. `adapter`
    names a registered function that turns their content into one flat row per question (`viubench.datasets.adapters`).
    Rows for which the template `keep` is false are no part of the benchmark. `expected` is the published number. Rows
    that cannot be read stop a run, or with `bad_rows: skip` are left out and told, as long as they are the fewer.
    """

    files: Annotated[list[str], Field(min_length=1)]
    adapter: str = ""
    keep: str = ""
    expected: Annotated[int, Field(ge=1)] | None = None
    bad_rows: Annotated[Literal["refuse", "skip"], _unless("refuse")] = "refuse"


class VideoSpec(Strict):
    """Where a row's videos lie; every text is a Jinja template over the row's fields.

    `path`: below one of `roots` of the data folder, with one of `extensions` when it is not there as it stands; a list
    is several videos, empty ones are left out. `start` and `end` (seconds) limit which part is shown; `frames`
    (numbers) or `times` (seconds) are the ones to show, as a frame selector chose them, instead of the protocol's. With
    `frame_fps` a path may be a folder of numbered frames. `duration` (seconds), where the row knows it, saves a probe.
    `archives` are globs of the zip and tar files (or their parts) that hold them, `into` the folder they unpack to.
    `subtitles` is the path of the one video's .srt, .vtt or JSON file, for protocols that tell them; its times are
    `subtitles_start` seconds ahead of the video's, and `subtitles_archives` hold such files.
    """

    path: str | list[str]
    roots: list[str] = [""]
    extensions: list[str] = []
    start: str = ""
    end: str = ""
    frames: Annotated[str, _unless("")] = ""
    times: Annotated[str, _unless("")] = ""
    duration: str = ""
    frame_fps: Annotated[float, Field(gt=0)] | None = None
    archives: list[str] = []
    into: str = ""
    subtitles: Annotated[str, _unless("")] = ""
    subtitles_start: Annotated[str, _unless("")] = ""
    subtitles_archives: Annotated[list[str], _unless([])] = []


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
    """A task's own changes to the protocol's decoding, under lm-evaluation-harness's names; without `do_sample` its
    temperature counts as given."""

    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    do_sample: Annotated[bool | None, _unless(None)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1), _unless(None)] = None
    top_k: Annotated[int | None, Field(ge=0), _unless(None)] = None
    until: Annotated[tuple[str, ...], _unless(())] = ()

    def decoding(self) -> dict[str, Any]:
        """The fields of `Decoding` that they change."""
        given = {
            "max_tokens": self.max_new_tokens,
            "temperature": 0.0 if self.do_sample is False else self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "stop": self.until or None,
        }
        return {name: value for name, value in given.items() if value is not None}


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
        """Hash of what changes the items or the scores; whether subtitles are told is the protocol's."""
        subtitles = {"subtitles", "subtitles_start", "subtitles_archives"}
        about: dict[str, Any] = {"description": True, "metadata": True, "video": subtitles}
        return content_hash(self.model_dump(mode="json", exclude=about))


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
