"""How a command ends when something fails: two or three lines and an exit code, never a traceback.

Example:
    except Exception as error:
        sys.exit(failed(error))
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

from viubench.cli.progress import print_error
from viubench.errors import Exit, ViubenchError
from viubench.storage import output


def failed(error: Exception) -> int:
    """Print an error, and return the exit code; with VIUBENCH_DEBUG also where it was raised."""
    said = _in_words(error)
    if os.environ.get("VIUBENCH_DEBUG"):
        traceback.print_exception(error)
    print_error(said)
    return said.exit_code


def _in_words(error: BaseException) -> ViubenchError:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ViubenchError):
        return error
    if isinstance(error, OSError):
        return output.told(error)
    if isinstance(error, MemoryError):
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


def end_on_sigterm() -> None:
    """SIGTERM ends this process in order; more of them change nothing while it puts its things away."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
