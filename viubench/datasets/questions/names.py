"""What `--tasks` may name beside tasks and suites: patterns, and files or folders of the user's own questions.

Example:
    >>> list(expanded("viubench_ground_mir*", Catalogue()))
    ['viubench_ground_mirror']
    >>> list(zip("12", own_names("test", Path("mine/kitchen"))))
    [('1', 'test'), ('2', 'kitchen_test')]
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path
from typing import Any

from viubench.datasets.questions.table import SUFFIXES
from viubench.errors import ViubenchError, did_you_mean
from viubench.tasks.registry import Catalogue


def expanded(name: Any, catalogue: Catalogue) -> list[Any]:
    """What one entry of `--tasks` stands for: the tasks, else the paths, that a pattern matches; any other is itself.
    Raises ViubenchError for a pattern that matches nothing, and for a file that is not there or of another kind."""
    if not isinstance(name, str) or os.path.exists(name):
        if isinstance(name, str) and os.path.isfile(name) and not _may_be(Path(name)) and not catalogue.knows(name):
            raise ViubenchError(
                f"{name} is no table of questions", where="--tasks", hint=f"known: {' '.join(SUFFIXES)}"
            )
        return [name]
    if any(sign in name for sign in "*?["):
        found = [task for task in sorted(catalogue.task_files) if fnmatchcase(task, name)]
        found = found or sorted(path for path in glob.glob(name, recursive=True) if _may_be(Path(path)))
        if not found:
            raise ViubenchError(f"no task and no file of questions matches {name!r}", where="--tasks")
        return found
    if not catalogue.knows(name) and (
        Path(name).suffix.lower() in SUFFIXES or os.sep in name.rstrip(os.sep) or name.startswith(".")
    ):
        raise _missing(Path(name))
    return [name]


def _missing(path: Path) -> ViubenchError:
    """Says how far the path leads, and what lies there under a like name."""
    there = next(folder for folder in path.absolute().parents if folder.is_dir())
    first = path.absolute().relative_to(there).parts[0]
    hint = f"{there} has no {first}"
    with suppress(OSError):  # a folder that may not be listed
        hint = did_you_mean(first, os.listdir(there), hint)
    kind = "file" if path.suffix else "file or folder"
    return ViubenchError(f"no such {kind}: {path}", where="--tasks", hint=hint)


def is_questions(path: Path) -> bool:
    """Whether a path is a file of questions, by its suffix."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def questions_in(folder: Path) -> list[Path]:
    """The files of questions in a folder that holds no built items; parquet files may be published items."""
    if (folder / "items.jsonl").exists() or any(folder.rglob("*.parquet")):
        return []
    return sorted(path for path in folder.iterdir() if is_questions(path) and not path.name.startswith("."))


def own_names(stem: str, home: Path) -> Iterator[str]:
    """Names for a task of a file, the likeliest first: its own, with its folder's, with a number."""
    yield stem
    if folder := home.absolute().name:
        yield f"{folder}_{stem}"
    yield from (f"{stem}_{number}" for number in count(2))


def _may_be(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in (*SUFFIXES, ".yaml", ".yml")
