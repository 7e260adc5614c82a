"""The history of a watch: one line for every checkpoint that was evaluated, on disk before the next one starts.

Example:
    with History.open(Path("runs/train/watch")) as history:
        history.append(entry)

A torn last line, as earlier versions left it when killed, is ignored: the finished run folder is entered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import BaseFileLock
from pydantic import ValidationError

from viubench.errors import ViubenchError
from viubench.schema import WatchEntry
from viubench.storage import atomic, locking

FILE = "history.jsonl"


class History(AbstractContextManager["History"]):
    """The lines of one watch, open for appending by one process at a time."""

    def __init__(self, out: Path, lock: BaseFileLock, entries: list[WatchEntry]) -> None:
        self.out = out
        self.entries = entries
        self._lock = lock

    @classmethod
    def open(cls, out: Path) -> History:
        """Create or reopen the folder, lock it, and read its lines; raises ViubenchError where that cannot be done, or
        another watch writes to it."""
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ViubenchError(f"cannot write to {out}: {error.strerror}", where="--out") from None
        busy, hint = f"another watch is writing to {out}", "stop it, or use another folder"
        lock = locking.acquire(out / locking.LOCK, busy, where="--out", hint=hint)
        try:
            return cls(out, lock, read(out))
        except ViubenchError:
            lock.release()
            raise

    def append(self, entry: WatchEntry) -> None:
        """Add a line; it is on disk when this returns."""
        line = entry.model_dump_json(by_alias=True).encode() + b"\n"
        atomic.write(self.out / FILE, b"".join(_lines(self.out)), line, lasting=True)
        atomic.sync(self.out)
        self.entries.append(entry)

    def has(self, name: str, fingerprint: str, options: Sequence[str]) -> bool:
        """Whether these weights under this name were evaluated, or failed with these very options."""
        same = [entry for entry in self.entries if (entry.name, entry.fingerprint) == (name, fingerprint)]
        return any(entry.status == "evaluated" or entry.options == list(options) for entry in same)

    def latest(self) -> list[WatchEntry]:
        """The last line about each name, by step: the result of its present weights."""
        last = {entry.name: entry for entry in self.entries}
        return sorted(last.values(), key=lambda entry: (entry.step, entry.name))

    def close(self) -> None:
        self._lock.release()

    def __exit__(self, *_: object) -> None:
        self.close()


def read(out: Path) -> list[WatchEntry]:
    """The entries of a watch's history; ViubenchError, whose `where` names it, for a line that cannot be read."""
    entries = []
    for number, line in enumerate(_lines(out), start=1):
        try:
            entries.append(WatchEntry.model_validate_json(line))
        except ValidationError:
            raise ViubenchError(
                "a line of the history cannot be read",
                where=f"{out / FILE}:{number}",
                hint="remove the line: its checkpoint is entered again from its run folder",
            ) from None
    return entries


def _lines(out: Path) -> list[bytes]:
    """The complete lines, each with its end; none without a file."""
    try:
        lines = (out / FILE).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [line for line in lines if line.endswith(b"\n")]
