"""What an engine is: it answers one request at a time, many at once, each on its own.

Example:
    async with engine:
        response = await engine.generate(request)
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar, Protocol

from evaluators import Constraint, Evaluator
from viubench.engines import base_models, engine_args
from viubench.engines.families import FrameFormat as FrameFormat
from viubench.engines.families import family, frame_format
from viubench.engines.prompts import Showing
from viubench.errors import ViubenchError
from viubench.schema import Answers, Chat, Decoding, OptionLogprob, Sample, ShownMedia
from viubench.video.frames import VideoInput


@dataclass(frozen=True)
class Request:
    """One question with its videos, and how its answer is generated."""

    sample: Sample  # its text holds one `<video>` mark per video, in order
    videos: tuple[VideoInput, ...]  # the frames shown; empty for engines that need none (`needs_media` False)
    media_ids: tuple[str, ...]  # content-derived, so that an engine's caches are hit by a video's second question
    decoding: Decoding
    chat: Chat = field(default_factory=Chat)
    number: int = 0  # which of several answers to the question
    seed: int = 0  # of this answer's sampling; follows from (run seed, sample, number)
    answers: Answers = "free"
    constraint: Constraint | None = None  # the form of the answer, unless it is free; "likelihood" has choices
    file: str | None = None  # path or URL of the one video, where the server samples it itself
    times: bool = True  # whether the model is told when each frame was shown


@dataclass(frozen=True)
class Response:
    """What came back."""

    text: str  # as generated
    finish_reason: str | None = None  # "stop", "length" or "refused" (a content filter, a refusal)
    usage: dict[str, int] = field(default_factory=dict)  # token counts
    seconds: float = 0.0  # in the engine
    reasoning: str = ""  # where the engine keeps it apart itself
    prompt_end: str = ""  # the last characters of the prompt, where known: they may have opened the reasoning
    first_token: float | None = None  # seconds to the first token
    shown: ShownMedia | None = None  # what the model really got
    logprobs: tuple[float, ...] = ()  # of the generated tokens, where the engine was started with them
    option_logprobs: dict[str, OptionLogprob] = field(default_factory=dict)  # of each option, for "likelihood"


@dataclass(frozen=True)
class Needs:
    """What the requests of a run ask of their engine at most; it can be pickled.

    Attributes:
        tokens: the longest prompt with its answer; 0 where none was counted.
        video: vision tokens of the largest video; 0 where none was counted.
        answer: tokens of the longest answer; 0 where that is not known.
        videos: of one request.
        frames, height, width: of the largest video, in pixels.
        reasoning_parser: the one that the protocols name.
    """

    tokens: int = 0
    video: int = 0
    answer: int = 0
    videos: int = 1
    frames: int = 48
    height: int = 512
    width: int = 512
    reasoning_parser: str = ""


@dataclass(frozen=True)
class EngineOptions:
    """What the user asked of an engine."""

    model: str | None = None  # checkpoint folder or hub id; for a server the served name, None for the only one
    base_urls: Sequence[str] = ()  # endpoints of a server, for example http://127.0.0.1:8000/v1
    args: Mapping[str, str] = field(default_factory=dict)  # the `--engine-arg` pairs
    deterministic: bool = False  # an answer must depend on its request alone, not on other requests
    base_model: str | None = None  # what a checkpoint lacks is taken from it; None for the one an adapter names
    seed: int = 0  # of the random baseline


def allow_read_only_frames() -> None:
    """Silence torch's warning about arrays it must not write to: frames are read-only, and no engine writes to them."""
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")


class Described(Protocol):
    """What the manifest records of an engine, or of several replicas of one."""

    @property
    def kind(self) -> str: ...
    @property
    def deterministic(self) -> bool: ...
    def describe(self) -> dict[str, Any]: ...


def without_model(kind: str, options: EngineOptions) -> None:
    """Raise ViubenchError for a model, or arguments, given to an engine that has none."""
    engine_args.refuse_unknown(options.args, (), kind)
    if options.model is not None:
        hint = "leave --model out; --probe blind asks a model without its videos"
        raise ViubenchError(f"the {kind} engine has no model", where="--model", hint=hint)


