"""The manifest of a data folder: where its files came from, and the checksum of each.

Example:
    manifest = load(Path("data/videomme"))
    manifest.files["videos_chunked_01.zip"].size
    # 10737418240

It is JSON, but not named so: no glob for a data set's own rows may find it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from viubench.errors import ViubenchError
from viubench.schema import Strict, Task, wording
from viubench.storage import atomic, locking

MANIFEST = ".viubench-data.manifest"
LOCK = ".viubench-data.lock"


class ManifestFile(Strict):
    """One file: bytes, SHA-256, and the hub's own id of this content ("" where it was put there by hand)."""

    size: int
    sha256: str
    hub: str = ""


class Origin(Strict):
    """One finished fetch of a task: the id asked for, the id that answered, its commit, when, and how much of it."""

    asked: str
    answered: str
    revision: str
    time: str
    what: Literal["rows", "all"]


class UnpackedArchive(Strict):
    """One archive that was unpacked: its files below the data folder, where to, and what came out."""

    parts: tuple[str, ...]
    into: str
    files: int
    bytes: int


class LocalManifest(Strict):
    """Fetches by task, files by path below the folder, unpacked archives by name, hub ids with an unfinished fetch."""

    version: Literal[1] = 1
    fetched: dict[str, Origin] = Field(default_factory=dict)
    files: dict[str, ManifestFile] = Field(default_factory=dict)
    unpacked: dict[str, UnpackedArchive] = Field(default_factory=dict)
    unfinished: set[str] = Field(default_factory=set)

    def origin(self, task: Task) -> Origin | None:
        """The fetch that brought a task's data: its own, or that of another task with the same id."""
        same = [origin for origin in self.fetched.values() if origin.asked == task.dataset_path]
        return self.fetched.get(task.task) or (same[0] if same else None)

    def is_spent(self, path: str) -> bool:
        """Whether a file is (a part of) an archive that was unpacked, so that it may be deleted."""
        return any(path in archive.parts for archive in self.unpacked.values())

    def forget_unpacked(self, path: str) -> None:
        """The file has new content: what was unpacked of the old one no longer counts."""
        for name in [name for name, archive in self.unpacked.items() if path in archive.parts]:
            del self.unpacked[name]


def load(folder: Path) -> LocalManifest:
    """The manifest of a folder, empty where there is none; ViubenchError when it is damaged, or of a newer version."""
    path = folder / MANIFEST
    try:
        return LocalManifest.model_validate_json(path.read_bytes()) if path.exists() else LocalManifest()
    except ValidationError as error:
        message = f"the manifest of the data cannot be read: {wording.first_in_words(error, LocalManifest)}"
        hint = "delete it: local files are recognised by their checksums"
        raise ViubenchError(message, where=str(path), hint=hint) from None


def save(manifest: LocalManifest, folder: Path) -> None:
    data = manifest.model_dump(mode="json") | {"unfinished": sorted(manifest.unfinished)}
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=True)
    atomic.write(folder / MANIFEST, text.encode() + b"\n", lasting=True)


def revision(task: Task, folder: Path) -> str:
    """The commit a task's data was fetched at; "" where it was put there by hand."""
    return origin.revision if (origin := load(folder).origin(task)) else ""


def measure(path: Path, hub: str = "") -> ManifestFile:
    """Size and checksum of a file as it is now."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return ManifestFile(size=path.stat().st_size, sha256=sha256, hub=hub)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only process that fetches into a folder; ViubenchError when another one is."""
    folder.mkdir(parents=True, exist_ok=True)
    busy = f"another process is fetching into {folder}"
    lock = locking.acquire(folder / LOCK, busy, where="--data-root", hint="wait for it to end")
    try:
        yield
    finally:
        lock.release()
