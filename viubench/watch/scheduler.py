"""Which checkpoints of a training are due for evaluation, and what an evaluation results in.

Example:
    while (scan := scheduler.scan()).due is not None:
        history.append(scheduler.evaluate(scan.due, run_checkpoint, gate))

A checkpoint (a name with the fingerprint of its weights) is incomplete, then settling (complete, but changed lately),
then due, then in the history. A kill loses nothing: a run folder with results is entered without being run again; one
without is resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from viubench.engines.base_models import fingerprint
from viubench.errors import ViubenchError
from viubench.schema import FAILED, GateOutcome, Suite, WatchEntry, WatchScore, content_hash, utf8
from viubench.schema.gate import MAX_ERRORS
from viubench.scoring.aggregate import summarise
from viubench.storage import locking
from viubench.storage.run_dir import read_manifest, read_records, read_results
from viubench.watch import checkpoints
from viubench.watch.checkpoints import Checkpoint
from viubench.watch.history import History

RUNS = "runs"
SETTLING = "complete; waiting until its writer is done"


@dataclass(frozen=True)
class Due:
    """A checkpoint to evaluate, and the fingerprint of its weights."""

    checkpoint: Checkpoint
    fingerprint: str


@dataclass(frozen=True)
class Waiting:
    """A checkpoint that cannot be evaluated yet, and why."""

    name: str
    step: int
    why: str


@dataclass(frozen=True)
class Scan:
    """The first checkpoint that is due, and those that are not complete."""

    due: Due | None
    waiting: tuple[Waiting, ...]


@dataclass
class State:
    """A checkpoint as it was when it last changed; `since` is by the scheduler's clock."""

    stamp: str
    since: float
    incomplete: str
    marked: bool
    fingerprint: str = ""


