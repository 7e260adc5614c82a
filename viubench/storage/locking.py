"""One process at a time: a lock on a file, which the system releases however its holder ends.

Example:
    acquire(Path("runs/a/.lock"), "another process is writing to runs/a", where="--out").release()
"""

from __future__ import annotations

from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from viubench.errors import ViubenchError


def acquire(path: Path, busy: str, *, where: str, hint: str | None = None) -> BaseFileLock:
    """Lock the file, created where it is missing, until `release()`. Raises ViubenchError with the message `busy` while
    another process holds it, and where its file system has no locks."""
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ViubenchError(busy, where=where, hint=hint) from None
    except OSError as error:
        raise ViubenchError(
            f"{path} cannot be locked: {error.strerror}", where=where, hint="name a writable folder on a local disk"
        ) from None
    return lock


def is_held(path: Path) -> bool:
    """Whether a process holds the lock; a missing file is not created."""
    if not path.exists():
        return False
    try:
        with FileLock(path, thread_local=False).acquire(blocking=False):
            return False
    except Timeout:
        return True
    except OSError:
        return False
