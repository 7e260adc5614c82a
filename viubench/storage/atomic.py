"""Files that others see complete or not at all, whenever the writer is killed.

Example:
    write(Path("results.json"), b"{}", lasting=True)
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ASIDE = ".part"
"""Ending of a file that is being written; one that stays was left by a killed writer."""


def write(path: Path, *parts: bytes | memoryview, lasting: bool = False) -> None:
    """Write `parts` one after the other as the new content of `path`; `lasting` also survives a power cut (fsync), for
    results, not for caches."""
    with replacing(path) as aside, aside.open("wb") as file:
        for part in parts:
            file.write(part)
        if lasting:
            file.flush()
            os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Bring what was written of a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file name beside `path`, of another ending, whose content becomes that of `path` when the block ends well; an
    empty folder of that name gives way. An OSError of the block names `path`."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}{ASIDE}")
    try:
        yield aside
        try:
            os.replace(aside, path)
        except IsADirectoryError:
            path.rmdir()
            os.replace(aside, path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # a write that fails names no file, the others the one aside
        raise
    finally:
        aside.unlink(missing_ok=True)