class Engine(ABC):
    """Answers requests."""

    kind: ClassVar[str]  # the name on the command line
    needs_media: ClassVar[bool] = True  # whether frames must be decoded for it
    answers: frozenset[Answers] = frozenset({"free"})  # how it can answer; a run that asks otherwise is refused
    lacks: ClassVar[tuple[str, ...]] = ()  # fields of a protocol's `chat` that it cannot honour
    max_in_flight: int = 1  # requests at once
    deterministic: bool = False  # whether an answer depends on its request alone, not on those before or beside it
    frame_format: FrameFormat = FrameFormat()
    needs: Needs | None = None  # what the run asks of it at most, once that is known

    @classmethod
    def from_options(cls, options: EngineOptions) -> Engine:
        """An engine that is not started yet; raises ViubenchError for options it cannot honour."""
        raise ViubenchError(f"the {cls.kind} engine cannot be built from options", where="--engine")

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """What `--engine-arg` takes: for each name a type, or the texts it may be. Raises ImportError where the library
        that knows them is missing."""
        return {}

    def check(self) -> None:
        """Raise ViubenchError for what `start` would refuse, as far as that is known without loading anything."""

    def prepare(self, evaluators: Mapping[str, Evaluator], blind_answers: Mapping[str, Mapping[str, str]]) -> None:
        """Called once the run is planned, with the evaluator of each task and, where one is known, the best constant
        answer to each of its samples by id; only baselines need them."""

    def require(self, chat: Chat) -> None:
        """Raise ViubenchError for the first setting of a protocol's `chat` that it cannot honour."""
        for name in self.lacks:
            if getattr(chat, name):
                hint = f"leave chat.{name} out, or use --engine vllm"
                raise ViubenchError(f"the {self.kind} engine has no {name.replace('_', ' ')}", where=f"chat.{name}",
                                    hint=hint)  # fmt: skip

    def require_untimed(self) -> None:
        """Raise ViubenchError where it cannot leave out the times of frames (`Request.times`)."""
        if self.needs_media:
            raise ViubenchError(f"the {self.kind} engine cannot leave out the times", where="--probe no-times")

    def expect(self, needs: Needs) -> None:
        """Called before `start` with what the run will ask for, where that is known."""
        self.needs = needs

    async def start(self) -> None:
        """Load what must be loaded; raises ViubenchError when the model or the endpoint is not usable."""

    @abstractmethod
    async def generate(self, request: Request) -> Response:
        """Answer one request; raises EngineError for this request alone."""

    async def close(self) -> None:
        """Free what `start` took; safe to call twice."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """For the manifest: `model` (shown name), `version`, revision or weights fingerprint, settings."""

    async def __aenter__(self) -> Engine:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


_NOT_TOLD = ("name", "context", "given", "adapter", "base_path")


class CheckpointEngine(Engine):
    """Opens a checkpoint (folder or hub id) in this process, by `library`; ViubenchError where it is not complete."""

    library: ClassVar[str]
    install: ClassVar[str]  # what to do where `library` is missing

    def __init__(
        self, model: str, args: Mapping[str, str], *, deterministic: bool = False, base_model: str | None = None
    ) -> None:
        self.args = args
        self.deterministic = deterministic
        self.checkpoint = base_models.describe(model, base_model)
        self.family = family(self.checkpoint)
        self.frame_format = frame_format(self.checkpoint, getattr(self.family, self.kind, None))
        self.settings: dict[str, Any] = {}
        self.version = ""
        self._processor: Any = None

    @classmethod
    def from_options(cls, options: EngineOptions) -> CheckpointEngine:
        if options.model is None:
            hint = "--model FOLDER (viubench tiny --out FOLDER makes one)"
            raise ViubenchError(f"the {cls.kind} engine needs a model", hint=hint)
        return cls(options.model, options.args, deterministic=options.deterministic, base_model=options.base_model)

    @classmethod
    def missing(cls) -> str | None:
        """The first package that it needs and that is not installed."""
        return next((package for package in (cls.library, "torch") if find_spec(package) is None), None)

    def require_untimed(self) -> None:
        if self.kind not in ("hf", "vllm"):
            super().require_untimed()
        Showing.of(self.family, self.kind).asked(times=False)

    def check(self) -> None:
        if package := self.missing():
            message = f"the {self.kind} engine needs {package}, which is not installed"
            raise ViubenchError(message, where="--engine", hint=self.install)

    def describe(self) -> dict[str, Any]:
        facts = {name: value for name, value in self.checkpoint.items() if name not in _NOT_TOLD}
        facts["path"] = self.checkpoint.get("given", facts["path"])
        version = f"{self.library} {self.version}"
        return {"model": self.checkpoint["name"], "version": version, **facts, "settings": self.settings}
