"""The rows of a file, one at a time whatever its size: JSON (lines), CSV, TSV, xlsx, parquet, pickle, Inspect log.

Example:
    for place, row in rows(Path("samples_videomme.jsonl")):
        print(place, sorted(row))  # line 1 ['doc_id', 'filtered_resps', ...]

What a file is, is told by its content, not by its name. A row that cannot be read is an `Unreadable`, and the next one
follows; a file that cannot be read at all raises ViubenchError.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from viubench.datasets.tables import Unreadable, pickles, spreadsheets, zips
from viubench.errors import ViubenchError

Fields = Mapping[str, Any]
Row = tuple[str, Fields | Unreadable]

LONGEST_ROW = 64 << 20
"""Bytes of one row; a longer one is not read."""

LARGEST_WHOLE = 256 << 20
"""Bytes of a JSON file that is one object, the only kind of file that is read whole."""

CHUNK = 1 << 20
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
DELIMITERS = {"csv": ",", "tsv": "\t", "semicolons": ";", "bars": "|"}
_QUOTED = re.compile(r'"[^"]*"')
_SEP = re.compile(r"sep=(.)\r?\n?")
"""A first line that spreadsheet programs write and read: which delimiter follows."""


def rows(path: Path, computed: bool = False) -> Iterator[Row]:
    """The rows of a file, each with its place in it; raises ViubenchError where it cannot be read. `computed`: of a
    formula what it gave when the file was saved, instead of its text."""
    try:
        kind = _kind(path)
        yield from spreadsheets.rows(path, computed) if kind == "xlsx" else READERS[kind](path)
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
        return zips.kind(path)
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "pickle"
    if head[:2] == b"\x1f\x8b":
        raise ViubenchError("the file is compressed with gzip", where=str(path), hint="unpack it first: gunzip")
    if head[:8] == OLD_OFFICE:
        message, hint = "an Excel file of the old kind (.xls), or one with a password", "save it as .xlsx without one"
        raise ViubenchError(message, where=str(path), hint=f"{hint}, or as CSV UTF-8")
    if (encoding := _encoding(head)).startswith("utf-16"):
        head = head[: len(head) // 2 * 2].decode(encoding, "replace").encode()
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text:
        raise ViubenchError("the file is empty", where=str(path))
    if text[:1] == b"[":
        return "array"
    if text[:1] == b"{":
        return "lines" if _is_row(text.partition(b"\n")[0]) and b"\n" in text.rstrip() else "object"
    line = _QUOTED.sub("", text.partition(b"\n")[0].decode("utf-8", "replace"))
    if said := _SEP.fullmatch(line):
        line = said[1]
    return max(DELIMITERS, key=lambda kind: line.count(DELIMITERS[kind]))


def _encoding(head: bytes) -> str:
    """UTF-8 unless the file's first bytes are those of UTF-16, which spreadsheet programs write as "Unicode text", and
    a shell of Windows where output is sent to a file."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    halves = head[:1] == b"\0", head[1:2] == b"\0"
    return {(False, True): "utf-16-le", (True, False): "utf-16-be"}.get(halves, "utf-8-sig")


def _is_row(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return len(line) >= CHUNK // 2  # the beginning of one long row


def _encoding_of(path: Path) -> str:
    with path.open("rb") as file:
        return _encoding(file.read(2))


def _lines(path: Path) -> Iterator[Row]:
    """A row a line."""
    encoding = _encoding_of(path)
    with path.open("rb") as plain:
        file = codecs.EncodedFile(plain, "utf-8", encoding) if encoding.startswith("utf-16") else plain
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
    with path.open(encoding=_encoding_of(path)) as file:
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
    with path.open(encoding=_encoding_of(path), newline="") as file:
        if not _SEP.fullmatch(file.readline()):
            file.seek(0)
        reader = csv.reader(file, delimiter=delimiter)
        numbered, header = spreadsheets.headed(enumerate(reader, start=1))
        for number, cells in numbered:
            place = f"row {number}"
            if len(cells) > len(header) and any(cells[len(header) :]):
                yield place, Unreadable(place, f"it has {len(cells)} cells, the first row {len(header)}")
            elif any(map(str.strip, cells)):
                yield place, dict.fromkeys(header, "") | dict(zip(header, cells, strict=False))


def _parquet(path: Path) -> Iterator[Row]:
    """Read in batches: rows may hold videos."""
    import pyarrow.parquet as pq

    batches = pq.ParquetFile(path).iter_batches(batch_size=64)
    yield from _numbered(row for batch in batches for row in batch.to_pylist())


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "lines": _lines,
    "array": _array,
    "object": _object,
    **{kind: partial(_delimited, delimiter=delimiter) for kind, delimiter in DELIMITERS.items()},
    "parquet": _parquet,
    "pickle": lambda path: _numbered(pickles.rows(path)),
    "inspect": lambda path: zips.samples(path),
}
