"""Checkpoints of any trainer in a folder: which there are, of which step, and whether one is complete.

Example:
    [(one.step, incomplete(one.model)) for one in find(Path("runs/train"))]
    # [(100, ''), (200, 'torn weights: 512 of 2048 bytes')]

A step is read from the folder's name: `checkpoint-200`, `step-000200`, `epoch=1-step=200`, `global_step_200/actor/...`.
A checkpoint is complete when its configuration, tokenizer, processor and weights are there, as long as their headers
say; of an adapter, and of one that has tokenizer and processor from its base model, when its own files are. Whether its
writer is done shows only in time, or in the list of files that this project's trainer writes last.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from viubench.engines import base_models, checkpoints
from viubench.errors import ViubenchError
from viubench.schema import utf8

STEP_WORDS = ("global_?steps?|steps?", "checkpoint|ckpt|model", "iter(?:ation)?s?|updates?", "epochs?")
"""Words that a step follows in a folder's name; of several, the first of these counts."""

BEING_WRITTEN = re.compile(r"^[._]|^te?mp[-_.]|[-_.](?:te?mp|part|partial|incomplete)$", re.IGNORECASE)
"""Names that writers give to a folder until it is complete."""

CONFIGURATIONS = ("config.json", checkpoints.ADAPTER_CONFIG)

DEEPEST = 3
"""Folders below `global_step_200` in which its model is searched."""

LISTED = "trainer/files.json"
"""The list of files (name -> [bytes, digest]) in a checkpoint of this project's trainer."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a step in its name, complete or not. `name` is text that UTF-8 can hold; `model` is the folder
    itself, or the one inside it that holds the model."""

    folder: Path
    name: str
    step: int
    model: Path


def find(folder: Path) -> list[Checkpoint]:
    """The checkpoints in `folder` by step; none where it cannot be read."""
    named = [(child, step) for child in _folders(folder, links=True) if (step := step_of(child.name)) is not None]
    result = [Checkpoint(child, utf8(child.name), step, _model(child)) for child, step in named]
    return sorted(result, key=lambda one: (one.step, one.name))


def step_of(name: str) -> int | None:
    """The step in a folder's name; None where it has none, or the name of something that is being written."""
    if BEING_WRITTEN.search(name):
        return None
    for words in STEP_WORDS:
        pattern = rf"(?<![a-z])(?:{words})[-_=.]?([0-9]{{1,12}})(?![0-9])"
        if steps := re.findall(pattern, name, re.IGNORECASE | re.ASCII):
            return int(steps[-1])
    return None


def stamp(folder: Path) -> tuple[str, float]:
    """What changes whenever something in `folder` does, and for how many seconds it has not, by this machine's clock:
    a copy may bring old times of modification along, so the inode's change counts too. OSError: the folder is gone."""
    digest, newest = blake2b(digest_size=16), 0.0
    for path in sorted(_files(str(folder))):
        about = os.stat(path) if os.path.exists(path) else os.lstat(path)  # a link may lead nowhere
        digest.update(f"{path!r} {about.st_ino} {about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}\n".encode())
        newest = max(newest, about.st_mtime, about.st_ctime)
    newest = newest or folder.stat().st_ctime
    return digest.hexdigest(), max(time.time() - newest, 0.0)


def completeness(checkpoint: Checkpoint, base_model: str | None = None) -> tuple[str, bool]:
    """Why the checkpoint is incomplete, empty where it is not; and whether its trainer marked it as complete."""
    if marked(checkpoint.folder):
        return "", True
    if (checkpoint.folder / LISTED).is_file():
        return f"it lacks files of its list ({LISTED}), or parts of them", False
    return incomplete(checkpoint.model, base_model), False


def incomplete(model: Path, base_model: str | None = None) -> str:
    """Why `model` cannot be opened yet, with what `base_model` gives; empty where it can. Stricter than an engine,
    which opens the weights that are there: without an index, more may come."""
    try:
        base_models.require_complete(model, base_model)
    except ViubenchError as error:
        return error.message
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    if any((model / name).is_file() for name in (checkpoints.INDEX, checkpoints.WEIGHTS, checkpoints.ADAPTER)):
        return ""
    return f"it lacks {checkpoints.WEIGHTS} or {checkpoints.INDEX}"


def marked(folder: Path) -> bool:
    """Whether this project's trainer marked the checkpoint: every file of its list is there, with its size."""
    try:
        listed = json.loads((folder / LISTED).read_bytes())
        return bool(listed) and all((folder / name).stat().st_size == size for name, (size, _) in listed.items())
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return False


def _model(folder: Path) -> Path:
    """`folder` or the nearest one in it with a configuration or an adapter's, those with weights first."""
    level = [folder]
    candidates: list[Path] = []
    for _ in range(DEEPEST + 1):
        candidates += [path for path in level if any((path / name).is_file() for name in CONFIGURATIONS)]
        if candidates and candidates[0] == folder:
            return folder
        level = [path for parent in level for path in _folders(parent)]
    return next((path for path in candidates if any(path.glob("*.safetensors"))), [*candidates, folder][0])


def _folders(parent: Path, links: bool = False) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and (links or not path.is_symlink()))
    except OSError:
        return []


def _files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry.path
