"""Scripted judges, and finished runs for them to judge.

Example:
    run = finished(tmp_path, "tempcompass_multi_choice", replies)
    viubench.judge(run, Judge(lambda prompt: verdict(answer="B")))
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import viubench
from viubench.datasets import loader
from viubench.engines.base import Engine, Request, Response
from viubench.schema import Sample
from viubench.storage.run_dir import read_records
from viubench.tasks.registry import BUILT_IN, Catalogue

EXAMPLES = BUILT_IN / "examples"
RAMBLE = "Well, one could say that it is B, but then again the light is poor."


class Judge(Engine):
    """Says what `say` makes of the prompt, and keeps the prompts; an error is raised."""

    kind: ClassVar[str] = "scripted"
    needs_media: ClassVar[bool] = False
    max_in_flight = 3

    def __init__(self, say: Callable[[str], str | Response | BaseException], name: str = "judge") -> None:
        self.say, self.name = say, name
        self.prompts: list[str] = []

    async def generate(self, request: Request) -> Response:
        assert not request.videos
        self.prompts.append(request.sample.question)
        await asyncio.sleep(0)
        said = self.say(request.sample.question)
        if isinstance(said, BaseException):
            raise said
        return said if isinstance(said, Response) else Response(said, "stop")

    def describe(self) -> dict[str, Any]:
        return {"model": self.name}


def verdict(**fields: Any) -> str:
    return json.dumps({"reason": "It says so."} | fields)


def samples(task: str) -> list[Sample]:
    """The example rows of a task."""
    return loader.read(Catalogue().task(task), EXAMPLES).samples


def finished(path: Path, task: str, replies: Mapping[str, str]) -> Path:
    """A finished run of a task on its example rows, with these replies by sample id."""
    return viubench.score(task, replies, data_root=EXAMPLES, out=path / "run").path


def verdicts(run: Path) -> list[viubench.Record]:
    """All lines of the one judge of a run."""
    (folder,) = (run / "judges").iterdir()
    return list(read_records(folder))
