"""A user's table of questions as plain rows: any file that `tables.rows` reads, a DataFrame, or a list of dictionaries.

Example:
    table = read(Path("questions.csv"), Path("cache/embedded"))
    table.rows[0]["_place"], table.columns
    # ('row 2', ['video', 'question', 'A', 'B', 'answer'])

All rows have the same columns, None where a cell is empty. Videos that are in the rows themselves are written to files;
of a dialogue of two turns the first is the question, the second the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from blake3 import blake3

from viubench.datasets.tables import Unreadable
from viubench.datasets.tables.rows import rows as file_rows
from viubench.errors import ViubenchError
from viubench.schema import utf8
from viubench.storage import atomic
from viubench.tasks import cells
from viubench.video.discover import VIDEO_SUFFIXES
from viubench.video.frame_cache import default_root

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".xlsx", ".parquet")
"""Of a file of questions."""

LISTS = (
    "data", "questions", "samples", "items", "rows", "annotations", "examples", "qa", "qas", "qa_pairs", "qa_list",
    "videos", "entries", "test", "val", "validation",
)  # fmt: skip
"""Keys under which a JSON object may hold its rows."""


DIALOGUES = ("conversations", "messages", "conversation")
"""Keys under which a row may hold a dialogue."""

_BREAK = re.compile(r"(?:\r|_x000D_)\n?")
"""A line break of another system, and of a cell in xlsx."""

SAVE_AS = "save it as UTF-8: CSV UTF-8 in a spreadsheet program, or iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW"


@dataclass(frozen=True)
class Table:
    """Rows with what could not be read of them. `path` is "" for rows that are no file; rows have their `_place`,
    `_path`, `_file` and `_index` beside their columns."""

    name: str
    path: str
    columns: list[str]
    rows: list[dict[str, Any]]
    unreadable: list[Unreadable]


def read(source: Any, embedded: Path) -> Table:
    """The rows of a file, a DataFrame or a list of dictionaries; videos in the rows are written below `embedded`.

    Raises ViubenchError where there is no row, or the file cannot be read at all.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    found = _given(source) if path is None else _flat(file_rows(path, computed=True))
    name = "questions" if path is None else path.name
    rows: list[dict[str, Any]] = []
    unreadable: list[Unreadable] = []
    try:
        for place, row in found:
            if isinstance(row, Unreadable):
                unreadable.append(row)
                continue
            about = {"_place": place, "_path": name, "_file": PurePosixPath(name).stem, "_index": len(rows)}
            if isinstance(row := _dialogue(place, row), Unreadable):
                unreadable.append(row)
                continue
            plain = {utf8(key).strip(): _plain(value, embedded) for key, value in row.items() if key is not None}
            if any(value is not None for value in plain.values()):
                rows.append({key: value for key, value in plain.items() if key} | about)
    except ViubenchError as error:
        hint = SAVE_AS if "UTF-8" in error.message else error.hint
        raise ViubenchError(error.message, where=error.where, hint=hint) from None
    if not rows:
        why = f": {unreadable[0].place}, {unreadable[0].reason}" if unreadable else ""
        raise ViubenchError(f"no rows in {name}{why}", where=str(path or "tasks"))
    if twice := next((key for key in rows[0] if key.endswith(".1") and key.removesuffix(".1") in rows[0]), ""):
        message = f"two columns are named {twice.removesuffix('.1')!r}"
        raise ViubenchError(message, where=str(path or "tasks"), hint="rename one of them")
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in about))
    blank = dict.fromkeys(columns)
    return Table(_name(name), "" if path is None else str(path), columns, [blank | row for row in rows], unreadable)


def embedded() -> Path:
    """Where videos go that rows hold themselves: `embedded` beside the frames of the cache."""
    return default_root().with_name("embedded")


def _name(file: str) -> str:
    """The task's name: the file's, in letters that every path and option takes."""
    return re.sub(r"[^\w.+-]+", "_", PurePosixPath(file).stem).strip("_.") or "questions"


def _given(source: Any) -> Iterator[tuple[str, Any]]:
    """The rows of a DataFrame, of another library's table, or of a list."""
    for number, row in enumerate(_rows(source), start=1):
        place = f"row {number}"
        yield place, row if isinstance(row, Mapping) else Unreadable(place, "it is no row of columns")


def _rows(source: Any) -> Sequence[Any]:
    if hasattr(source, "iloc") and hasattr(source, "columns"):  # of pandas
        names = [str(name) for name in source.columns]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ViubenchError(f"two columns are named {twice!r}", where="tasks", hint="rename one of them")
        indexed = [name for name in source.index.names if name is not None and str(name) not in names]
        found: Sequence[Any] = (source.reset_index(indexed) if indexed else source).to_dict("records")
        return found
    # of arrow, polars, Hugging Face's datasets; none of them decodes a video for it
    method = next((name for name in ("to_pylist", "to_dicts", "to_list") if hasattr(source, name)), "")
    return getattr(source, method)() if method else list(source)


