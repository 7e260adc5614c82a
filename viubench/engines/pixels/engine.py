"""The engine that answers pretext questions from their pixels.

Example:
    >>> PixelsEngine().describe()["model"]
    'pixels'
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from evaluators import Evaluator
from viubench.engines.base import Engine, EngineOptions, Request, Response, without_model
from viubench.engines.pixels import counting, grounding, jigsaw
from viubench.engines.pixels.questions import asked
from viubench.errors import EngineError, ViubenchError
from viubench.schema import KINDS
from viubench.version import __version__
from viubench.video.frames import VideoInput
from viubench.video.sampling import edges

EVALUATORS = ("temporal_iou", "shape_counts", "permutation")
"""Those of the tasks it knows."""


class PixelsEngine(Engine):
    """Answers grounding, counting and jigsaw questions; an EngineError for any other one."""

    kind: ClassVar[str] = "pixels"
    answers = frozenset({"free", "constrained"})  # its answers have the form that is asked for
    deterministic = True
    max_in_flight = 2  # it computes in threads of this process

    @classmethod
    def from_options(cls, options: EngineOptions) -> PixelsEngine:
        without_model(cls.kind, options)
        return cls()

    def describe(self) -> dict[str, Any]:
        return {"model": self.kind, "version": __version__}

    def prepare(self, evaluators: Mapping[str, Evaluator], blind_answers: Mapping[str, Mapping[str, str]]) -> None:
        for task, evaluator in evaluators.items():
            if evaluator.name not in EVALUATORS:
                message = f"the pixels engine cannot answer {task}: it knows grounding, counting and jigsaw"
                raise ViubenchError(message, where="--engine pixels", hint="for example --tasks viubench")

    async def generate(self, request: Request) -> Response:
        return Response(await asyncio.to_thread(answer, request.sample.question, request.videos), "stop")


def answer(question: str, videos: tuple[VideoInput, ...]) -> str:
    """The answer text to a question about these videos; raises EngineError where it is of no known kind."""
    what = asked(question, len(videos))
    if what is None:
        raise EngineError("the pixels engine answers the pretext tasks only: grounding, counting and jigsaw")
    if what.kind == "counting":
        counts = counting.count(videos[0].pixels)
        return ",".join(str(counts[kind]) for kind in KINDS)
    if what.kind == "jigsaw":
        places = [place + 1 for place in jigsaw.order([video.pixels for video in videos])]
        return ("," if len(places) >= 10 else "").join(map(str, places))
    if len(videos[0]) < 2:
        raise EngineError("a part of a single frame cannot be told from the rest")
    start, stop = grounding.segment(videos[0].pixels, what.change)
    moments = edges(np.array(videos[0].times))
    return f"{moments[start]:.1f}-{moments[stop]:.1f}"
