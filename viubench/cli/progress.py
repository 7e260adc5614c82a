"""One progress bar for every long job: share done, rate, time left, and a note where there is more to say.

Example:
    with bar("decoding", quiet=False) as update:
        update(3, 10)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Update(Protocol):
    """Tells a bar how far the job is."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


@contextlib.contextmanager
def bar(what: str, *, quiet: bool) -> Iterator[Update]:
    """A bar on standard error that appears with its first update; `update(done, total, note)`."""
    if quiet:
        yield lambda done, total, note="": None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        job = progress.add_task(what, total=None, visible=False, rate="", note="")

        def update(done: int, total: int, note: str = "") -> None:
            speed = progress.tasks[0].speed
            rate = "" if not speed else f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
            progress.update(job, completed=done, total=total, visible=True, rate=rate, note=note)

        yield update
