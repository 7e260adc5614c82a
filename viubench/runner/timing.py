"""Where the time of a run goes: seconds in each stage, and how long the engine was idle.

Example:
    with stages.at("engine"):
        ...
    print(stages.summary())

Samples are under way side by side: the seconds of a stage are summed over samples, and may exceed those by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class StageTime:
    """One stage: samples that went through, the sum of their seconds, and seconds by the clock with any in it."""

    entered: int = 0
    seconds: float = 0.0
    occupied: float = 0.0
    inside: int = 0
    since: float = 0.0


@dataclass
class Stages:
    """The stages of one run by name; used from one thread."""

    clock: Callable[[], float] = time.perf_counter
    stages: dict[str, StageTime] = field(default_factory=dict)
    opened: float | None = None
    last: float = 0.0

    def open(self) -> None:
        """The engine is open: idle time counts from here."""
        self.opened = self.last = self.clock()

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """One sample is in the stage `name` during the block."""
        stage = self.stages.setdefault(name, StageTime())
        began = self.clock()
        if not stage.inside:
            stage.since = began
        stage.inside += 1
        stage.entered += 1
        try:
            yield
        finally:
            ended = self.last = self.clock()
            stage.inside -= 1
            stage.seconds += ended - began
            if not stage.inside:
                stage.occupied += ended - stage.since

    @property
    def wall(self) -> float:
        """Seconds from `open` to the end of the last stage."""
        return 0.0 if self.opened is None else self.last - self.opened

    def idle(self, name: str = "engine") -> float:
        """Share of `wall` during which nothing was in a stage, 0..1; 1 for a stage nothing went through."""
        stage = self.stages.get(name)
        if stage is None or not self.wall:
            return 1.0
        return max(0.0, 1 - stage.occupied / self.wall)

    def summary(self) -> str:
        """One line for a terminal; "" when no sample went through the engine."""
        engine = self.stages.get("engine")
        if engine is None or not self.wall:
            return ""
        waits = ", ".join(f"{name} {stage.seconds / stage.entered:.2f} s" for name, stage in self.stages.items())
        speed = f"{engine.entered} answers in {self.wall:.1f} s, {engine.entered / self.wall:.1f}/s"
        return f"{speed}; engine idle {100 * self.idle():.0f} %; mean time of a sample: {waits}"
