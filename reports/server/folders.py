"""What is in the folders that the viewer was given: runs, trainings and watch histories, each under a short name.

Example:
    found = find([Path("runs")])
    [run.path.name for run in found.runs], [training.path.name for training in found.trainings]
    # (['base', 'checkpoint-200'], ['train'])

A name is made from the path, so that an address leads to the same folder after a restart.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reports.data.training_log import LOG, WARM_START
from viubench.errors import ViubenchError
from viubench.watch import history

MANIFEST = "manifest.json"

PASSED_OVER = frozenset({"items", "strips", "pictures", "judges", "answers", WARM_START, "node_modules", "__pycache__"})
"""Folders in which no run lies, and the first stage of a training, which is a part of it."""

DEEPEST = 6
MOST_FOLDERS = 20_000
"""Folders that are looked into, so that a home folder named by mistake does not take minutes."""


@dataclass(frozen=True)
class Place:
    """A folder under its `key` of an address; `label` is its path below the folder that was named."""

    key: str
    path: Path
    label: str


@dataclass
class Found:
    """Every folder of a kind, by its label."""

    runs: list[Place] = field(default_factory=list)
    trainings: list[Place] = field(default_factory=list)
    watches: list[Place] = field(default_factory=list)
    cut: bool = False
    """Whether there were more folders than are looked into."""


def find(folders: Sequence[Path]) -> Found:
    """Runs, trainings and watches in and below these folders; ViubenchError where one of them is no folder."""
    found, kinds = Found(), {MANIFEST: "runs", LOG: "trainings", history.FILE: "watches"}
    seen: set[Path] = set()
    for given in folders:
        if not given.is_dir():
            raise ViubenchError(f"no such folder: {given}", where="RUNS", hint="name run folders, or a folder of them")
        top = given.resolve()
        for path, names in _walk(top, 0):
            if path in seen:
                continue
            if len(seen) >= MOST_FOLDERS:
                found.cut = True
                return found
            seen.add(path)
            below = path.relative_to(top).as_posix()
            label = top.name if below == "." else below if len(folders) == 1 else f"{top.name}/{below}"
            for file, kind in kinds.items():
                if file in names:
                    getattr(found, kind).append(Place(_key(path), path, label))
    for places in (found.runs, found.trainings, found.watches):
        places.sort(key=lambda place: place.label)
    return found


def _walk(path: Path, depth: int) -> Iterator[tuple[Path, set[str]]]:
    """Folders with the names of their files; nothing below a run, and no link is followed."""
    try:
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
            files = {entry.name for entry in listed if entry.is_file()}
            inner = [entry.name for entry in listed if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    yield path, files
    if MANIFEST not in files and depth < DEEPEST:
        for name in inner:
            if name not in PASSED_OVER and not name.startswith("."):
                yield from _walk(path / name, depth + 1)


def _key(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
