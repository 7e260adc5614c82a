"""A child process that ends when we do: in a process group of its own, waited for, and terminated with us.

Example:
    code = run([sys.executable, "-m", "viubench", "run", ...], Path("evaluation.log"))

A parent that is killed cannot terminate its child. On Linux the system then does; elsewhere the child finishes alone,
and its lock on the run folder shows that it is running.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TICK = 0.25
"""Seconds between two polls of a child."""

GRACE = 30.0
"""Seconds that a child has to end in before it is killed: an engine frees a GPU and its workers."""

DIES_WITH_US = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != int(sys.argv[1]):  # the parent was gone before the line above
        sys.exit(128 + signal.SIGTERM)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def run(
    command: Sequence[str],
    log: Path | None,
    *,
    environment: Mapping[str, str] | None = None,
    limit: float | None = None,
    tick: Callable[[], None] = lambda: None,
) -> int:
    """Run `command` to its end and return its exit code, minus the signal's number where one ended it.

    Args:
        log: file for its output; our own terminal where None.
        environment: all of it; ours where None.
        limit: seconds after which it is ended; `tick` is called every `TICK` seconds until then.
    """
    with contextlib.nullcontext() if log is None else log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-c", DIES_WITH_US, str(os.getpid()), *command],
            stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True,
            env=environment,
        )  # fmt: skip
        try:
            started = time.monotonic()
            while limit is None or time.monotonic() - started <= limit:
                try:
                    return child.wait(TICK)
                except subprocess.TimeoutExpired:
                    tick()
            _end(child)
            return child.returncode
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """No process of a child that did not end well outlives this, whatever interrupts it."""
    try:
        if child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
    finally:
        if child.returncode != 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        child.wait()
