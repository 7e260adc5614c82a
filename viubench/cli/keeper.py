"""What `viubench watch` does, step by step: look, evaluate, gate, tell, put down, draw.

Example:
    Keeper(watch, [], base=None, command=[], training=None, quiet=False).loop(poll=10.0, once=True)
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reports.html.escape import one_line
from reports.pages import watch_page
from viubench.cli.progress import bar
from viubench.comparison.gate import CODES, WORST_FIRST, gate
from viubench.errors import Exit, ViubenchError
from viubench.schema import Entry, GateConfig, Gated, content_hash, utf8
from viubench.storage import reference_run, strict_yaml
from viubench.storage.run_dir import read_manifest, read_results
from viubench.system import child_process
from viubench.watch.scheduler import Due, Turn, Watch, busy, finished, judged

PROGRAM = (sys.executable, "-m", "viubench")

COMMAND_SECONDS = 600.0
"""Time that the command on a regression has."""


@dataclass(frozen=True)
class Base:
    """What the checkpoints are judged against; `against` changes with its records and with the configuration."""

    path: Path
    config: GateConfig
    against: str

    @classmethod
    def read(cls, name: str, config: Path | None) -> Base:
        """Raises ViubenchError, before anything is evaluated, when it is no finished run or no such baseline."""
        path, settings = reference_run.find(name), strict_yaml.load(config, GateConfig) if config else GateConfig()
        read_manifest(path)
        read_results(path)
        records = hashlib.sha256((path / "records.jsonl").read_bytes()).hexdigest()
        return cls(path, settings, content_hash([records, settings.model_dump(mode="json")]))

    def judge(self, run: Path) -> Gated:
        """The gate's word; what it refuses to judge is an error too, and ends no watch."""
        try:
            report = gate(self.path, run, self.config)
        except ViubenchError as error:
            return Gated(against=self.against, verdict="error", exit_code=Exit.INVALID_RUN, reason=utf8(error.message))
        reasons = list(report.problems)
        reasons += [f"{task}: {found.reason}" for task, found in report.tasks.items() if found.verdict != "pass"]
        return Gated(
            against=self.against,
            verdict=report.verdict,
            exit_code=report.exit_code,
            tasks={task: found.verdict for task, found in report.tasks.items()},
            baseline={task: found.evidence.baseline for task, found in report.tasks.items() if found.evidence},
            mean=report.mean.baseline if report.mean else None,
            reason="; ".join(reasons),
        )


@dataclass
class Keeper:
    """Runs what a watch finds due, and tells of it: the history, a line, the page, the command on a regression.

    Attributes:
        more: options of `viubench run` that change no result.
        command: what to run on a regression, empty for nothing.
        training: folder of the trainer's log; the watched one where it has a log when None.
    """

    watch: Watch
    more: Sequence[str]
    base: Base | None
    command: Sequence[str]
    training: Path | None
    quiet: bool

    def loop(self, poll: float, *, once: bool) -> None:
        """Look, evaluate, look again; with `once` until nothing is due, after what is settling had its time."""
        waited = False
        drawn: Turn | None = None
        while True:
            turn = self.watch.look()
            if turn.due is not None:
                self._evaluate(turn.due)
                self._draw(turn)
                waited, drawn = False, None
                continue
            if turn != drawn:
                self._draw(turn)
                self._told_waiting(turn, drawn)
                drawn = turn
            if once and (waited or not any(one.settling for one in turn.waiting)):
                return
            time.sleep(self.watch.settle if once else poll)
            waited = once

    def judge_again(self) -> None:
        """The gate's word on what was evaluated under no gate, or under another one."""
        if self.base is None:
            return
        for entry in self.watch.to_judge(self.base.against):
            if finished(self.watch.history.out / entry.run):
                self._enter(judged(entry, self.watch.history.out, self.base.judge))

    def _evaluate(self, due: Due) -> None:
        self._say(f"step {due.checkpoint.step:,}: evaluating {one_line(due.checkpoint.name)}")
        self._enter(self.watch.evaluate(due, self._answer, self.base.judge if self.base else None))

    def _enter(self, entry: Entry) -> None:
        """The command comes before the line: a kill between them tells of a regression twice rather than never."""
        if self.command and entry.verdict == "regress":
            entry = entry.model_copy(update={"command": self._command(entry)})
        self.watch.history.append(entry)
        print(summary(entry), flush=True)

    def _answer(self, model: Path, run: Path) -> str:
        """`viubench run` in a process of its own; says why it gave no results."""
        run.parent.mkdir(parents=True, exist_ok=True)
        log = run.with_suffix(".log")
        given = ["run", "--model", str(model.resolve()), "--out", str(run), *self.watch.options, *self.more, "--quiet"]
        while True:
            if busy(run):
                self._say(f"waiting for the process that still writes to {run}")
            while busy(run):
                time.sleep(child_process.TICK)
            if finished(run):
                return ""
            with bar("answering", quiet=self.quiet) as update:
                code = child_process.run([*PROGRAM, *given], log, tick=counter(run, update))
            if finished(run) or not busy(run):  # else that process came first after all
                return "" if finished(run) else last_words(code, log)

    def _command(self, entry: Entry) -> int:
        told = {
            "VIUBENCH_CHECKPOINT": entry.path,
            "VIUBENCH_STEP": str(entry.step),
            "VIUBENCH_RUN": str((self.watch.history.out / entry.run).resolve()),
            "VIUBENCH_VERDICT": str(entry.verdict),
        }
        code = child_process.run(self.command, None, environment=os.environ | told, limit=COMMAND_SECONDS)
        if code:
            print(f"viubench: the command on regression ended with exit code {code}", file=sys.stderr)
        return code

    def _draw(self, turn: Turn) -> None:
        history = self.watch.history
        training = self.training or (self.watch.folder if (self.watch.folder / watch_page.LOG).is_file() else None)
        try:
            name = utf8(self.watch.folder.resolve().name)
            watch_page.write(history.out / watch_page.PAGE, name, history.latest(), turn.waiting, training)
        except OSError as error:
            print(f"viubench: cannot write {watch_page.PAGE}: {error.strerror}", file=sys.stderr)

    def _told_waiting(self, turn: Turn, before: Turn | None) -> None:
        for one in turn.waiting:
            if before is None or one not in before.waiting:
                self._say(f"step {one.step:,}: {one_line(one.name)} waits: {one_line(one.why)}")

    def _say(self, words: str) -> None:
        if not self.quiet:
            print(words, file=sys.stderr, flush=True)


