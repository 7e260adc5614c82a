"""The samples of several runs that a reader asks for, a page of them at a time.

Example:
    found = SampleSearch([run_a, run_b]).page(Wanted(task="viubench_count_easy", differ="models"))
    found["total"], found["samples"][0]["answers"][0]["status"]
    # (12, 'ok')

A page has the form of the offline page's data (`reports.sections.samples.browser`), so that the same script draws it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from reports.data.runs import BASELINES, RunData
from reports.sections import samples as cards
from reports.sections.per_sample import metric_of
from reports.sections.strips import Strips
from reports.server.record_index import RecordIndex, Samples
from viubench.comparison.report import TURN
from viubench.schema import STATUSES, Record
from viubench.video.filmstrip import strip_path

PAGE = 50
"""Samples of a page."""

FIRST_LOOK, LINK_LOOK = 0.15, 2.0
"""Seconds that a request may read on in records that were not read yet; where it names a sample, which may be among the
last ones. The rest is read meanwhile."""

PIECE_LOOK = 0.05
"""Seconds that are read at once while nobody waits."""

TEXT_LOOK = 0.7
"""Seconds that a request may look for text; the next one goes on from there."""

MOST_TEXTS = 8
"""Texts of which the finds are remembered."""

Differ = Literal["", "models", "best", "first", "second"]


@dataclass(frozen=True)
class Wanted:
    """What the reader asks for; empty for all. `a` and `b` are the two runs that `differ` is about, by their places,
    where it is not about any two."""

    task: str = ""
    model: str = ""
    status: str = ""
    grade: str = ""
    rule: str = ""
    differ: str = ""
    a: str = ""
    b: str = ""
    text: str = ""
    sample: str = ""
    """The page with this sample is the one that is asked for,"""
    of: str = ""
    """which is of this task."""
    page: int = 0


@dataclass(frozen=True)
class _Answer:
    """A record of a run, by its place, that begins at byte `offset`; whether it was asked for."""

    run: int
    record: Record
    offset: int
    asked: bool


class _TextFinds:
    """Which records of each run have a text, as far as was looked."""

    def __init__(self, text: str, runs: int) -> None:
        self.text = text.lower()
        self.found: list[list[bool]] = [[] for _ in range(runs)]
        self.generations = [0] * runs

    def look(self, indexes: Sequence[RecordIndex], until: float) -> bool:
        """Look on until that time; whether all is looked through."""
        for found, index, k in zip(self.found, indexes, range(len(indexes)), strict=True):
            if self.generations[k] != index.generation:
                self.generations[k] = index.generation
                found.clear()
            while len(found) < len(index):
                if time.monotonic() > until:
                    return False
                try:
                    some = range(len(found), min(len(found) + 500, len(index)))
                    found += [self.text in text for text in index.texts(some)]
                except OSError:  # the file is replaced just now
                    return False
        return True


class SampleSearch:
    """The samples of these runs. `names` are the runs' labels, `frames` how the addresses of their frames begin, which
    end with where the record does."""

    def __init__(self, runs: Sequence[RunData], names: Sequence[str], frames: Sequence[str]) -> None:
        self.runs, self.names, self._frames = list(runs), list(names), list(frames)
        self.samples = Samples()
        self.indexes = [RecordIndex(run.path, self.samples, partial(metric_of, run)) for run in runs]
        self._texts: OrderedDict[str, _TextFinds] = OrderedDict()
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None

    def read_on(self, seconds: float) -> bool:
        """Read records that were not read yet, a piece of each run in turn; whether there are more."""
        with self._lock:
            return self._read_on(time.monotonic() + seconds)

    def _read_all(self) -> None:
        """Read what there is, and let questions in between."""
        while self.read_on(PIECE_LOOK):
            time.sleep(PIECE_LOOK / 4)

    def _read_on(self, until: float) -> bool:
        more = True
        while more and time.monotonic() < until:
            more = sum(index.advance() for index in self.indexes) > 0  # a piece of each
        return more

    def page(self, wanted: Wanted) -> dict[str, Any]:
        """A page of the samples, as JSON data: beside what the offline page has, the `total` that were found, of how
        many samples (`of`), the `page` and `pages`, which answers of each were asked for (`hits`), and `reading`, the
        share of the records that was read, and `looking`, whether there is more to look through."""
        with self._lock:
            now = time.monotonic()
            more = self._read_on(now + (LINK_LOOK if wanted.sample else FIRST_LOOK))
            if more and (self._reader is None or not self._reader.is_alive()):
                self._reader = threading.Thread(target=self._read_all, daemon=True)
                self._reader.start()
            looked = not wanted.text or self._finds(wanted.text).look(self.indexes, time.monotonic() + TEXT_LOOK)
            rows = [self._rows(k, wanted) for k in range(len(self.indexes))]
            hit = np.zeros(len(self.samples), bool)
            for index, kept in zip(self.indexes, rows, strict=True):
                hit[index.column("sample")[kept]] = True
            best = self._best()
            places = np.flatnonzero(hit & self._of_task(wanted.task) & self._differing(wanted, best))
            shown = places[slice(*self._slice(places, wanted))]
            groups = self._groups(shown, rows)
        return self._data(wanted, places, groups, best) | {
            "looking": not looked or more,
            "reading": sum(index.read for index in self.indexes) / max(sum(index.size for index in self.indexes), 1),
        }

    # --- which ------------------------------------------------------------------------------------------------

    def _finds(self, text: str) -> _TextFinds:
        if text not in self._texts:
            self._texts[text] = _TextFinds(text, len(self.runs))
        self._texts.move_to_end(text)
        while len(self._texts) > MOST_TEXTS:
            self._texts.popitem(last=False)
        return self._texts[text]

    def _rows(self, place: int, wanted: Wanted) -> NDArray[np.bool_]:
        """Which records of a run were asked for."""
        index = self.indexes[place]
        kept = np.ones(len(index), bool)
        if wanted.model and self.names[place] != wanted.model:
            kept[:] = False
        if wanted.status:
            status = index.column("status")
            named = STATUSES.index(wanted.status) if wanted.status in STATUSES else -1
            kept &= status != STATUSES.index("ok") if wanted.status == "failed" else status == named
        if wanted.grade:
            score = index.column("score")
            right, wrong = score >= 1 - 1e-6, score <= 0
            kept &= {"right": right, "wrong": wrong}.get(wanted.grade, ~(right | wrong))
        if wanted.rule:
            kept &= index.column("rule") == index.rules.get(wanted.rule, -1)
        if wanted.text:
            found = np.zeros(len(index), bool)
            looked = self._finds(wanted.text).found[place][: len(index)]
            found[: len(looked)] = looked
            kept &= found
        return kept

    def _of_task(self, task: str) -> NDArray[np.bool_]:
        tasks = np.array(self.samples.task, np.int32)
        if not task:
            return np.ones(len(tasks), bool)
        return np.equal(tasks, self.samples.tasks.index(task) if task in self.samples.tasks else -1)

    def _differing(self, wanted: Wanted, best: Sequence[int]) -> NDArray[np.bool_]:
        """The samples whose first answers score differently: of any two models, or of two runs that are named, the two
        best by default."""
        if wanted.differ not in get_args(Differ) or not wanted.differ:
            return np.ones(len(self.samples), bool)
        scores = {k: self._scores(k) for k in range(len(self.runs))}
        if wanted.differ == "models":
            known = [scores[k] for k in best]
            if len(known) < 2:
                return np.zeros(len(self.samples), bool)
            spread = np.fmax.reduce(known) - np.fmin.reduce(known)
            return np.asarray(spread >= TURN)
        pair = [int(text) if text.isdigit() and int(text) in scores else None for text in (wanted.a, wanted.b)]
        a, b = (one if one is not None else other for one, other in zip(pair, [*best, None, None][:2], strict=True))
        if a is None or b is None:
            return np.zeros(len(self.samples), bool)
        gap = scores[a] - scores[b]
        return np.asarray({"best": np.abs(gap), "first": gap}.get(wanted.differ, -gap) >= TURN)

    def _scores(self, place: int) -> NDArray[np.float32]:
        """The score of a run's first answer to every sample; NaN where it has none."""
        index = self.indexes[place]
        scores = np.full(len(self.samples), np.nan, np.float32)
        first = index.column("number") == 0
        scores[index.column("sample")[first]] = index.column("score")[first]
        return scores

    def _best(self) -> list[int]:
        """The places of the models, the one with the highest mean so far first."""
        models = [k for k, run in enumerate(self.runs) if run.results.engine not in BASELINES]
        means = {k: float(np.mean(self.indexes[k].column("score"))) if len(self.indexes[k]) else 0.0 for k in models}
        return sorted(models, key=lambda k: -means[k])

    def _slice(self, places: NDArray[np.int64], wanted: Wanted) -> tuple[int, int]:
        """From where to where the page goes: the one with the sample that is named, or the one of that number."""
        page = min(max(wanted.page, 0), max(len(places) - 1, 0) // PAGE)
        if wanted.sample:
            named = (k for k, place in enumerate(places.tolist()) if self._is(place, wanted))
            page = next((k // PAGE for k in named), page)
        return PAGE * page, PAGE * (page + 1)

    def _is(self, place: int, wanted: Wanted) -> bool:
        if self.samples.ids[place] != wanted.sample:
            return False
        return not wanted.of or self.samples.tasks[self.samples.task[place]] == wanted.of

    # --- what they are ----------------------------------------------------------------------------------------

    def _groups(self, shown: NDArray[np.int64], rows: Sequence[NDArray[np.bool_]]) -> list[list[_Answer]]:
        """The answers to these samples, sample by sample."""
        groups: dict[int, list[_Answer]] = {place: [] for place in shown.tolist()}
        for k, index in enumerate(self.indexes):
            sample, number, offset = (index.column(name) for name in ("sample", "number", "offset"))
            own = np.flatnonzero(np.isin(sample, shown) & (number < cards.ANSWERS))
            found = index.records(offset[own].tolist())
            for row in own[np.argsort(number[own], kind="stable")].tolist():
                at, place = int(offset[row]), int(sample[row])
                record = found.get(at)
                if record is not None and record.id == self.samples.ids[place]:  # else it was replaced just now
                    groups[place].append(_Answer(k, record, at, bool(rows[k][row])))
        return [group for group in groups.values() if group]

    def _data(
        self, wanted: Wanted, places: NDArray[np.int64], groups: Sequence[list[_Answer]], best: Sequence[int]
    ) -> dict[str, Any]:
        order = [*best, *(k for k in range(len(self.runs)) if k not in best)]
        shown: list[dict[str, Any]] = []
        hits: list[list[int]] = []
        strips: list[str] = []
        for group in groups:
            group.sort(key=lambda answer: order.index(answer.run))
            card = cards.card([(answer.run, answer.record) for answer in group], self.runs, Strips())
            seen = [answer for answer in group if answer.record.frames]
            saw = next((answer for answer in seen if self._kept(answer)), next(iter(seen), None))
            shown.append(card | {"strip": len(strips) if saw else None})
            strips += [f"{self._frames[saw.run]}{saw.offset}"] if saw else []
            hits.append([at for at, answer in enumerate(group) if answer.asked])
        start, _ = self._slice(places, wanted)
        rules = {rule for index in self.indexes for rule in index.rules if rule}
        return {
            "models": self.names,
            "best": list(best),
            "tasks": sorted(self.samples.tasks),
            "samples": shown,
            "hits": hits,
            "rules": cards.words_of(shown) | cards.words_of([{"answers": [{"rule": rule} for rule in rules]}]),
            "strips": strips,
            "stripsLeftOut": 0,
            "total": len(places),
            "of": len(self.samples),
            "page": start // PAGE,
            "pages": max(-(-len(places) // PAGE), 1),
            "start": start,
        }

    def _kept(self, answer: _Answer) -> bool:
        """Whether the run kept the frames of a sample."""
        return strip_path(self.runs[answer.run].path, answer.record.id).is_file()
