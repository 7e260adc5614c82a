"""Records, results and the manifest of a run.

Example:
    >>> OptionLogprob(logprob=-3.0, tokens=2).per_token
    -1.5
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from viubench.schema.base import Interval, Strict
from viubench.schema.frontier import FrontierPlan
from viubench.schema.imported import FileVerdict, Imported
from viubench.schema.samples import Groups
from viubench.schema.tasks import EvaluatorSpec, Protocol, Suite

SCHEMA_VERSION = 1
"""Version of the run-folder formats; raised when a reader of an older version could misread a newer file."""

Status = Literal[
    "ok",
    "unparsed",
    "truncated",
    "refused",
    "media_error",
    "engine_error",
    "unjudged",  # answered, and for a judge alone to score
    "judge_error",  # of a verdict: the judge gave none
]
STATUSES: tuple[Status, ...] = get_args(Status)
FAILED: tuple[Status, ...] = ("media_error", "engine_error")
"""The statuses of samples that were never answered."""

PASSING = frozenset({"missing", "unreadable", "empty", "lfs_pointer", "changed", "timeout", "crashed"})
"""Faults of a video that may be gone at the next try: it was fetched meanwhile, put back, or its reader was killed."""

ANSWERED: tuple[Status, ...] = ("ok", "unjudged")
"""The statuses of samples with a usable answer."""


class FrameInfo(Strict):
    """The frames the model was shown: source frame numbers, the times in its prompt, size, and a hash of the pixels."""

    indices: list[int]
    times: list[float]
    height: int
    width: int
    hash: str
    videos: int = 1


class ShownMedia(Strict):
    """What the model really got: as `video` or as `images` (timed stills) or as a `file` that its server sampled, how
    many vision tokens, where its times stood (`prompt`, `positions`, `none`), and at what size it was encoded."""

    kind: Literal["video", "images", "file"]
    tokens: int | None = None
    times: Literal["prompt", "positions", "none"] = "none"
    height: int | None = None
    width: int | None = None


class OptionLogprob(Strict):
    """How likely an option is as the answer: the sum of the log-probabilities of its `tokens`, given the prompt."""

    logprob: float
    tokens: int

    @property
    def per_token(self) -> float:
        """The length-normalised log-probability."""
        return self.logprob / self.tokens


class Failure(Strict):
    """Why a sample has no answer: `fault` is a key to count by, `detail` a sentence."""

    fault: str
    detail: str = ""


class Record(Strict):
    """One line of `records.jsonl`, appended when the sample finishes."""

    task: str
    id: str
    number: Annotated[int, Field(exclude_if=lambda number: number == 0)] = 0
    """Which of several answers to the question this is."""
    cluster: str
    status: Status
    question: str = ""
    response: str | None = None
    reasoning: Annotated[str | None, Field(exclude_if=lambda text: text is None)] = None
    """What the model thought before its answer; `response` is the answer alone."""
    finish_reason: str | None = None
    answer: Any = None
    rule: str | None = None
    span: Annotated[tuple[int, int] | None, Field(exclude_if=lambda span: span is None)] = None
    """Start and end of the characters of `response` that the answer was read from, where they are not all of it."""
    target: Any = None
    scores: dict[str, float] = {}
    rules: dict[str, float | None] = {}
    """Score of the response by each published rule; None where that rule leaves the sample out."""
    groups: Groups = {}
    frames: FrameInfo | None = None
    files: Annotated[list[str], Field(exclude_if=lambda files: not files)] = []
    """Names of its video files, where `cluster` is not one; no folders."""
    shown: Annotated[ShownMedia | None, Field(exclude_if=lambda shown: shown is None)] = None
    option_logprobs: Annotated[dict[str, OptionLogprob], Field(exclude_if=lambda options: not options)] = {}
    """Where the answer is the likeliest option: each option of the question."""
    usage: dict[str, int] = {}
    seconds: dict[str, float] = {}
    error: Failure | None = None
    imported: Annotated[FileVerdict | None, Field(exclude_if=lambda verdict: verdict is None)] = None
    """What another harness's file says, where the answer was imported from one."""

    @property
    def key(self) -> tuple[str, int]:
        """What no other record of the run has: its question, and which of the answers to it this is."""
        return self.id, self.number

    @property
    def retryable(self) -> bool:
        """Whether a retry may succeed: the engine failed, that of a judge too, or a fault of `PASSING` was met."""
        fault = self.error.fault if self.error is not None else ""
        return self.status == "engine_error" or fault in PASSING or (self.status, fault) == ("judge_error", "engine")


class ScoredRecord(BaseModel):
    """The fields of a record that results need; the others are skipped."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    task: str
    id: str
    number: Annotated[int, Field(exclude_if=lambda number: number == 0)] = 0
    cluster: str
    status: Status
    response: str | None = None
    answer: Any = None
    scores: dict[str, float] = {}
    rules: dict[str, float | None] = {}
    groups: Groups = {}


class RecordState(BaseModel):
    """The fields of a record that say whether it is done, and why not; the others are skipped."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    number: int = 0
    status: Status
    error: Failure | None = None

    @property
    def key(self) -> tuple[str, int]:
        """As of a record."""
        return self.id, self.number


class RuleResult(Strict):
    """Score of the same responses by a published rule, over the `n` samples it counts."""

    value: float | None
    n: int


class AnswerSpread(Strict):
    """Standard deviations of scores where each question has several answers: `between` questions, of what each scores
    on average, and `within` a question, of its answers."""

    between: float
    within: float


