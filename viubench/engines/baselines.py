"""The rows every leaderboard needs: random (the published rule), blind (the best constant), oracle (the truth).

Example:
    >>> engine = RandomEngine(seed=0, evaluators={"viubench_jigsaw_easy": evaluators.get("permutation")})
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any, ClassVar

import evaluators
from viubench.engines.base import Engine, Request, Response
from viubench.errors import EngineError
from viubench.version import __version__


class Baseline(Engine):
    """An engine that never looks at a video."""

    needs_media: ClassVar[bool] = False
    max_in_flight = 64

    def describe(self) -> dict[str, Any]:
        return {"model": self.kind, "version": __version__}


class RandomEngine(Baseline):
    """Answers by the benchmark's published random rule; the draw depends on seed and sample id alone."""

    kind: ClassVar[str] = "random"

    def __init__(self, seed: int, graders: Mapping[str, evaluators.Evaluator]) -> None:
        self.seed = seed
        self.graders = graders

    async def generate(self, request: Request) -> Response:
        sample = request.sample
        digest = hashlib.sha256(f"{self.seed}/{sample.id}".encode()).digest()
        rng = random.Random(int.from_bytes(digest[:8], "big"))
        return Response(self.graders[sample.task].guess(sample, rng), "stop")


class BlindEngine(Baseline):
    """Gives each task's best constant answer; `texts` holds it per sample id."""

    kind: ClassVar[str] = "blind"

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts

    async def generate(self, request: Request) -> Response:
        return Response(self.texts[request.sample.id], "stop")


class OracleEngine(Baseline):
    """Gives the true answer: anything below 100 % is a fault of the harness."""

    kind: ClassVar[str] = "oracle"

    async def generate(self, request: Request) -> Response:
        return Response(request.sample.answer_text, "stop")


class AnswersEngine(Baseline):
    """Ready answers by sample id, for `viubench score`."""

    kind: ClassVar[str] = "answers"

    def __init__(self, name: str, texts: Mapping[str, str]) -> None:
        self.name = name
        self.texts = texts

    async def generate(self, request: Request) -> Response:
        if request.sample.id not in self.texts:
            raise EngineError("the responses file has no line for this sample")
        return Response(self.texts[request.sample.id])

    def describe(self) -> dict[str, Any]:
        return {"model": self.name, "version": __version__}
