"""The loop of `viubench watch`: scan, evaluate, gate, record. Printing and drawing are the caller's (`Output`).

Example:
    WatchLoop(scheduler, run_options=[], reference=None, command=[], output=output).run(poll=10.0, once=True)
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from viubench.errors import ViubenchError
from viubench.schema import WatchEntry
from viubench.storage.run_dir import read_manifest
from viubench.system import child_process
from viubench.watch.reference import Reference
from viubench.watch.scheduler import SETTLING, Due, Scan, Scheduler, busy, finished

PROGRAM = (sys.executable, "-m", "viubench")

COMMAND_SECONDS = 600.0
"""Time limit of the command on a regression."""


class Output(Protocol):
    """Where the events of a watch go."""

    def log(self, message: str) -> None: ...

    def warn(self, message: str) -> None: ...

    def entry(self, entry: WatchEntry) -> None:
        """A checkpoint was evaluated or gated."""

    def draw(self, scan: Scan) -> None:
        """Scores or waiting checkpoints changed."""

    def progress(self) -> AbstractContextManager[Callable[[int, int], None]]:
        """A bar for the samples of one evaluation: `update(done, total)`."""


@dataclass
class WatchLoop:
    """Evaluates what is due; `run_options` of `viubench run` change no result, and `command` (empty for none) runs on a
    regression."""

    scheduler: Scheduler
    run_options: Sequence[str]
    reference: Reference | None
    command: Sequence[str]
    output: Output

    def run(self, poll: float, *, once: bool) -> None:
        """Scan every `poll` seconds; with `once` until nothing is due and what is settling had its time."""
        waited = False
        drawn: Scan | None = None
        if self.reference is not None:
            for entry in self.scheduler.to_gate(self.reference.against):
                outcome = self.reference.gate(self.scheduler.history.out / entry.run)
                self._record(entry.model_copy(update={"gate": outcome}))
        while True:
            scan = self.scheduler.scan()
            if scan.due is not None:
                self._evaluate(scan.due)
                self.output.draw(scan)
                waited, drawn = False, None
                continue
            if scan != drawn:
                self.output.draw(scan)
                for one in scan.waiting:
                    if drawn is None or one not in drawn.waiting:
                        self.output.log(f"step {one.step:,}: waiting for {one.name}: {one.why}")
                drawn = scan
            if once and (waited or not any(one.why == SETTLING for one in scan.waiting)):
                return
            time.sleep(self.scheduler.settle if once else poll)
            waited = once

    def _evaluate(self, due: Due) -> None:
        self.output.log(f"step {due.checkpoint.step:,}: evaluating {due.checkpoint.name}")
        gate = self.reference.gate if self.reference else None
        self._record(self.scheduler.evaluate(due, self._run_checkpoint, gate))

    def _record(self, entry: WatchEntry) -> None:
        """The command runs before the entry is written: a kill between them repeats it rather than losing it."""
        if self.command and entry.verdict == "regress":
            entry = entry.model_copy(update={"command": self._run_command(entry)})
        self.scheduler.history.append(entry)
        self.output.entry(entry)

    def _run_checkpoint(self, model: Path, run: Path) -> str:
        """`viubench run` in a process of its own; returns why it gave no results."""
        run.parent.mkdir(parents=True, exist_ok=True)
        log = run.with_suffix(".log")
        options = [*self.scheduler.options, *self.run_options, "--quiet"]
        command = [*PROGRAM, "run", "--model", str(model.resolve()), "--out", str(run), *options]
        while not finished(run):
            if busy(run):
                self.output.log(f"waiting for the process that still writes to {run}")
            while busy(run):
                time.sleep(child_process.TICK)
            if finished(run):
                break
            with self.output.progress() as update:
                code = child_process.run(command, log, tick=record_counter(run, update))
            if not (finished(run) or busy(run)):  # else another process took the folder first
                return failure_reason(code, log)
        return ""

    def _run_command(self, entry: WatchEntry) -> int:
        variables = {
            "VIUBENCH_CHECKPOINT": entry.path,
            "VIUBENCH_STEP": str(entry.step),
            "VIUBENCH_RUN": str((self.scheduler.history.out / entry.run).resolve()),
            "VIUBENCH_VERDICT": str(entry.verdict),
        }
        code = child_process.run(self.command, None, environment=os.environ | variables, limit=COMMAND_SECONDS)
        if code:
            self.output.warn(f"the command on regression ended with exit code {code}")
        return code


def record_counter(run: Path, update: Callable[[int, int], None]) -> Callable[[], None]:
    """Calls `update` with how many samples of the run in `run` have a record, and of how many."""
    file, total, done, offset = run / "records.jsonl", 0, 0, 0

    def tick() -> None:
        nonlocal total, done, offset
        try:
            total = total or sum(task.n for task in read_manifest(run).tasks.values())
            with file.open("rb") as records:
                records.seek(offset)
                new = records.read()
        except (OSError, ViubenchError):  # not there yet
            return
        offset, done = offset + len(new), done + new.count(b"\n")
        update(done, total)

    return tick


def failure_reason(code: int, log: Path) -> str:
    """Exit code or signal of a run, and the error at the end of its log."""
    end = f"signal {-code}" if code < 0 else f"exit code {code}"
    text = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
    _, mark, message = text.rpartition("viubench: ")
    return f"viubench run ended with {end}" + (f": {message if mark else text[-400:]}" if text else "")
