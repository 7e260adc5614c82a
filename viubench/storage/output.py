"""What cannot be written, told in words: folders that are tried before the long work, writes that meet a full disk.

Example:
    folder(Path("runs/a"), "--out")          # ViubenchError now, not after an hour
    with writing(Path("runs/a/records.jsonl")):
        file.write(line)
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from viubench.errors import ViubenchError
from viubench.storage.atomic import ASIDE

FULL = "make room and run the same command again: what was finished is kept"
HINTS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EMFILE: "raise the limit of open files (ulimit -n), or lower --workers",
    errno.ENFILE: "the system has no free files left: end other programs",
    errno.ENAMETOOLONG: "give a shorter name",
}
OTHER = "name a folder that can be written to"


def told(error: OSError, path: Path | None = None, where: str | None = None) -> ViubenchError:
    """A system error as one for the user: what failed, on which file, and what to do."""
    named = path if path is not None else error.filename
    file = f"{'cannot write ' if path else ''}{named!s:.300}: " if named is not None else ""
    said = error.strerror or str(error) or type(error).__name__
    return ViubenchError(f"{file}{said}", where=where, hint=HINTS.get(error.errno or 0, OTHER if path else None))


@contextmanager
def writing(path: Path, where: str | None = None) -> Iterator[None]:
    """A block that writes `path`; what the system refuses in it is raised as a ViubenchError."""
    try:
        yield
    except OSError as error:
        raise told(error, path, where) from error


def folder(path: Path, where: str) -> None:
    """Create a folder, and see that files can be created in it; `where` is the option that named it. Raises
    ViubenchError."""
    with writing(path, where):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file, not a folder")
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".{uuid.uuid4().hex}{ASIDE}"
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        probe.unlink()


def try_folder(path: Path, where: str) -> None:
    """`folder`, but what it creates is removed again: for work that may still turn out to be a mistake."""
    with writing(path, where):
        missing = [one for one in (path, *path.parents) if not one.exists()]
    folder(path, where)
    for one in missing:
        one.rmdir()


def file(path: Path, where: str) -> None:
    """See that a file can be written as a whole: its folder takes files, and no folder has its name."""
    folder(path.parent, where)
    with writing(path, where):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file")
