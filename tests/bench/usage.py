"""What this process and all below it have used: processor seconds, those of vLLM's engine core apart, and memory.

Example:
    before = used()
    ...
    spent = used() - before
    spent.total - spent.core     # the front end: reading videos, prompts, answers

Processes that ended count as soon as they were waited for, with the process that did it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench import machine

CORE = "::EngineCore"
"""Part of the title that vLLM gives the process of its engine core. Those below it, the workers of several GPUs, count
as the core too."""


@dataclass(frozen=True)
class Use:
    """Processor seconds: of all, and of the engine core; `core` is None where none runs."""

    total: float
    core: float | None

    def __sub__(self, before: Use) -> Use:
        core = None if self.core is None else self.core - (before.core or 0.0)
        return Use(self.total - before.total, core)


def used() -> Use:
    """Until now."""
    everybody, core = _processes()
    return Use(sum(map(_seconds, everybody)), sum(map(_seconds, core)) if core else None)


def front_peak_mb() -> float:
    """The most memory that one of the processes outside the core has had, of those that run, in 10^6 bytes."""
    everybody, core = _processes()
    others = [machine.peak_mb()]
    for process in everybody[1:]:
        if process not in core:
            with contextlib.suppress(OSError, IndexError):  # it has just ended
                others.append(machine.peak_mb(process.pid))
    return max(others)


def _processes() -> tuple[list[Any], list[Any]]:
    """This process and all below it; and those of the core among them."""
    import psutil

    me = psutil.Process()
    everybody = [me, *me.children(recursive=True)]
    core: list[Any] = []
    for process in everybody[1:]:
        with contextlib.suppress(psutil.Error):
            if process not in core and is_core(process.cmdline()):
                core += [process, *process.children(recursive=True)]
    return everybody, core


def is_core(command: Sequence[str]) -> bool:
    """Whether a command line is the title that vLLM gave an engine core."""
    return bool(command) and CORE in command[0]


def _seconds(process: Any) -> float:
    import psutil

    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0