def summary(entry: Entry) -> str:
    """A checkpoint in a line: its mean, or its one score; else why there is none."""
    start = f"step {entry.step:,}"
    if entry.status == "failed":
        return f"{start}: failed, {one_line(entry.reason)}"
    heads = {"mean": entry.mean} if entry.mean else entry.tasks
    told = [f"{one_line(name, 120)} {watch_page.with_interval(score)}" for name, score in heads.items() if score]
    if entry.gate is not None:
        told.append(entry.gate.verdict + (f" ({one_line(entry.gate.reason)})" if entry.gate.reason else ""))
    return f"{start}: {', '.join(told)}"


def exit_code(entries: Iterable[Entry]) -> int:
    """The worst of the gate's exit codes; a checkpoint that could not be evaluated is none that passed."""
    codes = {entry.gate.exit_code if entry.gate else Exit.INVALID_RUN for entry in entries}
    return next((CODES[verdict] for verdict in WORST_FIRST if CODES[verdict] in codes), Exit.OK)


def words_of(command: str | None, base: Base | None) -> list[str]:
    """The command's words, once there is a gate to call it and a program of its name.

    Raises:
        ViubenchError: neither, or quotes that do not close.
    """
    if command is None:
        return []
    where = "--on-regression"
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ViubenchError(f"the command does not read: {error}", where=where) from None
    if base is None:
        raise ViubenchError("there is no gate to find a regression", where=where, hint="name a baseline with --gate")
    if not words or shutil.which(words[0]) is None:
        raise ViubenchError(
            f"no such program: {words[0] if words else command!r}",
            where=where,
            hint="no shell runs it: for pipes and variables, give sh -c '...'",
        )
    return words


def counter(run: Path, update: Callable[[int, int], None]) -> Callable[[], None]:
    """Shows how many of its samples the run that goes on in `run` has answered."""
    file, total, done, read = run / "records.jsonl", 0, 0, 0

    def tick() -> None:
        nonlocal total, done, read
        try:
            total = total or sum(task.n for task in read_manifest(run).tasks.values())
            with file.open("rb") as records:
                records.seek(read)
                new = records.read()
        except (OSError, ViubenchError):  # not yet there
            return
        read, done = read + len(new), done + new.count(b"\n")
        update(done, total)

    return tick


def last_words(code: int, log: Path) -> str:
    """Why a run gave no results, in its own words."""
    end = f"signal {-code}" if code < 0 else f"exit code {code}"
    said = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
    _, mark, last = said.rpartition("viubench: ")
    return (
        f"viubench run ended with {end}: {last if mark else said[-400:]}" if said else f"viubench run ended with {end}"
    )


@contextmanager
def told_when_stopped() -> Iterator[None]:
    """Says that nothing is lost when a signal ends the watch, and what a full disk is."""
    try:
        yield
    except OSError as error:
        raise ViubenchError(
            f"the watch cannot go on: {error.strerror or error}",
            where=error.filename if isinstance(error.filename, str) else "--out",
            hint="mend that; the same command goes on from here",
        ) from error
    except (KeyboardInterrupt, SystemExit) as stop:
        print("stopped; the same command goes on from here", file=sys.stderr)
        if isinstance(stop, KeyboardInterrupt):
            raise SystemExit(130) from None
        raise
