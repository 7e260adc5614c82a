"""What `viubench watch` prints and draws: a line for each checkpoint, progress, the page.

Example:
    WatchLoop(scheduler, [], None, [], Printer(scheduler, training=None, quiet=False)).run(poll=10.0, once=True)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from reports.html.escape import one_line
from reports.html.format import with_interval
from reports.pages import watch_page
from viubench.cli.progress import bar
from viubench.errors import ViubenchError
from viubench.schema import WatchEntry, utf8
from viubench.system.tracking import Tracker
from viubench.watch.scheduler import Scan, Scheduler


@dataclass
class Printer:
    """Prints checkpoints on standard output and, unless `quiet`, the rest on standard error; rewrites the page. The
    trainer's log is that of the folder `training`, by default of the watched one if it has one; `tracker` gets every
    checkpoint."""

    scheduler: Scheduler
    training: Path | None
    quiet: bool
    tracker: Tracker | None = None

    def log(self, message: str) -> None:
        if not self.quiet:
            print(one_line(message), file=sys.stderr, flush=True)

    def warn(self, message: str) -> None:
        warn(message)

    def entry(self, entry: WatchEntry) -> None:
        print(summary(entry), flush=True)
        if self.tracker is not None:
            self.tracker.checkpoint(entry)

    def progress(self) -> AbstractContextManager[Callable[[int, int], None]]:
        return bar("samples", quiet=self.quiet)

    def draw(self, scan: Scan) -> None:
        history, folder = self.scheduler.history, self.scheduler.folder
        training = self.training or (folder if (folder / watch_page.LOG).is_file() else None)
        try:
            page = history.out / watch_page.PAGE
            watch_page.write(page, utf8(folder.resolve().name), history.latest(), scan.waiting, training)
        except OSError as error:
            self.warn(f"cannot write {watch_page.PAGE}: {error.strerror}")


def warn(message: str) -> None:
    """A warning on standard error."""
    print(f"viubench: {one_line(message)}", file=sys.stderr)


def summary(entry: WatchEntry) -> str:
    """A checkpoint in a line: its mean or its one score and the verdict, or why it failed."""
    start = f"step {entry.step:,}"
    if entry.status == "failed":
        return f"{start}: failed, {one_line(entry.reason)}"
    heads = {"mean": entry.mean} if entry.mean else entry.tasks
    parts = [f"{one_line(name, 120)} {with_interval(score.value, *score.ci)}" for name, score in heads.items()]
    if entry.gate is not None:
        parts.append(entry.gate.verdict + (f" ({one_line(entry.gate.reason)})" if entry.gate.reason else ""))
    return f"{start}: {', '.join(parts)}"


@contextmanager
def resumable() -> Iterator[None]:
    """Names a full disk as what it is, and prints how to resume when a signal ends the watch."""
    try:
        yield
    except OSError as error:
        raise ViubenchError(
            f"the watch stopped: {error.strerror or error}",
            where=error.filename if isinstance(error.filename, str) else "--out",
            hint="fix that and rerun the same command to resume",
        ) from error
    except (KeyboardInterrupt, SystemExit) as stop:
        print("stopped; rerun the same command to resume", file=sys.stderr)
        if isinstance(stop, KeyboardInterrupt):
            raise SystemExit(130) from None
        raise