@dataclass
class Scheduler:
    """One folder of checkpoints and the history of their evaluations.

    Args:
        options: those of `viubench run`, model and run folder apart.
        settle: seconds without a change after which a complete checkpoint counts as written.
        max_errors: share of media and engine errors above which an evaluation has failed.
        base_model: gives what the checkpoints lack, see `engines.base_models`.
        clock: monotonic seconds.

    Raises:
        ViubenchError: the history has evaluations with other options; their scores do not belong on one curve.
    """

    folder: Path
    history: History
    options: list[str]
    _: KW_ONLY
    settle: float
    max_errors: float = MAX_ERRORS
    base_model: str | None = None
    clock: Callable[[], float] = time.monotonic
    _states: dict[str, State] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for entry in self.history.entries:
            if entry.status == "evaluated" and entry.options != self.options:
                raise ViubenchError(
                    f"{self.history.out} has evaluations with other options: {' '.join(entry.options)}",
                    where="--out",
                    hint="use the same options, or another folder",
                )

    def scan(self) -> Scan:
        """What is due now, the lowest step first, and what is not complete."""
        due: Due | None = None
        waiting = []
        for checkpoint in checkpoints.find(self.folder):
            try:
                why, state = self._state(checkpoint)
                if not why and due is None:
                    state.fingerprint = state.fingerprint or fingerprint(checkpoint.model, self.base_model)
                    if not self.history.has(checkpoint.name, state.fingerprint, self.options):
                        due = Due(checkpoint, state.fingerprint)
            except (OSError, ViubenchError) as error:
                why = f"it cannot be read: {error}"
            if why:
                waiting.append(Waiting(checkpoint.name, checkpoint.step, why))
        return Scan(due, tuple(waiting))

    def run_folder(self, due: Due) -> Path:
        """Where the evaluation goes: another folder for other weights, other options, another place of the model."""
        key = content_hash([utf8(due.checkpoint.model.resolve()), due.fingerprint, self.options])
        return self.history.out / RUNS / f"step-{due.checkpoint.step:06d}-{key[:12]}"

    def evaluate(
        self, due: Due, run_checkpoint: Callable[[Path, Path], str], gate: Callable[[Path], GateOutcome] | None = None
    ) -> WatchEntry:
        """The entry of a checkpoint. `run_checkpoint` evaluates a model folder into a run folder and returns why it
        failed, or nothing; it is called only where there is no finished run yet."""
        run = self.run_folder(due)
        why = "" if finished(run) else run_checkpoint(due.checkpoint.model, run)
        tasks: dict[str, WatchScore] = {}
        mean = None
        try:
            why = why or self._fault(run, due.fingerprint)
            tasks, mean = ({}, None) if why else scores(run)
        except ViubenchError as error:
            why = error.message
        entry = WatchEntry(
            step=due.checkpoint.step,
            name=due.checkpoint.name,
            path=utf8(due.checkpoint.model.resolve()),
            fingerprint=due.fingerprint,
            status="failed" if why else "evaluated",
            reason=utf8(why),
            tasks=tasks,
            mean=mean,
            run=f"{RUNS}/{run.name}",
            options=self.options,
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return entry if why or gate is None else entry.model_copy(update={"gate": gate(run)})

    def to_gate(self, against: str) -> list[WatchEntry]:
        """Evaluated checkpoints with a finished run that the gate has not judged against this reference run."""
        return [
            entry
            for entry in self.history.latest()
            if entry.status == "evaluated"
            and (entry.gate is None or entry.gate.against != against)
            and finished(self.history.out / entry.run)
        ]

    def _state(self, checkpoint: Checkpoint) -> tuple[str, State]:
        """Why the checkpoint must wait, or nothing, and its state; raises OSError where it cannot be read."""
        now = self.clock()
        try:
            stamp, age = checkpoints.stamp(checkpoint.folder)
        except OSError:
            self._states.pop(checkpoint.name, None)
            raise
        state = self._states.get(checkpoint.name)
        if state is None or state.stamp != stamp:
            since = now - age if state is None else now
            state = self._states[checkpoint.name] = State(
                stamp, since, *checkpoints.completeness(checkpoint, self.base_model)
            )
        if state.incomplete:
            return state.incomplete, state
        return ("" if state.marked or now - state.since >= self.settle else SETTLING), state

    def _fault(self, run: Path, fingerprint: str) -> str:
        """Why a finished run is no evaluation of these weights; nothing where it is one."""
        if read_manifest(run).model.get("fingerprint") not in (None, fingerprint):
            return "the checkpoint changed during its evaluation"
        results = read_results(run).tasks.values()
        total = sum(task.answers for task in results)
        lost = sum(task.statuses.get(status, 0) for task in results for status in FAILED)
        if not total:
            return "the run has no samples"
        share = f"{lost} of {total} samples failed, more than --max-errors {self.max_errors:g}"
        return share if lost > self.max_errors * total else ""


def finished(run: Path) -> bool:
    return (run / "results.json").is_file()


def busy(run: Path) -> bool:
    """Whether another process writes to the run folder: an evaluation whose watch was killed."""
    return locking.is_held(run / locking.LOCK)


def scores(run: Path) -> tuple[dict[str, WatchScore], WatchScore | None]:
    """The score of each task of a finished run, and of several their mean, clustered across them: that of the suite
    that was run, if it was one; else all tasks count the same."""
    results, manifest = read_results(run), read_manifest(run)
    tasks = {
        name: WatchScore(
            metric=task.metric, value=task.value, ci=task.ci, n=task.n, items=task.items_hash,
            protocol=task.protocol_hash,
        )
        for name, task in results.tasks.items()
    }  # fmt: skip
    if len(tasks) < 2:
        return tasks, None
    suite = next((one for one in results.suites.values() if set(one.tasks) == set(tasks)), None)
    if suite is None:
        mean = Suite(suite="mean", tasks=sorted(tasks))
        suites = manifest.model_copy(update={"suites": {"mean": mean}})
        suite = summarise(read_records(run), suites).suites["mean"]
    n = sum(task.n for task in tasks.values())
    return tasks, WatchScore(metric="mean", value=suite.value, ci=suite.ci, n=n)
