"""Progress and scores to an experiment tracker on this machine: Trackio, Weights & Biases or TensorBoard.

Example:
    with Tracker.open("tensorboard", Path("runs/a"), lambda: {"model": "my_model"}) as tracker:
        tracker.log({"mvbench/accuracy": 0.71}, step=200)

Nothing needs the network: W&B is in its offline mode (unless WANDB_MODE says otherwise), Trackio writes into its own
local store, TensorBoard and W&B write into the folder `tracking`. A tracker that fails is a warning: the work goes on
without it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from viubench.errors import ViubenchError, did_you_mean
from viubench.storage import secrets

if TYPE_CHECKING:
    from viubench.runner.config import Progress
    from viubench.schema import GateReport, Manifest, Results, WatchEntry

Facts = Callable[[], Mapping[str, Any]]

PROJECT = "viubench"
FOLDER = "tracking"

log = logging.getLogger("viubench")


class Backend(Protocol):
    """One tracker, open for one run."""

    def log(self, values: Mapping[str, float], step: int) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files, for `tensorboard --logdir FOLDER`; they hold numbers alone."""

    def __init__(self, name: str, folder: Path, facts: Mapping[str, Any]) -> None:
        from tensorboard.summary import Writer

        self._writer = Writer(str(folder / name))

    def log(self, values: Mapping[str, float], step: int) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandB:
    """An offline run, for `wandb sync FOLDER/wandb/offline-run-*`. It takes neither code, git nor command lines."""

    def __init__(self, name: str, folder: Path, facts: Mapping[str, Any]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it would report over the network
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False, x_disable_meta=True)
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        self._run = wandb.init(
            project=project, name=name, dir=str(folder), mode=mode, config=dict(facts), settings=quiet
        )
        self._run.define_metric("*", step_metric="step")  # its own steps only go up

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log({**values, "step": step})

    def close(self) -> None:
        self._run.finish()


class Trackio:
    """A run of the local store, for `trackio show --project viubench`."""

    def __init__(self, name: str, folder: Path, facts: Mapping[str, Any]) -> None:
        import trackio

        self._run = trackio.init(
            project=PROJECT, name=name, config=dict(facts), embed=False, auto_log_gpu=False, auto_log_cpu=False
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


BACKENDS: dict[str, Callable[[str, Path, Mapping[str, Any]], Backend]] = {
    "trackio": Trackio,
    "wandb": WandB,
    "tensorboard": TensorBoard,
}
"""By the name of the tracker, which is that of its package."""


class Tracker(AbstractContextManager["Tracker"]):
    """What is logged goes to one tracker, or nowhere; it is started by what is logged first, and raises nothing."""

    def __init__(self, start: Callable[[], Backend] | None, warn: Callable[[str], None]) -> None:
        self._start = start
        self._warn = warn
        self._backend: Backend | None = None

    @classmethod
    def open(
        cls,
        name: str | None,
        folder: Path,
        facts: Facts,
        *,
        called: str = "",
        warn: Callable[[str], None] = log.warning,
    ) -> Tracker:
        """The tracker of that name, with its files below `folder`; one that does nothing where `name` is None.

        Args:
            facts: what the run is, asked when the tracker starts; secrets are masked.
            called: the run's name there, the folder's by default.
            warn: takes the warning about a tracker that fails.

        Raises:
            ViubenchError: no such tracker, or its package is not installed.
        """
        if name is None:
            return cls(None, warn)
        if name not in BACKENDS:
            hint = did_you_mean(name, BACKENDS, f"there are {', '.join(BACKENDS)}")
            raise ViubenchError(f"no such tracker: {name!r:.40}", where="--track", hint=hint)
        if find_spec(name) is None:
            raise ViubenchError(f"{name} is not installed", where="--track", hint=f"pip install {name}")
        known = secrets.mask(called or folder.resolve().name)
        return cls(lambda: BACKENDS[name](known, folder / FOLDER, secrets.masked(dict(facts()))), warn)

    def log(self, values: Mapping[str, float | None], step: int) -> None:
        """Log numbers under their names; what is None is left out."""
        if self._start is None:
            return
        given = {secrets.mask(key): float(value) for key, value in values.items() if value is not None}
        start = self._start

        def send() -> None:
            self._backend = self._backend or start()
            self._backend.log(given, step)

        self._guarded(send)

    def following(self, report: Callable[[Progress], None] | None) -> Callable[[Progress], None] | None:
        """`report`, and how many answers there are and of which status, a hundred times in a run at most."""
        if self._start is None:
            return report
        shown = -1

        def both(event: Progress) -> None:
            nonlocal shown
            if report is not None:
                report(event)
            share = 100 * event.done // max(event.total, 1)
            if event.stage == "answering" and event.statuses and share > shown:
                shown = share
                counts = {f"answers/{status}": float(count) for status, count in event.statuses.items()}
                self.log({"answers/all": event.done, **counts}, event.done)

        return both

    def scores(self, results: Results) -> None:
        """The scores of a finished run, with their intervals, at the number of its answers."""
        values: dict[str, float] = {}
        for name, task in results.tasks.items():
            if not task.needs_judge:
                values |= _score(f"{name}/{task.metric}", task.value, task.ci)
        for name, suite in results.suites.items():
            values |= _score(f"{name}/mean", suite.value, suite.ci)
        self.log(values, sum(task.answers for task in results.tasks.values()))

    def checkpoint(self, entry: WatchEntry) -> None:
        """The scores of a checkpoint, and whether the gate says that it regressed, at its training step."""
        values = {f"{name}/{score.metric}": score.value for name, score in entry.tasks.items()}
        values |= {"mean": entry.mean.value} if entry.mean else {}
        values |= {"gate/regress": float(entry.verdict == "regress")} if entry.verdict else {}
        if values:
            self.log(values, entry.step)

    def gate(self, report: GateReport) -> None:
        """Each task's difference with its interval, or its score and floor, and the exit code."""
        values: dict[str, float] = {"gate/exit_code": report.exit_code}
        for name, task in report.tasks.items():
            if found := task.evidence:
                values |= {f"{name}/baseline": found.baseline, f"{name}/candidate": found.candidate}
                values |= _score(f"{name}/difference", found.difference, found.ci)
            if tested := task.floor:
                values |= {f"{name}/floor": tested.floor, f"{name}/candidate": tested.score}
        self.log(values, 0)

    def __exit__(self, *_: object) -> None:
        if self._backend is not None:
            self._guarded(self._backend.close)

    def _guarded(self, action: Callable[[], None]) -> None:
        """What trackers print is not the command's output, and what they raise does not end it."""
        try:
            with redirect_stdout(sys.stderr):
                action()
        except Exception as error:
            self._start = self._backend = None
            said = secrets.mask(f"{type(error).__name__}: {error!s:.200}")
            self._warn(f"the tracker failed, and the run goes on without it: {said}")


def _score(name: str, value: float, ci: tuple[float, float]) -> dict[str, float]:
    return {name: value, f"{name}_low": ci[0], f"{name}_high": ci[1]}


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """What a run is, for a tracker: model, engine, and each task's protocol and items."""
    tasks = {
        name: {
            "protocol": manifest.protocols[name].protocol,
            "protocol_hash": manifest.protocols[name].recorded_hash,
            "items_hash": entry.items_hash,
            "samples": entry.n,
        }
        for name, entry in manifest.tasks.items()
        if name in manifest.protocols
    }
    engine = {key: manifest.engine[key] for key in ("kind", "version") if key in manifest.engine}
    return {"model": dict(manifest.model), "engine": engine, "tasks": tasks, "seed": manifest.seed}
