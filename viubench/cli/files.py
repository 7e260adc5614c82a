"""Files that a user requested by an option: written whole, or an error that says why not.

Example:
    write(Path("gate.json"), report.model_dump_json() + "\\n", "--out")
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viubench.errors import ViubenchError
from viubench.storage import atomic, output


def check(paths: Mapping[str, Path | None]) -> None:
    """See that the files that options name can be written, before the work for them is done; ViubenchError else."""
    for where, path in paths.items():
        if path is not None:
            output.file(path, where)


def write(path: Path, content: str, where: str, *, parents: bool = False, append: bool = False) -> None:
    """Put `content` (UTF-8) into a file, the whole of it or nothing; `where` (the option) goes into the error.

    Args:
        parents: create the folder it is to be in.
        append: add to what is there, for a file that others write to as well.
    """
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        if append:
            with path.open("a", encoding="utf-8") as file:
                file.write(content)
        else:
            atomic.write(path, content.encode(), lasting=True)
    except OSError as error:
        raise ViubenchError(f"cannot write {path}: {error.strerror}", where=where) from None
