"""The rows of a file of answers, one at a time whatever its size: JSON (lines), CSV, TSV, xlsx, pickle, Inspect log.

Example:
    for place, row in rows(Path("samples_videomme.jsonl")):
        print(place, sorted(row))  # line 1 ['doc_id', 'filtered_resps', ...]

What a file is, is told by its content, not by its name. A row that cannot be read is an `Unreadable`, and the next one
follows; a file that cannot be read at all raises ViubenchError.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from viubench.errors import ViubenchError
from viubench.imports import archives, pickles, spreadsheets
from viubench.imports.answers import Unreadable

Fields = Mapping[str, Any]
Row = tuple[str, Fields | Unreadable]

LONGEST_ROW = 64 << 20
"""Bytes of one row; a longer one is not read."""

LARGEST_WHOLE = 256 << 20
"""Bytes of a JSON file that is one object, the only kind of file that is read whole."""

CHUNK = 1 << 20


def rows(path: Path) -> Iterator[Row]:
    """The rows of a file, each with its place in it; raises ViubenchError where it cannot be read."""
    try:
        yield from READERS[_kind(path)](path)
    except OSError as error:
        raise ViubenchError(f"cannot read the file: {error.strerror or error}", where=str(path)) from None
    except UnicodeDecodeError:
        raise ViubenchError("the file is not UTF-8 text", where=str(path), hint="save it as UTF-8") from None
    except (ValueError, csv.Error, RecursionError) as error:
        raise ViubenchError(f"the file is damaged: {error!s:.200}", where=str(path)) from None


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(CHUNK)
    if head[:4] == b"PK\x03\x04":
        return archives.kind(path)
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "pickle"
    if head[:2] == b"\x1f\x8b":
        raise ViubenchError("the file is compressed with gzip", where=str(path), hint="unpack it first: gunzip")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise ViubenchError("the file is empty", where=str(path))
    if text[:1] == b"[":
        return "array"
    if text[:1] == b"{":
        return "lines" if _is_row(text.partition(b"\n")[0]) and b"\n" in text.rstrip() else "object"
    line = text.partition(b"\n")[0]
    return "tsv" if line.count(b"\t") > line.count(b",") else "csv"


def _is_row(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return len(line) >= CHUNK // 2  # the beginning of one long row


def _lines(path: Path) -> Iterator[Row]:
    """A row a line."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_ROW):
            number += 1
            place = f"line {number}"
            if len(line) == LONGEST_ROW and not line.endswith(b"\n"):
                while (rest := file.readline(CHUNK)) and not rest.endswith(b"\n"):
                    pass
                yield place, Unreadable(place, f"it is longer than {LONGEST_ROW >> 20} MiB")
            elif stripped := line.removeprefix(b"\xef\xbb\xbf").strip():
                yield place, _row(stripped, place)


def _row(line: bytes, place: str) -> Fields | Unreadable:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Unreadable(place, f"it is no JSON: {error!s:.100}")
    return row if isinstance(row, dict) else Unreadable(place, "it is no JSON object")


def _array(path: Path) -> Iterator[Row]:
    """The elements of one JSON list, decoded as the file is read."""
    decode, number, text, end = json.JSONDecoder().raw_decode, 0, "", False
    with path.open(encoding="utf-8-sig") as file:
        text = file.read(CHUNK).lstrip()[1:]
        while True:
            text = text.lstrip().removeprefix(",").lstrip()
            if text[:1] == "]":
                return
            try:
                value, at = decode(text)
                if at == len(text) and not end:
                    raise ValueError("a number may go on")
            except ValueError:
                more = file.read(max(CHUNK, len(text)))
                if end or len(text) > LONGEST_ROW:
                    raise
                text, end = text + more, not more
                continue
            text, number = text[at:], number + 1
            place = f"element {number}"
            yield place, value if isinstance(value, dict) else Unreadable(place, "it is no JSON object")


def _object(path: Path) -> Iterator[Row]:
    """One JSON object: a log with its list of samples, or question -> answer."""
    if path.stat().st_size > LARGEST_WHOLE:
        limit = f"more than {LARGEST_WHOLE >> 20} MiB in one JSON object"
        raise ViubenchError(limit, where=str(path), hint="write it as JSON lines, a row each")
    whole = json.loads(path.read_bytes())
    for key in ("samples", "logs"):
        if isinstance(whole.get(key), list):
            log = {name: value for name, value in whole.items() if name != key}
            return _numbered({"_log": log, **row} if isinstance(row, dict) else row for row in whole[key])
    if all(isinstance(value, str) for value in whole.values()) and len(whole) > 1:
        return _numbered({"index": index, "prediction": value} for index, value in whole.items())
    return _numbered([whole])


def _numbered(values: Iterable[Any]) -> Iterator[Row]:
    for number, value in enumerate(values, start=1):
        place = f"row {number}"
        yield place, value if isinstance(value, dict) else Unreadable(place, "it is no JSON object")


def _delimited(path: Path, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_ROW)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        header = next(reader)
        for number, cells in enumerate(reader, start=2):
            place = f"row {number}"
            if len(cells) > len(header):
                yield place, Unreadable(place, f"it has {len(cells)} cells, the first row {len(header)}")
            elif cells:
                yield place, dict(zip(header, cells, strict=False))


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "lines": _lines,
    "array": _array,
    "object": _object,
    "csv": lambda path: _delimited(path, ","),
    "tsv": lambda path: _delimited(path, "\t"),
    "xlsx": lambda path: _numbered_from(spreadsheets.rows(path)),
    "pickle": lambda path: _numbered(pickles.rows(path)),
    "inspect": lambda path: archives.samples(path),
}


def _numbered_from(found: Iterable[Fields]) -> Iterator[Row]:
    for number, row in enumerate(found, start=2):
        yield f"row {number}", row
