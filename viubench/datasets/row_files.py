"""A data folder's annotation files as flat rows: one dictionary per question, in file order.

Example:
    rows(task, Path("data/videomme"))[0]["_file"]
    # 'test-00000-of-00001'

Every row also has `_file` (stem of its file), `_path` (relative to the data folder) and `_index` (from 0 in its file).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from viubench.datasets import adapters
from viubench.datasets.adapters import RowFile
from viubench.datasets.questions import table
from viubench.datasets.tables import Unreadable
from viubench.datasets.tables import rows as table_rows
from viubench.errors import ViubenchError
from viubench.schema import Rows, Task, utf8
from viubench.tasks import templating

SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".txt", ".tsv", ".xlsx", ".ndjson")
"""What can be read."""

STREAMED = (".parquet", ".jsonl", ".ndjson")
"""What is read row by row."""

MAX_BYTES = 4 << 30
"""Largest annotation file that is read."""


def data_folder(task: Task, root: Path) -> Path:
    """The task's folder below the data root, or the root itself when the rows lie right there (or are this one file).

    Raises ViubenchError where neither holds a row file of the task; the hint says how to get the data.
    """
    if root.is_file():
        return root.parent
    inner = root / (task.data or task.task)
    for folder in (inner, root):
        if task.rows and folder.is_dir() and paths(task.rows, folder):
            return folder
    globs = ", ".join(task.rows.files) if task.rows else ""
    fetch = f"viubench data fetch {task.task} --data-root {root}"
    hint = fetch if task.dataset_path else f"put the files of {task.metadata.source or 'the data set'} there"
    raise ViubenchError(f"{task.task}: its rows are not here ({globs})", where=str(inner), hint=hint)


def has_rows(task: Task, root: Path) -> bool:
    """Whether the task's rows lie below this data root."""
    try:
        return bool(data_folder(task, root))
    except ViubenchError:
        return False


def paths(spec: Rows, folder: Path) -> list[Path]:
    """The row files of a folder, sorted, each once; ViubenchError for a glob that would leave the folder."""
    for glob in spec.files:
        if PurePosixPath(glob).is_absolute() or ".." in PurePosixPath(glob).parts:
            raise ViubenchError(f"rows.files reaches outside the data folder: {glob!r}")
    found = choose(spec.files, lambda glob: map(str, folder.glob(glob)))
    return sorted(path for path in map(Path, found) if path.is_file() and not path.name.startswith("."))


def choose(globs: Sequence[str], matching: Callable[[str], Iterable[str]]) -> set[str]:
    """The names of row files; of those that differ only in a suffix the glob leaves open, the first of `SUFFIXES`."""
    chosen: dict[str, str] = {}
    for glob in globs:
        if PurePosixPath(glob).suffix in SUFFIXES:
            chosen |= {name: name for name in matching(glob)}
            continue
        for suffix in SUFFIXES:
            chosen = {name.removesuffix(suffix): name for name in matching(glob + suffix)} | chosen
    return set(chosen.values())


def rows(
    task: Task, folder: Path, only: Path | None = None, unreadable: list[str] | None = None
) -> Collection[dict[str, Any]]:
    """Every row of the benchmark but those that `rows.keep` leaves out; `only` names one file to read instead. Of files
    that are copies of one another the first is read. With `bad_rows: skip`, what is wrong with rows that cannot be read
    is added to `unreadable`.

    Raises ViubenchError for no file, a file that cannot be read (with line), or rows the adapter cannot read.
    """
    spec = task.rows
    if spec is None:
        raise ViubenchError(f"{task.task} has no rows: it is built from videos")
    chosen = [only] if only else paths(spec, folder)
    if spec.bad_rows == "skip" and not spec.adapter:
        tables = [table.read(path, table.embedded()) for path in chosen]
        if unreadable is not None:
            unreadable += [
                f"{Path(one.path).name}, {bad.place}: {bad.reason}" for one in tables for bad in one.unreadable
            ]
        flat = [row for one in tables for row in one.rows]
        return [row for row in flat if not spec.keep or _kept(spec.keep, row)]
    if len(chosen) == 1 and chosen[0].suffix in STREAMED and not (spec.adapter or spec.keep):
        return LoneFile(chosen[0], folder)
    files = [RowFile(path.stem, str(path.relative_to(folder)), folder, read(path)) for path in chosen]
    files = [file for at, file in enumerate(files) if not any(file.content == other.content for other in files[:at])]
    if not files:
        raise ViubenchError(f"{task.task}: no row files ({', '.join(spec.files)})", where=str(folder))
    try:
        flat = list(adapters.get(spec.adapter)(files) if spec.adapter else _flat(files))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"cannot read these files: {type(error).__name__}: {error}"
        hint = "compare them with the publisher's layout named in the task's metadata"
        message = f"{task.task}: the adapter {spec.adapter!r} {reason}"
        raise ViubenchError(message, where=str(folder), hint=hint) from None
    return [row for row in flat if not spec.keep or _kept(spec.keep, row)]


