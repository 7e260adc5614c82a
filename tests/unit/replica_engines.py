"""Engines for replicas under test: each a class that a replica's process can import by name."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, ClassVar

from viubench.engines.base import Engine, Request, Response
from viubench.errors import EngineDead, ViubenchError
from viubench.schema import Sample


def sample(name: str, cluster: str = "v") -> Sample:
    return Sample(
        id=name, task="t", cluster=cluster, clips=(), question="A or B?", target="B", answer_text="B",
        options=("it falls", "it rises"),
    )  # fmt: skip


class Echo(Engine):
    """Answers "B" without looking, and leaves in `folder` a line for each request: its process and its sample.

    What it does otherwise is said by the sample's id: `kill...` ends its process each time, `core...` says the first
    time that the engine died, `distrust...` that it cannot be trusted.
    """

    kind: ClassVar[str] = "echo"
    needs_media: ClassVar[bool] = False
    max_in_flight = 2

    def __init__(self, folder: Path, fault: str = "") -> None:
        self.folder = folder
        self.fault = fault
        self.started = False

    async def start(self) -> None:
        if self.fault == "start":
            raise ViubenchError("this checkpoint is bad", where="its folder", hint="take another")
        self.started = True

    async def generate(self, request: Request) -> Response:
        name = request.sample.id
        with (self.folder / "asked").open("a") as file:
            file.write(f"{os.getpid()} {name} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n")
        await asyncio.sleep(0.002)
        first = not (self.folder / name).exists()
        (self.folder / name).touch()
        if name.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("core") and first:
            raise EngineDead("the core is gone")
        if name.startswith("distrust"):
            raise ViubenchError("the prompt lacks its timestamps")
        return Response("B", "stop")

    def describe(self) -> dict[str, Any]:
        return {"model": "echo", "version": "9" if self.started else ""}


def asked(folder: Path) -> list[tuple[int, str]]:
    """(process, sample) of every request, in order."""
    lines = (folder / "asked").read_text().splitlines()
    return [(int(line.split()[0]), line.split()[1]) for line in lines]
