"""Evaluating the checkpoints of a training as they appear: what is due, and what comes of it.

Example:
    watch = Watch(Path("runs/train"), history, options, settle=10.0)
    while (turn := watch.look()).due is not None:
        history.append(watch.evaluate(turn.due, answer, judge))

The states of a checkpoint, by its name and the fingerprint of its weights:

    waiting (something is missing) -> settling (whole, but changed lately) -> due -> known

Whatever a kill interrupts, a next look finds the same state: a line in the history makes a checkpoint known; a run
folder with results is entered without asking anything again; one without goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from viubench.errors import ViubenchError
from viubench.schema import Entry, Gated, Results, Score, Suite, SuiteResult, TaskResult, content_hash, utf8
from viubench.schema.gate import MAX_ERRORS
from viubench.scoring.aggregate import summarise
from viubench.storage import locking
from viubench.storage.run_dir import read_manifest, read_records, read_results
from viubench.watch import checkpoints
from viubench.watch.checkpoints import Checkpoint
from viubench.watch.history import History

RUNS = "runs"
SETTLING = "whole; waiting for its writer to be done"

Answer = Callable[[Path, Path], str]
"""Evaluates a model folder into a run folder; says why not, or nothing."""

Judge = Callable[[Path], Gated]
"""The gate on a run folder."""


@dataclass(frozen=True)
class Due:
    """A checkpoint to evaluate, and of which weights."""

    checkpoint: Checkpoint
    fingerprint: str


@dataclass(frozen=True)
class Waiting:
    """A checkpoint that cannot be evaluated yet, and why."""

    name: str
    step: int
    why: str

    @property
    def settling(self) -> bool:
        return self.why == SETTLING


@dataclass(frozen=True)
class Turn:
    """What one look found: the first checkpoint that is due, and those that are not there whole."""

    due: Due | None
    waiting: tuple[Waiting, ...]


@dataclass
class Sight:
    """A checkpoint as it was when it last changed; `since` is by the watch's clock."""

    stamp: str
    since: float
    lacks: str
    marked: bool
    fingerprint: str = ""


