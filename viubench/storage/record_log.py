"""`records.jsonl`, line by line: read whole or in part, and repaired after a kill or damage.

Example:
    repair(Path("runs/a")).done
    # {('viubench_jigsaw_easy-0c8f2b', 0), ('viubench_jigsaw_easy-91d5e0', 0)}

Nothing here holds the lines: a million of them cost the set of their keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from viubench.errors import ViubenchError
from viubench.schema import Record
from viubench.storage import atomic

M = TypeVar("M", bound=BaseModel)

Key = tuple[str, int]
"""A sample's id, and which of the answers to it (see `Record.key`)."""

FILE = "records.jsonl"

DAMAGED = "records.damaged.jsonl"
"""Lines that could not be read when the run went on, as they were."""

START = b'{"task":'
"""How a record starts. No text inside of one has these bytes: JSON writes its quotation marks as \\"."""

HINT = "run the same command again: it keeps every record that can be read, and asks for the other answers again"


@dataclass
class Repaired:
    """The keys of finished answers, and how many lines could not be read."""

    done: set[Key]
    damaged: int = 0


def read(path: Path, kind: type[M]) -> Iterator[M]:
    """The records of a run folder in the order they were written, or what `kind` reads of them; a torn last line is
    left out. Raises ViubenchError, whose `where` names the line, for any other that cannot be read."""
    file = path / FILE
    if not file.exists():
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield kind.model_validate_json(line)
            except ValidationError:
                if not line.endswith(b"\n"):
                    return
                raise _unreadable(file, number) from None


def repair(path: Path) -> Repaired:
    """Make the records ready to be added to. A torn last line is cut off, and a line is dropped where a retry may
    succeed or a later line has the same key. A line that cannot be read goes to `DAMAGED`; a whole record at its end
    is kept. Else the file stays as it is."""
    file = path / FILE
    if not file.exists():
        return Repaired(set())
    last: dict[Key, int] = {}
    dropped: set[int] = set()
    damaged: set[int] = set()
    size, line, torn = 0, b"\n", False
    with file.open("rb") as lines:
        for number, line in enumerate(lines):
            start, record = _record(line)
            if torn := record is None and not line.endswith(b"\n"):
                break
            size += len(line)
            if start:
                damaged.add(number)
            if record is None or record.retryable:
                dropped.add(number)
                continue
            if record.key in last:
                dropped.add(last[record.key])
            last[record.key] = number
    if dropped or damaged:
        _rewrite(file, dropped, damaged, size)
    elif torn:
        os.truncate(file, size)
    elif not line.endswith(b"\n"):  # cut between the record and its line's end
        with file.open("ab") as end:
            end.write(b"\n")
    return Repaired(set(last), len(damaged))


def _record(line: bytes) -> tuple[int, Record | None]:
    """The record of a line and where it starts: 0, or further on where other bytes stand before it."""
    for start in (0, line.rfind(START)):
        with suppress(ValidationError):
            return start, Record.model_validate_json(line[start:]) if start >= 0 else None
    return -1, None


def _rewrite(file: Path, dropped: set[int], damaged: set[int], size: int) -> None:
    """The first `size` bytes without the lines of these numbers, and of a damaged line only its record."""
    with (
        atomic.replacing(file) as aside,
        file.open("rb") as lines,
        aside.open("wb") as kept,
        file.with_name(DAMAGED).open("ab") if damaged else nullcontext() as apart,
    ):
        for number, line in enumerate(lines):
            if size <= 0:
                break
            size -= len(line)
            if number in damaged and apart is not None:
                apart.write(line)
                line = line[max(line.rfind(START), 0) :]
            if number not in dropped:
                kept.write(line if line.endswith(b"\n") else line + b"\n")
        kept.flush()
        os.fsync(kept.fileno())


def _unreadable(file: Path, number: int) -> ViubenchError:
    return ViubenchError("a record cannot be read", where=f"{file}:{number}", hint=HINT)
