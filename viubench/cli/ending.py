"""How a command ends when something fails: two or three lines and an exit code, never a traceback.

Example:
    except Exception as error:
        sys.exit(failed(error))
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from viubench.cli.progress import print_error
from viubench.errors import Exit, ViubenchError
from viubench.storage import environment, output
from viubench.storage.secrets import mask

NO_THREAD = "can't start new thread"
"""What a RuntimeError says where there is no memory for the stack of a thread."""

GRACE = 30.0
"""Seconds that a command has to put its things away in after SIGTERM: an engine may be stuck in a step of its own."""


def failed(error: Exception) -> int:
    """Print an error, and return the exit code; with VIUBENCH_DEBUG also where it was raised."""
    try:
        said = _in_words(error)
        if environment.on(environment.DEBUG):
            print(mask("".join(traceback.format_exception(error))), end="", file=sys.stderr)
        print_error(said)
    except (MemoryError, ImportError, OSError) as lacking:  # not even for these words
        if isinstance(lacking, OSError) and lacking.errno != errno.ENOMEM:
            raise
        os.write(2, b"viubench: there is not enough memory\n")
        return Exit.USAGE
    return said.exit_code


def _in_words(error: BaseException) -> ViubenchError:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ViubenchError):
        return error
    if isinstance(error, OSError):
        return output.told(error)
    if isinstance(error, MemoryError) or str(error) == NO_THREAD:
        return ViubenchError("there is not enough memory", hint="lower --workers, or give it more (ulimit -v)")
    if isinstance(error, ImportError):
        hint = "viubench doctor checks the installation; a limit on memory (ulimit -v) has this effect too"
        return ViubenchError(f"a library cannot be loaded: {error!s:.300}", hint=hint)
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None
    return ViubenchError(
        f"this is a bug: {type(error).__name__}: {error!s:.300}",
        where=where,
        hint="VIUBENCH_DEBUG=1 shows more to report; what a run had finished is kept",
        exit_code=Exit.BUG,
    )


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Ctrl-C ends the block with its exit code; so does SIGTERM, which an event loop then takes between two of its
    steps. More of those change nothing while it puts its things away; where that takes longer than `GRACE`, the
    process ends all the same."""
    came = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        last = threading.Timer(GRACE, os._exit, (128 + signal.SIGTERM,))
        last.daemon = True
        last.start()
        interrupt = signal.getsignal(signal.SIGINT)
        (interrupt if callable(interrupt) else signal.default_int_handler)(signal.SIGINT, frame)

    background = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # of a script: Ctrl-C is not for us
    if background:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        if came:
            sys.exit(128 + signal.SIGTERM)
        if isinstance(stop, KeyboardInterrupt):
            sys.exit(128 + signal.SIGINT)
        raise
    finally:
        if not came:
            signal.signal(signal.SIGTERM, before)
        if background:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
