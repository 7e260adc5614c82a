"""Files that others see complete or not at all, whenever the writer is killed.

Example:
    write(Path("results.json"), b"{}", lasting=True)
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, *parts: bytes | memoryview, lasting: bool = False) -> None:
    """Write `parts` one after the other as the new content of `path`.

    Args:
        lasting: also survive a power cut (fsync); for results, not for caches.
    """
    with replacing(path) as aside, aside.open("wb") as file:
        for part in parts:
            file.write(part)
        if lasting:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file name beside `path`, of the same ending, whose content becomes that of `path` when the block ends well."""
    aside = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
