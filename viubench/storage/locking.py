"""One process at a time: a lock on a file, which the system releases however its holder ends.

Example:
    acquire(Path("runs/a/.lock"), "another process is writing to runs/a", where="--out").release()
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from viubench.errors import ViubenchError
from viubench.storage import output

LOCK = ".lock"
"""The file in a folder that its lock is on."""


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


@contextmanager
def alone(folder: Path, busy: str, *, where: str, hint: str | None = None) -> Iterator[None]:
    """A block that has the folder, created where it is missing, to itself; a new one in which nothing came to be is
    removed again. Raises ViubenchError as `acquire`, and where the folder cannot be written."""
    new = not folder.exists()
    output.folder(folder, where)
    lock = acquire(folder / LOCK, busy, where=where, hint=hint)
    try:
        yield
    finally:
        leave(folder, lock, new)


def leave(folder: Path, lock: BaseFileLock, new: bool) -> None:
    """Release the lock of a folder, and remove a `new` one in which nothing came to be."""
    lock.release()
    if new and {one.name for one in folder.iterdir()} <= {LOCK}:
        shutil.rmtree(folder)


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