def _kept(template: str, row: dict[str, Any]) -> bool:
    kept = templating.value(template, row, what="rows.keep")
    if not isinstance(kept, bool):
        raise ViubenchError(f"rows.keep gave {kept!r}: it must be true or false", where=place(row))
    return kept


def place(row: Mapping[str, Any]) -> str:
    """Where a row stands, for a message."""
    if "_place" in row:
        return f"{row['_path']}, {row['_place']}"
    return f"{row.get('_path', row.get('_file', '?'))}, row {row.get('_index', '?')}"


class LoneFile(Collection[dict[str, Any]]):
    """The rows of one file, read anew each time they are gone through: a million of them would take gigabytes."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder

    def __iter__(self) -> Iterator[dict[str, Any]]:
        name = str(self.path.relative_to(self.folder))
        return _flat([RowFile(self.path.stem, name, self.folder, _streamed(self.path))])

    def __len__(self) -> int:
        return sum(1 for _ in _streamed(self.path, parsed=False))

    def __contains__(self, row: object) -> bool:
        return any(row == one for one in self)


def _flat(files: list[RowFile]) -> Iterator[dict[str, Any]]:
    for file in files:
        rows = file.content if isinstance(file.content, list | Iterator) else [file.content]
        for index, row in enumerate(rows):
            if rows is not file.content or not isinstance(row, dict):
                where, hint = str(file.folder / file.path), "name an adapter that reads it"
                raise ViubenchError(f"{file.path} is no list of rows", where=where, hint=hint)
            row.update(file.place(index))
            yield row


def read(path: Path) -> Any:
    """The content of one annotation file by its suffix (see `RowFile.content`).

    Raises ViubenchError where it is too large, not of its suffix's kind, or not UTF-8; names the line.
    """
    if path.suffix in STREAMED:
        return list(_streamed(path))
    if path.suffix in (".tsv", ".xlsx"):
        found = list(table_rows.rows(path))
        if bad := next((row for _, row in found if isinstance(row, Unreadable)), None):
            raise ViubenchError(f"{path.name}, {bad.place}: {bad.reason}", where=str(path))
        return [row for _, row in found]
    with _reading(path):
        text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".txt":
        return text
    if path.suffix == ".csv":
        csv.field_size_limit(MAX_BYTES)  # of one field; by default 131,072 characters
        try:
            return list(csv.DictReader(io.StringIO(text)))
        except csv.Error as error:
            raise ViubenchError(f"{path.name} cannot be read: {error}", where=str(path)) from None
    return _json(text, str(path))


def _streamed(path: Path, parsed: bool = True) -> Iterator[Any]:
    """The rows of a file, one by one; not parsed, where they are only to be counted. Raises as `read` does."""
    with _reading(path):
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            with pq.ParquetFile(path) as file:
                if not parsed:
                    yield from range(file.metadata.num_rows)
                    return
                for batch in file.iter_batches():
                    yield from batch.to_pylist()
            return
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _json(line, f"{path}:{number}") if parsed else line


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ViubenchError(f"{path.name} is larger than {MAX_BYTES >> 30} GiB", where=str(path))
        yield
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise ViubenchError(f"{path.name} cannot be read: {str(error).splitlines()[0]}", where=str(path)) from None


def _json(text: str, where: str) -> Any:
    try:
        value = json.loads(text)
        return _encodable(value) if "\\ud" in text.lower() else value
    except (ValueError, RecursionError) as error:
        raise ViubenchError(f"not JSON: {error}", where=where) from None


def _encodable(value: Any) -> Any:
    """`value` with half characters (lone surrogates), which no file can hold, written out."""
    if isinstance(value, dict):
        return {utf8(key): _encodable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_encodable(one) for one in value]
    return utf8(value) if isinstance(value, str) else value