def _flat(found: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The rows as they are; of one JSON object, those that it holds."""
    found = list(found)
    if all(isinstance(row, Mapping) and set(row) == {"index", "prediction"} for _, row in found):
        found = [("row 1", {row["index"]: row["prediction"] for _, row in found})]  # one question, and no answers by id
    for place, row in found:
        yield from _unfolded(place, row, "" if len(found) == 1 else f"{place}, ")


def _unfolded(place: str, row: Any, before: str) -> Iterator[tuple[str, Any]]:
    """The rows that one holds, and those that they hold, as the questions of each video of a list."""
    if isinstance(row, Mapping) and "row_idx" in row and isinstance(row.get("row"), Mapping):  # the hub's viewer
        row = row["row"]
    inner = None if isinstance(row, Unreadable) else _inside(row)
    if inner is None:
        yield place, row
        return
    for number, one in enumerate(inner, start=1):
        yield from _unfolded(f"{before}row {number}", one, f"{before}row {number}, ")


def _inside(row: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The rows that one object holds: a list of them beside what they share, as the questions of a video; rows by their
    ids; or the cells of each column, as pandas writes."""
    lists: list[list[Mapping[str, Any]]] = [v for key, v in row.items() if key.casefold() in LISTS and _of(v, list)]
    if len(lists) == 1:
        shared = {key: value for key, value in row.items() if isinstance(value, str | int | float)}
        return [{**shared, **one} for one in lists[0]]
    values: list[Any] = [] if set(DIALOGUES) & set(row) else list(row.values())
    if len(values) > 1 and all(isinstance(value, list) and len(value) == len(values[0]) > 1 for value in values):
        return [{column: cells_of[at] for column, cells_of in row.items()} for at in range(len(values[0]))]
    if len(values) > 1 and _of(values, list):
        keys = [set(value) for value in values]
        if all(own == keys[0] for own in keys) and all(str(key).isdigit() for key in keys[0]):
            return [{column: cell[key] for column, cell in row.items()} for key in values[0]]
        return [{"id": name, **value} for name, value in row.items()]
    return None


def _dialogue(place: str, row: Mapping[str, Any]) -> Mapping[str, Any] | Unreadable:
    """A row whose question and answer are the two turns of a dialogue, as training data have them. One of more turns is
    none, unless the row says itself what is asked: what is asked later may need what was said before."""
    dialogue: Any = next((row[key] for key in DIALOGUES if _of(row.get(key), list)), ())
    turns = [turn for turn in dialogue if turn.get("from", turn.get("role")) != "system"]
    if len(turns) > 2 and not {"question", "answer"} & {str(key).casefold() for key in row}:
        return Unreadable(place, f"its dialogue has {len(turns)} turns: make a row of each question and its answer")
    if len(turns) != 2:
        return row
    told: list[str] = []
    videos: list[Any] = []
    for turn in turns:
        content = turn.get("value", turn.get("content"))
        parts = content if _of(content, list) else [{"text": content}]
        told.append("\n".join(str(part["text"]) for part in parts if part.get("text")))
        for video in filter(None, (part.get("video", part.get("video_url")) for part in parts)):
            videos.append(video.get("url") if isinstance(video, Mapping) else video)
    found = {"video": videos if len(videos) > 1 else videos[0]} if videos else {}
    return found | {"question": told[0], "answer": told[1]} | dict(row)


def _of(value: Any, kind: type[Any]) -> bool:
    return isinstance(value, kind) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _plain(value: Any, embedded: Path) -> Any:
    """A cell as plain data: None where it is empty, a video as the path of its file, arrays as lists."""
    if isinstance(value, Mapping) and set(value) <= {"bytes", "path"} and value:
        video, name = value.get("bytes"), value.get("path")
        if isinstance(video, bytes):
            return _written(video, str(name or ""), embedded)
        return _plain(name, embedded)
    if isinstance(value, bytes | bytearray | memoryview):
        return _written(bytes(value), "", embedded)
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(one, embedded) for one in value]
    if isinstance(value, Mapping):
        return {utf8(key): _plain(one, embedded) for key, one in value.items()}
    if isinstance(value, str):
        return _BREAK.sub("\n", utf8(value)) if value.strip() else None
    if isinstance(value, bool | int | float):
        return None if cells.empty(value) else value
    return None if value is None or str(value) in ("<NA>", "NaT") else str(value)


def _written(video: bytes, name: str, embedded: Path) -> str:
    """The path of a file with these bytes, named by their hash."""
    suffix = PurePosixPath(name).suffix.lower()
    path = embedded / f"{blake3(video).hexdigest(length=16)}{suffix if suffix in VIDEO_SUFFIXES else '.mp4'}"
    if not (path.is_file() and path.stat().st_size == len(video)):
        embedded.mkdir(parents=True, exist_ok=True)
        atomic.write(path, video)
    return str(path.absolute())
