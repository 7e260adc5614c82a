"""The rows every leaderboard needs: random (the published rule), blind (the best constant), oracle (the truth).

Example:
    >>> engine = RandomEngine(seed=0)
    >>> engine.needs_media
    False
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any, ClassVar

from evaluators import Evaluator
from viubench.engines.base import Engine, EngineOptions, Request, Response, without_model
from viubench.errors import EngineError, ViubenchError
from viubench.version import __version__

BlindAnswers = Mapping[str, Mapping[str, str]]  # task -> sample id -> the task's best constant answer to it


class BaselineEngine(Engine):
    """An engine that never sees a video."""

    needs_media: ClassVar[bool] = False
    answers = frozenset({"free", "constrained", "likelihood"})  # theirs have the form of an answer in any case
    max_in_flight = 64

    @classmethod
    def from_options(cls, options: EngineOptions) -> BaselineEngine:
        without_model(cls.kind, options)
        return cls()

    def describe(self) -> dict[str, Any]:
        return {"model": self.kind, "version": __version__}


class RandomEngine(BaselineEngine):
    """Answers by the benchmark's published random rule; the draw depends on seed, sample id and number alone."""

    kind: ClassVar[str] = "random"
    evaluators: Mapping[str, Evaluator]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @classmethod
    def from_options(cls, options: EngineOptions) -> RandomEngine:
        without_model(cls.kind, options)
        return cls(options.seed)

    def prepare(self, evaluators: Mapping[str, Evaluator], blind_answers: BlindAnswers) -> None:
        _refuse_unknown(self.kind, evaluators, blind_answers)
        self.evaluators = evaluators

    async def generate(self, request: Request) -> Response:
        sample = request.sample
        number = f"/{request.number}" if request.number else ""
        digest = hashlib.sha256(f"{self.seed}/{sample.id}{number}".encode()).digest()
        rng = random.Random(int.from_bytes(digest[:8], "big"))
        return Response(self.evaluators[sample.task].guess(sample, rng), "stop")


class BlindEngine(BaselineEngine):
    """Gives each task's best constant answer."""

    kind: ClassVar[str] = "blind"
    texts: Mapping[str, str]

    def prepare(self, evaluators: Mapping[str, Evaluator], blind_answers: BlindAnswers) -> None:
        _refuse_unknown(self.kind, evaluators, blind_answers)
        self.texts = {name: text for answers in blind_answers.values() for name, text in answers.items()}

    async def generate(self, request: Request) -> Response:
        return Response(self.texts[request.sample.id], "stop")


class OracleEngine(BaselineEngine):
    """Gives the true answer: anything below 100 % is a fault of the harness."""

    kind: ClassVar[str] = "oracle"

    async def generate(self, request: Request) -> Response:
        return Response(request.sample.answer_text, "stop")


class AnswersEngine(BaselineEngine):
    """Ready answers by sample id, for `viubench score`."""

    kind: ClassVar[str] = "answers"

    def __init__(self, name: str) -> None:
        self.name = name
        self.texts: Mapping[str, str] = {}

    async def generate(self, request: Request) -> Response:
        if request.sample.id not in self.texts:
            raise EngineError("the responses file has no line for this sample")
        return Response(self.texts[request.sample.id])

    def describe(self) -> dict[str, Any]:
        return {"model": self.name, "version": __version__}


def _refuse_unknown(kind: str, evaluators: Mapping[str, Evaluator], blind_answers: BlindAnswers) -> None:
    if unknown := [task for task in evaluators if task not in blind_answers]:
        message = f"no random rule and no best constant answer is known for {unknown[0]}"
        hint = (
            "leave it to models and to --engine oracle; a grounding task needs its videos, whose lengths its rows lack"
        )
        raise ViubenchError(message, where=f"--engine {kind}", hint=hint)
