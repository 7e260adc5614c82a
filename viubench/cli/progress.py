"""One progress bar for every long job: share done, rate, time left, and a note where there is more to say; in the log
of a batch job, which shows no bars, a line now and then.

Example:
    with bar("decoding", quiet=False) as update:
        update(3, 10)
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from viubench.errors import ViubenchError

if TYPE_CHECKING:
    from viubench.runner.config import Progress


SECONDS, SHARE = 30.0, 0.05
"""Time, and share of the job, after which a log gets another line of progress."""


class Update(Protocol):
    """Sets a bar to how far the job is."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


@contextlib.contextmanager
def bar(what: str, *, quiet: bool) -> Iterator[Update]:
    """A bar on standard error that appears with its first update; `update(done, total, note)`. Where that is no
    terminal it gets lines instead (see `Lines`)."""
    if quiet:
        yield lambda done, total, note="": None
        return
    if not sys.stderr.isatty():
        yield Lines(what)
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


@dataclass
class Lines:
    """How far a job is as lines of a log: the first and the last, and between them one every `SECONDS` or `SHARE`.

    Example:
        answering: 540 of 2700 (20 %), 3.1/s, 11:37 left; ok 512, unparsed 28
    """

    what: str
    clock: Callable[[], float] = time.monotonic
    said: tuple[float, int] | None = None
    began: tuple[float, int] | None = None
    """When the first of the job was done: what came before it, such as a model that is loaded, has no rate."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = self.clock()
        if self.said is not None:
            when, before = self.said
            if self.began is None and done > before:
                self.began = now, done
            if done <= before or (done < total and now - when < SECONDS and done - before < SHARE * total):
                return
        self.said = now, done
        print(f"{self.what}: {self._far(done, total, now)}{f'; {note}' if note else ''}", file=sys.stderr, flush=True)

    def _far(self, done: int, total: int, now: float) -> str:
        since, before = self.began or (now, done)
        share = f" ({100 * done // total} %)" if total else ""
        if done <= before or now <= since:
            return f"{done} of {total}{share}"
        rate = (done - before) / (now - since)
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        ends = f", {timedelta(seconds=round((total - done) / rate))} left" if done < total else ""
        return f"{done} of {total}{share}, {speed}{ends}"


@contextlib.contextmanager
def stages(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar for each stage of a run, one after the other; what the harness logs is printed on standard error. Quiet
    runs show no bars, and warnings alone."""
    with contextlib.ExitStack() as open_bars:
        current: dict[str, Update] = {}

        def show(event: Progress) -> None:
            if event.stage not in current:
                open_bars.close()
                current.clear()
                current[event.stage] = open_bars.enter_context(bar(event.stage, quiet=quiet))
            note = ", ".join(f"{status} {n}" for status, n in event.statuses.items())
            current[event.stage](event.done, event.total, note)

        with logged(logging.WARNING if quiet else logging.INFO):
            yield show


@contextlib.contextmanager
def logged(level: int = logging.INFO) -> Iterator[None]:
    """Print what the harness logs from this level on, without control characters."""
    handler = _Stderr(level)
    logger = logging.getLogger("viubench")
    logger.setLevel(logging.DEBUG)  # which handlers narrow
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def warn(line: str) -> None:
    """A warning on standard error, without control characters."""
    from reports.html.escape import clean

    print(f"warning: {clean(line)}", file=sys.stderr)


def print_error(error: ViubenchError) -> None:
    """What is wrong, where, and what to try; without control characters, for it may quote names and paths of others."""
    from reports.html.escape import clean
    from viubench.storage.secrets import mask

    for start, text in (("viubench: ", error.message), ("  at: ", error.where), ("  try: ", error.hint)):
        if text:
            print(start + clean(mask(text)), file=sys.stderr)


class _Stderr(logging.Handler):
    """Lines on the standard error of the moment: a bar in use takes its place."""

    def emit(self, record: logging.LogRecord) -> None:
        from reports.html.escape import clean
        from viubench.storage.secrets import mask

        start = "" if record.levelno < logging.WARNING or record.getMessage().startswith(" ") else "warning: "
        print(start + clean(mask(record.getMessage())), file=sys.stderr, flush=True)
