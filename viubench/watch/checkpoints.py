"""Checkpoints of any trainer in a folder: which there are, of which step, and whether one is complete.

Example:
    >>> [(one.step, missing(one.model)) for one in find(Path("runs/train"))]  # doctest: +SKIP
    [(100, ''), (200, '1 of 2 weight files (model-00002-of-00002.safetensors)')]

A step is read from the folder's name: `checkpoint-200`, `step-000200`, `epoch=1-step=200`, `global_step_200/actor/...`.
A checkpoint is complete when its configuration, tokenizer, processor and all of its weights are there, and the weights
are as long as their headers say. Whether its writer is done shows only in time (see `viubench.watch.scheduler`), or in
the list of files that this project's trainer writes last.
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
from typing import Any

from viubench.engines import checkpoints
from viubench.errors import ViubenchError
from viubench.schema import utf8

STEP_WORDS = ("global_?steps?|steps?", "checkpoint|ckpt|model", "iter(?:ation)?s?|updates?", "epochs?")
"""Words that a step follows in a folder's name; of several, the first of these counts."""

BEING_WRITTEN = re.compile(r"^[._]|^te?mp[-_.]|[-_.](?:te?mp|part|partial|incomplete)$", re.IGNORECASE)
"""Names that writers give to a folder until it is complete."""

DEEPEST = 3
"""Folders below `global_step_200` in which its model is looked for."""

LISTED = "trainer/files.json"
"""The list of files (name -> [bytes, digest]) in a checkpoint of this project's trainer."""

INDEX, WEIGHTS = "model.safetensors.index.json", "model.safetensors"
REQUIRED = {
    "a tokenizer (tokenizer.json)": ("tokenizer.json", "tokenizer.model", "vocab.json"),
    "a processor (processor_config.json)": ("processor_config.json", "preprocessor_config.json"),
}


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a step in its name, complete or not.

    Attributes:
        name: of the folder, as text that UTF-8 can hold.
        model: the folder itself, or the one inside it that holds the model.
    """

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
    """What changes whenever something in `folder` does, and for how many seconds it has not, by this machine's clock.

    A copy may bring old times of modification along; the time of the inode's change is the file system's own.

    Raises:
        OSError: the folder is gone.
    """
    digest, newest = blake2b(digest_size=16), 0.0
    for path in sorted(_files(str(folder))):
        about = os.stat(path) if os.path.exists(path) else os.lstat(path)  # a link may lead nowhere
        digest.update(f"{path!r} {about.st_ino} {about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}\n".encode())
        newest = max(newest, about.st_mtime, about.st_ctime)
    newest = newest or folder.stat().st_ctime
    return digest.hexdigest(), max(time.time() - newest, 0.0)


def completeness(checkpoint: Checkpoint) -> tuple[str, bool]:
    """What the checkpoint lacks, and whether its trainer marked it as complete."""
    if marked(checkpoint.folder):
        return "", True
    if (checkpoint.folder / LISTED).is_file():
        return f"files of its list ({LISTED}), or parts of them", False
    return missing(checkpoint.model), False


def missing(model: Path) -> str:
    """What `model` lacks before it can be opened, as text; empty where nothing is."""
    try:
        if isinstance(fault := _json(model / "config.json"), str):
            return fault
        files = [what for what, names in REQUIRED.items() if not any((model / name).is_file() for name in names)]
        return "; ".join([*_weights(model), *files])
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"


def marked(folder: Path) -> bool:
    """Whether this project's trainer marked the checkpoint: every file of its list is there, with its size."""
    try:
        listed = json.loads((folder / LISTED).read_bytes())
        return bool(listed) and all((folder / name).stat().st_size == size for name, (size, _) in listed.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def fingerprint(model: Path) -> str:
    """Of the weights and of every file that steers them, as run manifests have it.

    Raises:
        OSError, ViubenchError: a file went away or changed under the reader.
    """
    return checkpoints.fingerprint(model, sorted(model.glob("*.safetensors")))


def _model(folder: Path) -> Path:
    """`folder` or the nearest one in it with a configuration, those with weights first."""
    level = [folder]
    candidates: list[Path] = []
    for _ in range(DEEPEST + 1):
        candidates += [path for path in level if (path / "config.json").is_file()]
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


def _json(path: Path) -> Any:
    """The content, or what is wrong with it as a sentence."""
    try:
        return [json.loads(path.read_bytes())]
    except FileNotFoundError:
        return path.name
    except (ValueError, RecursionError):
        return f"{path.name} does not read yet"


def _weights(model: Path) -> list[str]:
    """What of the weights is missing or torn."""
    names = [WEIGHTS]
    if (model / INDEX).is_file():
        content = _json(model / INDEX)
        shards = content[0].get("weight_map") if isinstance(content, list) and isinstance(content[0], dict) else None
        if not isinstance(shards, dict) or not shards:
            return [f"{INDEX} does not read yet"]
        names = sorted({str(name) for name in shards.values()})
    elif not (model / WEIGHTS).is_file():
        return [_instead(model)]
    missing = [name for name in names if not (model / name).is_file()]
    if missing:
        return [f"{len(missing)} of {len(names)} weight files ({missing[0]})"]
    torn = [name for name in names if not _as_long_as_promised(model / name)]
    return [f"the rest of {torn[0]}"] if torn else []


def _instead(model: Path) -> str:
    """The weights, and what there is in their place."""
    for patterns, what in (
        (("adapter_model.safetensors", "adapter_config.json"), "an adapter alone is there: merge it into its base"),
        (("*-of-*.safetensors",), f"their index, {INDEX}, is not there yet"),
        (("*.bin", "*.pt", "*.pth", "../*.pt"), "pickled weights are not opened: they can run code"),
    ):
        if any(next(model.glob(pattern), None) for pattern in patterns):
            return f"weights as {WEIGHTS} ({what})"
    return f"weights as {WEIGHTS}"


def _as_long_as_promised(path: Path) -> bool:
    """Whether a safetensors file ends where its header says that the last tensor does."""
    try:
        return path.stat().st_size == checkpoints.read_header(path).end
    except ViubenchError:
        return False
