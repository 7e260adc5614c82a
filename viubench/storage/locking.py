"""One process at a time: a lock on a file, which the system gives back however its holder ends.

Example:
    with take(Path("runs/a/.lock")):
        ...  # BlockingIOError for everybody else who tries
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from viubench.errors import ViubenchError


def take(path: Path) -> IO[str]:
    """Lock the file, made where it is not there, until what is returned is closed.

    Raises:
        BlockingIOError: another process has it.
        OSError: the file cannot be opened.
        ViubenchError: its file system knows no locks.
    """
    return _locked(path, "a")


def is_held(path: Path) -> bool:
    """Whether a process has the lock; a file that is not there is not made."""
    try:
        _locked(path, "r").close()
    except BlockingIOError:
        return True
    except (OSError, ViubenchError):
        return False
    return False


def _locked(path: Path, mode: str) -> IO[str]:
    file = path.open(mode)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            raise
        raise ViubenchError(
            f"{path} cannot be locked: {error.strerror}",
            where=str(path),
            hint="name a folder on a file system that has locks",
        ) from None
    return file