class TaskResult(Strict):
    """Score of one task over its `n` samples; what is not `ok` scores 0. `as_published` leaves it out.

    With several answers to each question (`samples` of them, N) all scores are means over them: `value` is avg@N, and
    its interval that of the questions' means. `pass_at_k` is the expected best of k answers, of scores that are 0 or 1
    the unbiased pass@k; `vote` the score of each question's most frequent answer, the first one of several
    (self-consistency: Wang et al., arXiv 2203.11171). `statuses` count answers.
    """

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
    trivial: dict[str, float] = {}
    """Scores of trivial answers by name ("whole video", "always A")."""
    rules: dict[str, RuleResult] = {}
    protocol: str = ""
    protocol_hash: str = ""
    items_hash: str = ""
    samples: Annotated[int, Field(exclude_if=lambda samples: samples == 1)] = 1
    spread: Annotated[AnswerSpread | None, Field(exclude_if=lambda spread: spread is None)] = None
    pass_at_k: Annotated[dict[int, float], Field(exclude_if=lambda scores: not scores)] = {}
    vote: Annotated[float | None, Field(exclude_if=lambda score: score is None)] = None
    interval: Interval = "t"
    needs_judge: Annotated[bool, Field(exclude_if=lambda needs: not needs)] = False
    """Whether the answers are for a judge to score: `value` then says nothing (see `viubench.judging`)."""

    @property
    def answers(self) -> int:
        """Answers to all questions together."""
        return self.n * self.samples


class SuiteResult(Strict):
    value: float
    ci: tuple[float, float]
    se: float
    tasks: list[str]
    groups: dict[str, float] = {}
    interval: Interval = "t"


class Results(Strict):
    """`results.json`; equal records give equal bytes."""

    schema_: Annotated[int, Field(alias="schema")] = SCHEMA_VERSION
    model: str
    engine: str
    tasks: dict[str, TaskResult]
    suites: dict[str, SuiteResult]
    manifest_hash: Annotated[str, Field(exclude_if=lambda text: not text)] = ""
    """Of the manifest they were made with: what was asked of which model, not where and when."""


class TaskEntry(Strict):
    """What `manifest.json` says of one task; a manifest of an older version may lack some of it.

    `hash` and `version` are those of the task's definition, `scores` the keys of what its evaluator gives, `n` the
    samples of the run and `expected` those of the whole benchmark; `items_hash` is of the samples' ids and true
    answers, `samples_hash` of everything in them, so that other items of the same ids are known. `chance`, `blind` and
    `trivial` are the baselines of these samples (see `viubench.scoring.baselines`). `columns` are the metrics of an
    exported task, else empty.
    """

    hash: str = ""
    version: int = 1
    evaluator: EvaluatorSpec = EvaluatorSpec(name="")
    metric: str = ""
    average: str = ""
    alternatives: list[str] = []
    scores: list[str] = []
    domain: str = ""
    n: int = 0
    expected: int | None = None
    items_hash: str = ""
    samples_hash: Annotated[str, Field(exclude_if=lambda text: not text)] = ""
    chance: float | None = None
    blind: float | None = None
    blind_statement: str = ""
    trivial: dict[str, float] = {}
    revision: str = ""
    columns: Annotated[list[str], Field(exclude_if=lambda columns: not columns)] = []


class ProtocolEntry(Protocol):
    """The resolved protocol of one task, with its hash at the time of the run (`hash` in the file).

    `imported` is what the files tell of an imported run (harness, settings); of its other fields only the decoding
    settings that are named there are known.
    """

    recorded_hash: Annotated[str, Field(alias="hash")] = ""
    imported: Annotated[dict[str, Any] | None, Field(exclude_if=lambda told: told is None)] = None

    @classmethod
    def of(cls, protocol: Protocol) -> ProtocolEntry:
        return cls(**dict(protocol), recorded_hash=protocol.hash())


class Shard(Strict):
    """Which part of a run is in a folder: the shard `number`, from 1, of `of`, which gets so many `answers`."""

    number: int
    of: int
    answers: int


class MergedShard(Strict):
    """What the manifest of a merged run keeps of one of its shards."""

    number: int
    argv: list[str]
    started: str
    hardware: dict[str, Any]


class Manifest(Strict):
    """`manifest.json`: everything needed to describe a run and to repeat it."""

    schema_: Annotated[int, Field(alias="schema")] = SCHEMA_VERSION
    argv: list[str]
    model: dict[str, Any]
    """`name` shown in tables; `path` or hub id; `revision` or `fingerprint` of the weights."""
    engine: dict[str, Any]
    """`kind` (vllm, server, hf, random, blind, oracle, answers, imported), `version`, settings."""
    protocols: dict[str, ProtocolEntry]
    tasks: dict[str, TaskEntry]
    suites: dict[str, Suite] = {}
    packages: dict[str, str]
    seed: int
    hardware: dict[str, Any]
    started: str
    imported: Annotated[Imported | None, Field(exclude_if=lambda imported: imported is None)] = None
    """The files that the answers are from, where another harness wrote them."""
    shard: Annotated[Shard | None, Field(exclude_if=lambda shard: shard is None)] = None
    """Where the folder holds a part of a run; `tasks` are those of the whole run all the same."""
    frontier: Annotated[FrontierPlan | None, Field(exclude_if=lambda plan: plan is None)] = None
    """Where a difficulty frontier was looked for: how; `tasks` are the levels of its axes."""
    merged: Annotated[list[MergedShard], Field(exclude_if=lambda shards: not shards)] = []
    """The shards that a merged run was made of."""
