"""A program as a fork of the test process, which has imported what the program needs: seconds of computing less each.

Its environment, folder, output, signals and session are its own, as with `subprocess`, and of what is open in the test
process it has nothing. Where the start of Python itself is tested, `subprocess` is right.

Example:
    with forked.start(lambda: train(config), stderr=log) as program:
        ...
        program.send_signal(signal.SIGINT)
        program.wait(60)
"""

from __future__ import annotations

import gc
import io
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import IO, Any

CONTEXT = multiprocessing.get_context("fork")

ENDING = {signal.SIGINT, signal.SIGTERM}
"""Signals for which the parent may have handlers of its own, which its forks are born with."""


class Fork:
    """What the tests and `viubench` use of `subprocess.Popen`."""

    def __init__(self, target: Callable[[], None]) -> None:
        self._process = CONTEXT.Process(target=target)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # one that comes at once waits for `_own_streams`
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def __enter__(self) -> Fork:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code, that of a signal negative; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        if timeout is None:
            self._process.join()
        deadline = time.monotonic() + (timeout or 0)
        while (code := self.poll()) is None:  # `join` would wait for a pipe that the fork has closed
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    run: Callable[[], Any],
    *,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | int | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    start_new_session: bool = False,
) -> Fork:
    """Call `run` in a fork, which ends with the exit code that it returns or raises as SystemExit."""

    def program() -> None:
        if start_new_session:
            os.setsid()
        _own_streams(stdout, stderr, pass_fds)
        if env is not None:
            os.environ.clear()
            os.environ.update(env)
        if cwd is not None:
            os.chdir(cwd)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            sys.exit(run())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    gc.collect()
    gc.freeze()  # what is here takes no part in the collections of the fork
    return Fork(program)


def _own_streams(stdout: IO[Any] | int | None, stderr: IO[Any] | int | None, keep: Sequence[int]) -> None:
    """In the fork: its standard streams, and nothing else that is open in the parent. Until all is its own, signals end
    it without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    given = [os.dup(place if one is None else getattr(one, "fileno", lambda one=one: one)())
             for one, place in ((stdout, 1), (stderr, 2))]  # fmt: skip
    for number, place in zip(given, (1, 2), strict=True):
        os.dup2(number, place)
    for number in [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2 and int(name) not in keep]:
        with suppress(OSError):
            os.close(number)
    print_there()
    for server in (forkserver._forkserver, resource_tracker._resource_tracker):
        vars(server).update(vars(type(server)()))  # the parent's are not for its forks


def print_there() -> None:
    """In a fork: what it prints and logs goes to its standard streams, where pytest had put its own."""
    sys.stdout, sys.stderr = (os.fdopen(place, "w", buffering=1, closefd=False) for place in (1, 2))
    logging.root.handlers.clear()  # pytest's
    for logger in logging.root.manager.loggerDict.values():
        for handler in getattr(logger, "handlers", ()):
            if isinstance(vars(handler).get("stream"), io.TextIOWrapper):
                handler.stream = sys.stderr  # `setStream` would flush the old one, which may be closed
