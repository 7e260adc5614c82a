"""`records.jsonl`, line by line: read whole or in part, and repaired after a kill.

Example:
    repair(Path("runs/a"))
    # {('viubench_jigsaw_easy-0c8f2b', 0), ('viubench_jigsaw_easy-91d5e0', 0)}

Nothing here holds the lines: a million of them cost the set of their keys.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from viubench.errors import ViubenchError
from viubench.schema import RecordState
from viubench.storage import atomic

M = TypeVar("M", bound=BaseModel)

Key = tuple[str, int]
"""A sample's id, and which of the answers to it (see `Record.key`)."""

FILE = "records.jsonl"

TEXT = rb'"(?:[^"\\]|\\.)*"'
PLAIN = re.compile(
    rb'\{"task":%b,"id":"([ !#-\[\]-~]+)",(?:"number":([0-9]{1,9}),)?"cluster":%b,'
    rb'"status":"(?:ok|unparsed|truncated|refused)",' % (TEXT, TEXT)
)
"""How a line starts that a run wrote of a sample that was answered: enough to know that it is done."""


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


def repair(path: Path) -> set[Key]:
    """The keys of finished answers. A torn last line is cut off, and a line is dropped where a retry may succeed or a
    later line has the same key; else the file stays as it is. Raises ViubenchError for any other line that cannot be
    read; of an answered sample only the first fields are checked."""
    file = path / FILE
    if not file.exists():
        return set()
    last: dict[Key, int] = {}
    dropped: set[int] = set()
    size = 0
    line, torn = b"\n", False
    with file.open("rb") as lines:
        for number, line in enumerate(lines):
            key, again = _state(line, file, number + 1)
            if key is None:
                torn = True
                break
            size += len(line)
            if again:
                dropped.add(number)
                continue
            if key in last:
                dropped.add(last[key])
            last[key] = number
    if dropped:
        _rewrite(file, dropped, size)
    elif torn:
        os.truncate(file, size)
    elif not line.endswith(b"\n"):  # cut between the record and its line's end
        with file.open("ab") as end:
            end.write(b"\n")
    return set(last)


def _state(line: bytes, file: Path, number: int) -> tuple[Key | None, bool]:
    """The key of a line, None for a torn last one, and whether the answer is asked for again."""
    start = PLAIN.match(line)
    if start and line.endswith(b"}\n") and b"\0" not in line:  # a power cut can leave zeros
        return (start[1].decode(), int(start[2] or 0)), False
    try:
        state = RecordState.model_validate_json(line)
    except ValidationError:
        if not line.endswith(b"\n"):
            return None, False
        raise _unreadable(file, number) from None
    return state.key, state.retryable


def _rewrite(file: Path, dropped: set[int], size: int) -> None:
    """The first `size` bytes without the lines of these numbers."""
    with atomic.replacing(file) as aside, file.open("rb") as lines, aside.open("wb") as kept:
        for number, line in enumerate(lines):
            if number not in dropped and size > 0:
                kept.write(line if line.endswith(b"\n") else line + b"\n")
            size -= len(line)
        kept.flush()
        os.fsync(kept.fileno())


def _unreadable(file: Path, number: int) -> ViubenchError:
    return ViubenchError("a record cannot be read", where=f"{file}:{number}")