class Watch:
    """One folder of checkpoints and the history of their evaluations.

    Args:
        options: those of `viubench run`, model and run folder apart.
        settle: seconds without a change after which a whole checkpoint counts as written.
        max_errors: share of media and engine errors above which an evaluation has failed.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        folder: Path,
        history: History,
        options: Sequence[str],
        *,
        settle: float,
        max_errors: float = MAX_ERRORS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.history = history
        self.options = list(options)
        self.settle = settle
        self.max_errors = max_errors
        self._clock = clock
        self._sights: dict[str, Sight] = {}
        self._refuse_other_options()

    def look(self) -> Turn:
        """What is due now, the lowest step first, and what is not there whole."""
        due: Due | None = None
        waiting = []
        for checkpoint in checkpoints.find(self.folder):
            why, seen = self._state(checkpoint)
            if why:
                waiting.append(Waiting(checkpoint.name, checkpoint.step, why))
            elif due is None and seen is not None:
                if not seen.fingerprint:
                    try:
                        seen.fingerprint = checkpoints.fingerprint(checkpoint.model)
                    except (OSError, ViubenchError) as error:
                        waiting.append(Waiting(checkpoint.name, checkpoint.step, f"it cannot be read: {error}"))
                        continue
                if not self.history.knows(checkpoint.name, seen.fingerprint, self.options):
                    due = Due(checkpoint, seen.fingerprint)
        return Turn(due, tuple(waiting))

    def run_folder(self, due: Due) -> Path:
        """Where the evaluation goes: another folder for other weights, other options, another place of the model."""
        key = content_hash([utf8(due.checkpoint.model.resolve()), due.fingerprint, self.options])
        return self.history.out / RUNS / f"step-{due.checkpoint.step:06d}-{key[:12]}"

    def evaluate(self, due: Due, answer: Answer, judge: Judge | None = None) -> Entry:
        """What the checkpoint came to; `answer` is asked only where no finished run is there already."""
        run = self.run_folder(due)
        why = "" if finished(run) else answer(due.checkpoint.model, run)
        tasks: dict[str, Score] = {}
        mean = None
        if not why:
            try:
                why = self._fault(run, due.fingerprint)
                tasks, mean = scores(run)
            except ViubenchError as error:
                why = error.message
        entry = Entry(
            step=due.checkpoint.step,
            name=due.checkpoint.name,
            path=utf8(due.checkpoint.model.resolve()),
            fingerprint=due.fingerprint,
            status="failed" if why else "evaluated",
            reason=utf8(why),
            tasks={} if why else tasks,
            mean=None if why else mean,
            run=f"{RUNS}/{run.name}",
            options=self.options,
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return judged(entry, self.history.out, judge)

    def to_judge(self, against: str) -> list[Entry]:
        """Evaluated checkpoints that the gate has not judged against this baseline with this configuration."""
        return [
            entry
            for entry in self.history.latest()
            if entry.status == "evaluated" and (entry.gate is None or entry.gate.against != against)
        ]

    def _state(self, checkpoint: Checkpoint) -> tuple[str, Sight | None]:
        """Why the checkpoint must wait, or nothing; and what was seen of it."""
        now = self._clock()
        try:
            stamp, age = checkpoints.stamp(checkpoint.folder)
        except OSError as error:
            self._sights.pop(checkpoint.name, None)
            return f"it cannot be read: {error.strerror}", None
        seen = self._sights.get(checkpoint.name)
        if seen is None or seen.stamp != stamp:
            since = now - age if seen is None else now
            seen = self._sights[checkpoint.name] = Sight(stamp, since, *_whole(checkpoint))
        if seen.lacks:
            return f"it lacks {seen.lacks}", seen
        return ("" if seen.marked or now - seen.since >= self.settle else SETTLING), seen

    def _fault(self, run: Path, fingerprint: str) -> str:
        """Why a finished run is no evaluation of these weights; nothing where it is one."""
        if read_manifest(run).model.get("fingerprint") not in (None, fingerprint):
            return "the checkpoint was changed while it was evaluated"
        results = read_results(run).tasks.values()
        total = sum(task.n for task in results)
        lost = sum(task.statuses.get(status, 0) for task in results for status in ("media_error", "engine_error"))
        if not total:
            return "no sample was asked"
        share = f"{lost} of {total} samples failed, more than --max-errors {self.max_errors:g}"
        return share if lost > self.max_errors * total else ""

    def _refuse_other_options(self) -> None:
        """Scores of other items, or of others ways to ask, must not come onto one curve."""
        for entry in self.history.entries:
            if entry.status == "evaluated" and entry.options != self.options:
                raise ViubenchError(
                    f"{self.history.out} holds evaluations with other options: {' '.join(entry.options)}",
                    where="--out",
                    hint="give the same options again, or name another folder",
                )


def finished(run: Path) -> bool:
    return (run / "results.json").is_file()


def busy(run: Path) -> bool:
    """Whether another process writes to the run folder: an evaluation whose watch was killed."""
    return locking.is_held(run / ".lock")


def judged(entry: Entry, out: Path, judge: Judge | None) -> Entry:
    """The entry with the gate's verdict, where there is a gate and something to judge."""
    if judge is None or entry.status != "evaluated":
        return entry
    return entry.model_copy(update={"gate": judge(out / entry.run)})


def scores(run: Path) -> tuple[dict[str, Score], Score | None]:
    """The score of each task of a finished run, and of several their mean, clustered across them.

    The mean is that of the suite that was run, where it was one; else all tasks count the same.
    """
    results, manifest = read_results(run), read_manifest(run)
    tasks = {name: _score(task) for name, task in results.tasks.items()}
    if len(tasks) < 2:
        return tasks, None
    suite = next((one for one in results.suites.values() if set(one.tasks) == set(tasks)), None)
    if suite is None:
        mean = Suite(suite="mean", tasks=sorted(tasks))
        whole = summarise(read_records(run), manifest.model_copy(update={"suites": {"mean": mean}}))
        suite = whole.suites["mean"]
    return tasks, _mean(suite, results)


def _score(task: TaskResult) -> Score:
    return Score(
        metric=task.metric, value=task.value, ci=task.ci, n=task.n, items=task.items_hash, protocol=task.protocol_hash
    )


def _mean(suite: SuiteResult, results: Results) -> Score:
    return Score(metric="mean", value=suite.value, ci=suite.ci, n=sum(task.n for task in results.tasks.values()))


def _whole(checkpoint: Checkpoint) -> tuple[str, bool]:
    """What the checkpoint lacks, and whether its own trainer says that it is whole."""
    if checkpoints.marked(checkpoint.folder):
        return "", True
    if checkpoints.listed(checkpoint.folder):
        return "files of its list (trainer/files.json), or parts of them", False
    return checkpoints.lacking(checkpoint.model), False
