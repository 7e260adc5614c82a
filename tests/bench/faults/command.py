"""The command in the process of its own: with few files or little memory, and with engines that answer by a script.

Example:
    under(Limits(files=40), ["run", "--engine", "oracle", ...])
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

GRACE_S = 3.0
"""Time to put things away in after SIGTERM, instead of half a minute."""

PACE_S = 0.01
"""Of one answer, so that there is time for a fault."""

HANGS = "the engine hangs now"
"""What is printed then, so that nobody waits for it in vain, or ends it too early."""


@dataclass(frozen=True)
class Limits:
    """What a program gets besides its words. `files` open at once, `memory` bytes more than it has, `size` of a file;
    `engine` fails its request of number `request`; `closed` streams (1 and 2) are pipes nobody reads; `decode` and
    `timeout` are seconds of one decoding and of one try at a server."""

    files: int | None = None
    memory: int | None = None
    size: int | None = None
    engine: str = ""
    request: int = 0
    closed: tuple[int, ...] = ()
    decode: float = 300.0
    timeout: float = 60.0


def under(limits: Limits, words: Sequence[str]) -> None:
    """In the process of its own: run the command as if it had been typed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as `viubench.__main__` does until the command line is read
    faulthandler.enable()
    tempfile.tempdir = None  # from the environment again
    if limits.size is not None:  # Python 3.11 leaves a module's bytecode cut off, and can never import it again
        sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    for what, most in ((resource.RLIMIT_NOFILE, limits.files), (resource.RLIMIT_FSIZE, limits.size),
                       (resource.RLIMIT_AS, limits.memory and limits.memory + _size())):  # fmt: skip
        if most is not None:
            resource.setrlimit(what, (most, most))
    sys.argv[:] = ["viubench", *words]
    from viubench import cli

    read = cli.typed

    def typed(command: Any, words: Sequence[str]) -> list[str]:
        _script(limits)  # what it imports, the command does
        return read(command, words)

    with mock.patch.object(cli, "typed", typed):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.main()


def _size() -> int:
    pages = Path("/proc/self/statm").read_text().split()[0]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _script(limits: Limits) -> None:
    """The oracle looks at the frames, both baselines take their time, and one request may fail."""
    from viubench.cli import ending
    from viubench.engines.baselines import OracleEngine, RandomEngine
    from viubench.runner import evaluate
    from viubench.video import process_pool

    OracleEngine.needs_media = True
    evaluate.DECODE_SECONDS = limits.decode
    process_pool.START_S = min(process_pool.START_S, 10 * limits.decode)
    ending.GRACE = GRACE_S
    asked = 0
    for engine in (OracleEngine, RandomEngine):
        engine.max_in_flight = 4

        async def generate(self: Any, request: Any, answer: Any = engine.generate) -> Any:
            nonlocal asked
            asked += 1
            await asyncio.sleep(PACE_S)
            if limits.engine and asked == limits.request:
                await FAILURES[limits.engine]()
            return await answer(self, request)

        engine.generate = generate  # type: ignore[method-assign]


async def _dies() -> None:
    from viubench.errors import EngineDead

    raise EngineDead("the engine is gone")


async def _fails() -> None:
    raise KeyError("never thought of")


async def _memory() -> None:
    raise MemoryError


async def _aborts() -> None:
    os.kill(os.getpid(), signal.SIGABRT)


def _tell() -> None:
    with suppress(OSError):  # nobody takes what it says
        print(HANGS, file=sys.stderr, flush=True)


async def _hangs() -> None:
    _tell()
    await asyncio.sleep(3600)


async def _blocks() -> None:
    _tell()
    time.sleep(3600)


FAILURES: Mapping[str, Any] = {
    "dies": _dies, "fails": _fails, "memory": _memory, "aborts": _aborts, "hangs": _hangs, "blocks": _blocks,
}  # fmt: skip
