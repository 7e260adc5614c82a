"""Several engines side by side, each in a process of its own that runs the whole pipeline of a sample.

Example:
    replicas = Replicas(engine, Processes(spec, replicas=2), warn=print)
    await run(plan, replicas, folder)

This process hands out samples and collects records, nothing else. A replica that dies costs no sample: what it had
in flight is retried elsewhere, and another one is started in its place.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from viubench.engines.base import Engine
from viubench.errors import EngineDead, Exit, ViubenchError
from viubench.runner.parallel.queue import WorkQueue
from viubench.runner.parallel.worker import Opened
from viubench.runner.pipeline import LOOK_AHEAD, failed
from viubench.runner.plan import Attempt
from viubench.schema import Record

RESTARTS = 3
"""Times in a row, without a record in between, that a replica is started again before its place stays empty."""


GRACE = 20.0
"""Seconds that a replica has to close its engine in before it is killed."""


class Died(Exception):
    """A replica is gone; the text says how."""


class Replica(ABC):
    """One replica, seen from here. Every call raises Died when it is gone or goes meanwhile."""

    @abstractmethod
    async def open(self, soon: Sequence[Attempt]) -> Opened:
        """See `Worker.open`."""

    @abstractmethod
    async def answer(self, attempt: Attempt) -> Record:
        """See `Worker.answer`."""

    @abstractmethod
    async def close(self) -> None:
        """End it and everything it started; never raises Died, safe to call in any state."""


class Transport(AbstractContextManager["Transport"]):
    """Where replicas live, while it is entered."""

    name: ClassVar[str]  # for the manifest
    replicas: int

    @abstractmethod
    def replica(self, number: int) -> Replica:
        """A fresh one, not started yet, in place `number` of [0, replicas)."""

    def __exit__(self, *_: object) -> None:
        """Leave what `__enter__` took."""


class Replicas:
    """Answers questions through the replicas of a transport; see `runner.loop.Answering`. `engine` is one as the
    replicas have it, and never started here; `warn` gets a line for the user when a replica dies."""

    def __init__(self, engine: Engine, transport: Transport, warn: Callable[[str], None]) -> None:
        self.kind = engine.kind
        self.deterministic = engine.deterministic
        self.transport = transport
        self.warn = warn
        self.room = engine.max_in_flight + LOOK_AHEAD
        self.described = engine.describe()
        self.known = False
        self._alive = transport.replicas

    def describe(self) -> dict[str, Any]:
        """What the engine says of itself, and how many of it there are where."""
        return self.described | {"replicas": self.transport.replicas, "transport": self.transport.name}

    async def answer_all(
        self,
        attempts: Sequence[Attempt],
        finished: Callable[[Record], None],
        opened: Callable[[], None],
        more: Callable[[], Sequence[Attempt]] = tuple,
    ) -> None:
        """See `runner.loop.Answering`; each attempt gets one record."""
        queue = WorkQueue(attempts, self.transport.replicas)

        def one(record: Record) -> None:
            finished(record)
            queue.done()

        async with asyncio.TaskGroup() as group:
            places = [_Place(number, self, queue, one, opened) for number in range(self.transport.replicas)]
            held = [group.create_task(place.hold()) for place in places]
            while queue.open:
                await queue.news()
                if not queue.open:
                    queue.add(more())
            for task in held:  # also one whose replica is still being started
                task.cancel()

    def give_up(self, number: int, why: str, left: int) -> None:
        """A place stays empty; raises ViubenchError when it was the last one."""
        self._alive -= 1
        if self._alive == 0:
            raise ViubenchError(
                f"no replica is left, and {left} samples have no answer; the last one: {why}",
                hint="rerun the same command to resume; --debug shows what the engines print",
                exit_code=Exit.INVALID_RUN,
            )
        self.warn(f"replica {number} is not restarted; {self._alive} continue")


@dataclass
class _Place:
    """Keeps one place filled: a replica, and another one when it dies."""

    number: int
    replicas: Replicas
    queue: WorkQueue
    finished: Callable[[Record], None]
    opened: Callable[[], None]
    was_open: bool = False
    tries: int = 0

    async def hold(self) -> None:
        """Until it is cancelled, or too many replicas died here."""
        while True:
            replica = self.replicas.transport.replica(self.number)
            try:
                await self._open(replica)
                await self._feed(replica)
            except Died as death:
                self.tries += 1
                if self.tries > RESTARTS:
                    self.replicas.give_up(self.number, str(death), self.queue.open)
                    return
            finally:
                await replica.close()

    async def _open(self, replica: Replica) -> None:
        try:
            about = await replica.open(self.queue.next_for(self.number, self.replicas.room))
        except ViubenchError as error:
            if not self.was_open:
                raise
            self.replicas.warn(f"replica {self.number} could not be restarted: {error.message}")
            raise Died(error.message) from error  # the dead one's memory may not be free yet
        except Died as death:
            self.replicas.warn(f"replica {self.number} died while it was started: {death}")
            raise
        if not (self.was_open or about.sees_folder):
            self.replicas.warn(f"replica {self.number} does not see the run folder: it keeps no filmstrips")
        self.was_open = True
        if not self.replicas.known:  # the first replica speaks for all
            self.replicas.known, self.replicas.described = True, about.engine
            self.opened()

    async def _feed(self, replica: Replica) -> None:
        """Keep the replica busy; raises Died."""
        under_way: dict[asyncio.Task[Record], Attempt] = {}
        try:
            while True:
                self._fill(replica, under_way)
                if not under_way:
                    await self.queue.news()
                    continue
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    self._book(task.result())
                    del under_way[task]
        except (Died, EngineDead) as death:
            for task in [task for task in under_way if task.done()]:  # records that came in the same moment
                if task.exception() is None:
                    self._book(task.result())
                    del under_way[task]
            retried = [one for one in under_way.values() if not self._is_the_cause(one, str(death))]
            self.replicas.warn(f"replica {self.number} died: {death}; {len(retried)} samples are retried")
            for attempt in retried:
                self.queue.retry(attempt)
            raise Died(str(death)) from death
        finally:
            for task in under_way:
                task.cancel()

    def _fill(self, replica: Replica, under_way: dict[asyncio.Task[Record], Attempt]) -> None:
        while len(under_way) < self.replicas.room and not any(map(self.queue.suspected, under_way.values())):
            attempt = self.queue.take(self.number, idle=not under_way)
            if attempt is None:
                return
            under_way[asyncio.create_task(replica.answer(attempt))] = attempt

    def _book(self, record: Record) -> None:
        self.tries = 0
        self.finished(record)

    def _is_the_cause(self, attempt: Attempt, death: str) -> bool:
        """Whether the attempt was alone with a second replica that died; it gets its record then."""
        if not self.queue.suspected(attempt):
            return False
        self._book(failed(attempt, "engine_error", "engine", f"two replicas died of it, the second: {death}"))
        return True
