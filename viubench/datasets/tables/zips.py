"""Zip archives with rows in them, an xlsx or a log of Inspect (`.eval`): none is unpacked to disk, sizes are bounded.

Example:
    kind(Path("logs/2026-01-01_videomme.eval"))  # 'inspect'
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from viubench.datasets.archive_readers import FAULTS
from viubench.datasets.tables import Unreadable
from viubench.errors import ViubenchError

LARGEST_PART = 512 << 20
"""Bytes of one unpacked file."""

MOST_PARTS = 1_000_000


def kind(path: Path) -> str:
    """ "xlsx" or "inspect"; raises ViubenchError for another archive, or one whose parts are too large."""
    try:
        with ZipFile(path) as archive:
            parts = archive.infolist()
            names = {part.filename for part in parts[:MOST_PARTS]}
    except FAULTS as error:
        raise ViubenchError(f"the archive is damaged: {error!s:.100}", where=str(path)) from None
    if "xl/workbook.xml" in names:
        if large := [part.filename for part in parts if part.file_size > LARGEST_PART]:
            message = f"{large[0]!r:.80} is more than {LARGEST_PART >> 20} MiB when unpacked"
            raise ViubenchError(message, where=str(path), hint="save the table as CSV")
        return "xlsx"
    if names & {"header.json", "_journal/start.json", "start.json"}:
        return "inspect"
    raise ViubenchError("the archive is neither an xlsx nor an Inspect log", where=str(path), hint="unpack it first")


def samples(path: Path) -> Iterator[tuple[str, dict[str, Any] | Unreadable]]:
    """The samples of an Inspect log, each with the log's header under `_log`."""
    with ZipFile(path) as archive:
        header: dict[str, Any] = {}
        for name in ("_journal/start.json", "start.json", "header.json"):
            if name in archive.namelist() and isinstance(found := _json(archive, name), dict):
                header |= found
        for name in archive.namelist():
            if name.startswith("samples/") and name.endswith(".json"):
                found = _json(archive, name)
                yield name, {"_log": header, **found} if isinstance(found, dict) else found


def _json(archive: ZipFile, name: str) -> dict[str, Any] | Unreadable:
    """A JSON object of an archive."""
    try:
        with archive.open(name) as part:
            data = part.read(LARGEST_PART + 1)
        if len(data) > LARGEST_PART:
            return Unreadable(name, f"it is more than {LARGEST_PART >> 20} MiB")
        found = json.loads(data)
    except NotImplementedError:
        return Unreadable(name, "its compression is not known here: rewrite the log with `inspect log convert`")
    except (*FAULTS, OSError) as error:
        return Unreadable(name, f"it cannot be read: {error!s:.100}")
    return found if isinstance(found, dict) else Unreadable(name, "it is no JSON object")
