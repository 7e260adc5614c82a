"""What runs in a replica: an engine with decoders and a frame cache of its own, and the whole pipeline of a sample.

Example:
    opened = await worker.open(first_samples)
    record = await worker.answer(Attempt(sample))

A replica is sent samples and sends back records; frames never travel.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from viubench.engines.base import Engine, Needs
from viubench.errors import ViubenchError
from viubench.runner.pipeline import Pipeline
from viubench.runner.plan import Attempt, Plan
from viubench.schema import Record
from viubench.video import cores
from viubench.video.frame_cache import FrameCache, default_root
from viubench.video.loader import Media
from viubench.video.process_pool import KillablePool
from viubench.video.readers import OWN


@dataclass(frozen=True)
class ReplicaSpec:
    """What a replica gets when it starts; it is pickled.

    Attributes:
        out: the run folder, which gets the filmstrips of the samples with the ids `filmstrips`.
        frame_cache, cache_bytes: folder and size of the frame cache; the machine's own defaults where None.
        decoders: decoding processes of each replica; where None, its part of the cores among the `beside` replicas that
            share them.
        decode_seconds: wall limit of a decoding process for one video.
        environment: set before anything else.
        folder: where the run was started, and relative paths begin.
        needs: what the run asks of its engines at most, where that is known.
        reader: what decodes (`viubench.video.readers`).
        compress: whether the frame cache compresses new frames.
    """

    engine: Callable[[], Engine]
    plan: Plan
    out: Path
    filmstrips: frozenset[str] = frozenset()
    frame_cache: Path | None = None
    cache_bytes: int | None = None
    decoders: int | None = 1
    decode_seconds: float = 300.0
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = field(default_factory=Path.cwd)
    needs: Needs | None = None
    beside: int = 1
    reader: str = OWN
    compress: bool = False

    def travelling(self) -> ReplicaSpec:
        """As it is sent: without the samples, which follow one by one."""
        return replace(self, plan=replace(self.plan, samples=(), blind_answers={}))


@dataclass(frozen=True)
class Opened:
    """What a replica says when its engine is open: what the engine describes, and whether it has the run folder."""

    engine: dict[str, Any]
    sees_folder: bool


class Worker:
    """One replica's side: `open` once, `answer` many at a time, `close`."""

    def __init__(self, spec: ReplicaSpec) -> None:
        self.spec = spec
        self._engine: Engine | None = None
        self._pool: KillablePool | None = None
        self._pipeline: Pipeline | None = None

    async def open(self, soon: Sequence[Attempt]) -> Opened:
        """Start the engine; meanwhile the videos of what comes `soon` are decoded. Raises ViubenchError as
        the engine does, or where this machine lacks the folder the run was started in."""
        spec = self.spec
        work_in(spec.folder)
        os.environ.update(spec.environment)
        self._engine = engine = spec.engine()
        if spec.needs is not None:
            engine.expect(spec.needs)
        media = None
        if engine.needs_media:
            self._pool = KillablePool(spec.decoders or cores.workers(spec.beside), spec.decode_seconds)
            cache = FrameCache(
                spec.frame_cache or default_root(), spec.cache_bytes, spec.reader, compress=spec.compress
            )
            media = Media(cache, self._pool)
        sees_folder = (spec.out / "manifest.json").is_file()
        self._pipeline = Pipeline(spec.plan, engine, media, spec.out, spec.filmstrips if sees_folder else frozenset())
        self._pipeline.look_ahead(soon)
        await engine.start()
        return Opened(engine.describe(), sees_folder)

    async def answer(self, attempt: Attempt) -> Record:
        """The answer's record; raises ViubenchError where the engine finds that it cannot be trusted."""
        assert self._pipeline is not None, "answer before open"
        return await self._pipeline.answer(attempt)

    async def close(self) -> None:
        """End the decoders and the engine; safe to call twice."""
        if self._pool is not None:
            self._pool.close()
        if self._engine is not None:
            await self._engine.close()


def work_in(folder: Path) -> None:
    """Let relative paths mean what they mean where the command was given; ViubenchError where that folder is not."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise ViubenchError(
            f"the machine {platform.node()} has no folder {folder}: {error.strerror}",
            hint="the machines of a cluster need a file system in common, see docs/scaling.md",
        ) from None
