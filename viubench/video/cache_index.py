"""Frames of a file that another selection has already brought into the cache: 32 of 64 need no decoding.

Example:
    note(cache, group, key)              # when an entry is written
    for key in noted(cache, group): ...  # when one is missing whose frames may be among those of another

A group is one file at one size. Its entries are noted as empty files in a folder; a note without an entry is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from viubench.schema import Resize, canonical_json

FOLDER = "groups"


def group_of(content: str, resize: Resize, version: int) -> str:
    """32 hex digits over what entries must have in common for frames of one to be frames of another."""
    parts = {"content": content, "resize": resize.model_dump(mode="json"), "reader": version}
    return str(blake3(canonical_json(parts).encode()).hexdigest(length=16))


def note(root: Path, group: str, key: str) -> None:
    """Remember that the entry `key` belongs to `group`; raises OSError."""
    folder = root / FOLDER / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / key).touch()


def noted(root: Path, group: str) -> list[str]:
    """Keys of the entries that were noted, present or not, sorted."""
    folder = root / FOLDER / group
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def forget(root: Path, group: str, key: str) -> None:
    """Drop the note of an entry that is gone."""
    (root / FOLDER / group / key).unlink(missing_ok=True)


def places(indices: NDArray[np.int64], held: Sequence[int]) -> NDArray[np.int64] | None:
    """Where each of the frame numbers (int64 [T], any order, repeats allowed) is in `held`; None if one is not.

    >>> places(np.array([0, 40]), (0, 20, 40))
    array([0, 2])
    >>> places(np.array([0, 41]), (0, 20, 40)) is None
    True
    """
    numbers = np.asarray(held, np.int64)
    order = np.argsort(numbers, kind="stable")
    at = np.searchsorted(numbers[order], indices)
    if np.any(at == len(numbers)) or np.any(numbers[order][at] != indices):
        return None
    return np.asarray(order[at], np.int64)
