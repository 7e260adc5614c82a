"""The records of one run, found again by their place in the file, also while the run is still writing them.

Example:
    index = RecordIndex(Path("runs/a"), samples, metric_of)
    while index.advance():
        ...
    len(index), index.statuses
    # (540, Counter({'ok': 512, 'unparsed': 28}))

Of a record only what the list is filtered by is held, some 20 bytes; its text is read when it is shown. The file is
read in pieces and never beyond its last whole line: what a run is writing at this moment is read the next time. A file
that was replaced or cut, as when a run is resumed, is read from its start again.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from viubench.schema import STATUSES, Record, Status
from viubench.storage import record_log

PIECE = 4 << 20
"""Bytes that are read at once."""

_NULL = msgspec.Raw(b"null")
_COLUMNS = {"offset": "q", "sample": "q", "score": "f", "status": "b", "number": "h", "rule": "h"}
_MOST_NUMBER, _MOST_RULES = 32_767, 32_767


class Samples:
    """The samples of several runs, in the order in which they were met: the same one has the same task, id and true
    answer."""

    def __init__(self) -> None:
        self.places: dict[tuple[int, str, int], int] = {}
        self.ids: list[str] = []
        self.tasks: list[str] = []
        self.task = array("i")
        self._tasks: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def place(self, task: str, name: str, target: int) -> int:
        """Where a sample stands, from now on if it is new."""
        number = self._tasks.setdefault(task, len(self._tasks))
        if number == len(self.tasks):
            self.tasks.append(task)
        place = self.places.setdefault((number, name, target), len(self.ids))
        if place == len(self.ids):
            self.ids.append(name)
            self.task.append(number)
        return place


class _Error(msgspec.Struct, gc=False):
    fault: str


class _Line(msgspec.Struct, gc=False):
    """What is read of a line; the rest of it is passed over."""

    task: str
    id: str
    status: Status
    number: int = 0
    rule: str | None = None
    target: msgspec.Raw = _NULL
    scores: dict[str, float] = {}
    error: _Error | None = None


class _Text(msgspec.Struct, gc=False):
    """What a reader looks for in a record."""

    id: str
    cluster: str
    question: str = ""
    response: str | None = None
    reasoning: str | None = None
    files: list[str] = []


_line = msgspec.json.Decoder(_Line).decode
_text = msgspec.json.Decoder(_Text).decode


class RecordIndex:
    """What has been read so far of the records of the run in folder `path`.

    Attributes:
        statuses, faults: how many answers ended how, and by what.
        damaged: lines that cannot be read.
        generation: raised when the file is read from its start again; places of before are then void.
    """

    def __init__(self, path: Path, samples: Samples, metric_of: Callable[[str], str]) -> None:
        self.path = path
        self._samples, self._metric_of = samples, metric_of
        self.generation = 0
        self._file: tuple[int, int] | None = None
        self._reset()

    def _reset(self) -> None:
        self.read = self.size = 0
        self.columns: dict[str, array[Any]] = {name: array(kind) for name, kind in _COLUMNS.items()}
        self.statuses: Counter[str] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()
        self.rules: dict[str | None, int] = {}
        self.damaged = 0
        self._metrics: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.columns["offset"])

    def column(self, name: str) -> NDArray[Any]:
        """A copy of one column, a value for each record."""
        return np.array(self.columns[name])

    def advance(self) -> bool:
        """Read a piece more; whether there is still something to read."""
        try:
            with (self.path / record_log.FILE).open("rb") as file:
                about = os.fstat(file.fileno())
                if self._file not in (None, (about.st_dev, about.st_ino)) or about.st_size < self.read:
                    self.generation += 1
                    self._reset()
                self._file, self.size = (about.st_dev, about.st_ino), about.st_size
                file.seek(self.read)
                piece = file.read(PIECE)
                while piece and b"\n" not in piece and (more := file.read(PIECE)):
                    piece += more
        except OSError:  # not there yet, or no more
            return False
        whole = piece.rfind(b"\n") + 1
        for line in piece[:whole].split(b"\n")[:-1]:
            self._take(line, self.read)
            self.read += len(line) + 1
        return whole > 0 and self.read < self.size

    def _take(self, text: bytes, offset: int) -> None:
        try:
            line = _line(text)
        except (msgspec.MsgspecError, ValueError):
            self.damaged += bool(text)
            return
        if line.task not in self._metrics:
            self._metrics[line.task] = self._metric_of(line.task)
        scores = line.scores if line.status == "ok" else {}
        score = scores.get(self._metrics[line.task], next(iter(scores.values()), 0.0))
        values = (
            offset,
            self._samples.place(line.task, line.id, hash(bytes(line.target))),
            score,
            STATUSES.index(line.status),
            min(max(line.number, 0), _MOST_NUMBER),
            min(self.rules.setdefault(line.rule, len(self.rules)), _MOST_RULES),
        )
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)
        self.statuses[line.status] += 1
        if line.error is not None:
            self.faults[line.status, line.error.fault] += 1

    def texts(self, rows: range) -> Iterable[str]:
        """The text of each of these rows that a reader may look for, in lower case."""
        offsets = self.columns["offset"]
        with (self.path / record_log.FILE).open("rb") as file:
            for row in rows:
                file.seek(offsets[row])
                try:
                    found = _text(file.readline())
                except (msgspec.MsgspecError, ValueError):
                    yield ""
                    continue
                parts = (found.question, found.id, *(found.files or [found.cluster]), found.response, found.reasoning)
                yield "\n".join(part for part in parts if part).lower()

    def records(self, offsets: Iterable[int]) -> dict[int, Record]:
        """The whole records that begin at these bytes; without those that cannot be read any more."""
        found: dict[int, Record] = {}
        try:
            with (self.path / record_log.FILE).open("rb") as file:
                for at in sorted(set(offsets)):
                    file.seek(at)
                    try:
                        found[at] = Record.model_validate_json(file.readline())
                    except ValidationError:
                        continue
        except OSError:
            return found
        return found
