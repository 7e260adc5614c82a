"""What the viewer has open: the folders it was given, their runs, and the samples of those that are looked at.

Example:
    workspace = Workspace([Path("runs")])
    [run.label for run in workspace.runs()]
    # ['base', 'train/watch/runs/checkpoint-200']

Folders are looked through again now and then, and a run's files are read again when they changed, so that what is going
on shows. Nothing is written.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.data import samples
from reports.data.runs import RunData
from reports.html.escape import clean
from reports.html.format import middle_cut
from reports.server.folders import Found, Place, find
from reports.server.sample_search import SampleSearch
from reports.tables.leaderboard import labels
from viubench.errors import ViubenchError
from viubench.schema import Results
from viubench.storage import record_log
from viubench.storage.run_dir import read_manifest, read_results

AGAIN = 5.0
"""Seconds after which the folders are looked through again."""

MOST_SEARCHES = 3
"""Sets of runs whose samples are held."""

MOST_TOGETHER = 12
"""Runs that are looked at side by side."""

NAME = 80


@dataclass(frozen=True)
class OpenRun:
    """A run as it is now: `data` without its records; `results` of a run that is not finished are empty."""

    place: Place
    data: RunData
    finished: bool

    @property
    def key(self) -> str:
        return self.place.key

    @property
    def label(self) -> str:
        """Where it lies, below the folder that was named."""
        return self.place.label

    @property
    def model(self) -> str:
        return self.data.results.model

    @property
    def total(self) -> int:
        """Answers that it is to have."""
        manifest = self.data.manifest
        if manifest.shard is not None:
            return manifest.shard.answers
        each = {task: protocol.decoding.samples for task, protocol in manifest.protocols.items()}
        return sum(entry.n * each.get(task, 1) for task, entry in manifest.tasks.items())


class Workspace:
    """Everything below `folders`. Raises ViubenchError where nothing is there to be shown."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(folders)
        self._lock = threading.RLock()
        self._opened: dict[str, tuple[tuple[int, ...], OpenRun]] = {}
        self._searches: OrderedDict[tuple[str, ...], SampleSearch] = OrderedDict()
        self.unreadable: dict[str, str] = {}
        self._found, self._looked = find(self._folders), time.monotonic()
        if not (self._found.runs or self._found.trainings or self._found.watches):
            named = ", ".join(map(str, self._folders))
            hint = "a run folder has a manifest.json; start one with: viubench run"
            raise ViubenchError(f"there is no run, training or watch in {named:.300}", where="RUNS", hint=hint)

    def found(self) -> Found:
        """What is there, at most `AGAIN` seconds old."""
        with self._lock:
            if time.monotonic() - self._looked > AGAIN:
                self._found, self._looked = find(self._folders), time.monotonic()
            return self._found

    def runs(self) -> list[OpenRun]:
        """Every run that can be read, by its label; `unreadable` says of the others why."""
        with self._lock:
            opened: list[OpenRun] = []
            self.unreadable.clear()
            for place in self.found().runs:
                try:
                    opened.append(self._open(place))
                except ViubenchError as error:
                    self.unreadable[place.label] = error.message
            return opened

    def run(self, key: str) -> OpenRun:
        """The run under this key; KeyError where there is none that can be read."""
        return {run.key: run for run in self.runs()}[key]

    def chosen(self, keys: Sequence[str]) -> list[OpenRun]:
        """The runs under these keys, in the order of `runs`; those that were changed last where none is named."""
        runs = self.runs()
        if keys:
            runs = [run for run in runs if run.key in keys]
        elif len(runs) > MOST_TOGETHER:
            latest = sorted(runs, key=lambda run: -changed(run))[:MOST_TOGETHER]
            runs = [run for run in runs if run in latest]
        return runs[:MOST_TOGETHER]

    def search(self, runs: Sequence[OpenRun]) -> SampleSearch:
        """The samples of these runs, which stay open for a while."""
        with self._lock:
            keys = tuple(f"{run.key} {run.data.manifest.started}" for run in runs)
            if keys not in self._searches:
                frames = [f"/frames/{run.key}?at=" for run in runs]
                self._searches[keys] = SampleSearch([run.data for run in runs], names_of(runs), frames)
            self._searches.move_to_end(keys)
            while len(self._searches) > MOST_SEARCHES:
                self._searches.popitem(last=False)
            return self._searches[keys]

    def _open(self, place: Place) -> OpenRun:
        stamps = tuple(_stamp(place.path / name) for name in ("manifest.json", "results.json"))
        known = self._opened.get(place.key)
        if known is not None and known[0] == stamps:
            return known[1]
        manifest = read_manifest(place.path)
        finished = stamps[1] > 0
        if finished:
            results = read_results(place.path)
        else:
            model, engine = str(manifest.model.get("name", "")), str(manifest.engine.get("kind", ""))
            results = Results(model=model, engine=engine, tasks={}, suites={})
        run = OpenRun(place, RunData(place.path, manifest, results, samples.table([])), finished)
        self._opened[place.key] = stamps, run
        return run


def changed(run: OpenRun) -> float:
    """When the run wrote last, in seconds of the clock; 0 where it wrote nothing."""
    return max(_stamp(run.place.path / name) for name in ("manifest.json", record_log.FILE, "run.log")) / 1e9


def names_of(runs: Sequence[OpenRun]) -> list[str]:
    """A name of each run that no other one has: its model, and where several have that, where it lies."""
    models = [middle_cut(clean(run.model), NAME) for run in runs]
    both = zip(models, runs, strict=True)
    names = [f"{model} · {clean(run.label)}" if models.count(model) > 1 else model for model, run in both]
    return names if len(set(names)) == len(names) else labels([run.data for run in runs])


def _stamp(path: Path) -> int:
    """When a file was written last, in nanoseconds; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
