"""The memory of a watch: one line for every checkpoint that was evaluated, on disk before anything else happens.

Example:
    with History.open(Path("runs/train/watch")) as history:
        history.append(entry)
        history.knows("checkpoint-200", fingerprint, options)  # True

`history.jsonl` is only ever appended to. A kill can tear its last line, which the next start cuts off: that checkpoint
is then not known, but its run folder is there whole, and is entered again without being evaluated.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from filelock import BaseFileLock
from pydantic import ValidationError

from viubench.errors import ViubenchError
from viubench.schema import Entry
from viubench.storage import atomic, locking

FILE = "history.jsonl"


class History:
    """The lines of one watch, open for appending by one process at a time."""

    def __init__(self, out: Path, lock: BaseFileLock, entries: list[Entry]) -> None:
        self.out = out
        self.entries = entries
        self._lock = lock

    @classmethod
    def open(cls, out: Path) -> History:
        """Make or reopen the folder, lock it, and read its lines.

        Raises:
            ViubenchError: another watch writes to it, a line that cannot be read, or a folder that cannot be made.
        """
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ViubenchError(f"cannot write to {out}: {error.strerror}", where="--out") from None
        busy, hint = f"another watch is writing to {out}", "end it first, or name another folder"
        lock = locking.acquire(out / ".lock", busy, where="--out", hint=hint)
        try:
            return cls(out, lock, read(out))
        except ViubenchError:
            lock.release()
            raise

    def append(self, entry: Entry) -> None:
        """Put a line down; it is on disk when this returns."""
        line = entry.model_dump_json(by_alias=True).encode() + b"\n"
        path = self.out / FILE
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.ftruncate(descriptor, _whole(path))  # what an append that failed half way left
            written = 0
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not self.entries:
            atomic.sync(self.out)
        self.entries.append(entry)

    def knows(self, name: str, fingerprint: str, options: Sequence[str]) -> bool:
        """Whether these weights under this name were evaluated, or failed with these very options."""
        same = [entry for entry in self.entries if (entry.name, entry.fingerprint) == (name, fingerprint)]
        return any(entry.status == "evaluated" or entry.options == list(options) for entry in same)

    def latest(self) -> list[Entry]:
        """The last line about each name, by step: what its present weights came to."""
        last = {entry.name: entry for entry in self.entries}
        return sorted(last.values(), key=lambda entry: (entry.step, entry.name))

    def close(self) -> None:
        self._lock.release()

    def __enter__(self) -> History:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def read(out: Path) -> list[Entry]:
    """The lines of a watch's history; a torn last one is left out.

    Raises:
        ViubenchError: a line that cannot be read; `where` names it.
    """
    path = out / FILE
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_bytes()[: _whole(path)].splitlines(), start=1):
        try:
            entries.append(Entry.model_validate_json(line))
        except ValidationError:
            raise ViubenchError(
                "a line of the history cannot be read",
                where=f"{path}:{number}",
                hint="remove the line: its checkpoint is entered again from its run folder",
            ) from None
    return entries


def _whole(path: Path) -> int:
    """Bytes of the file up to the end of its last whole line."""
    return path.read_bytes().rfind(b"\n") + 1
