"""Which question each answer of a file belongs to: by id, by row, or by video and question; what is doubtful is told.

Example:
    matcher = Matcher(samples, evaluators, QuestionIndex([sample.question for sample in samples]))
    matcher.note(answer)
    matcher.decide()[0].key  # 'id'

A match that the file itself contradicts, by another true answer or another question, is none. A way to match that is
contradicted again and again is given up for the whole file: its numbers mean something else there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from evaluators import Evaluator
from viubench.imports.answers import FileAnswer
from viubench.imports.questions import QuestionIndex
from viubench.schema import Sample

KEYS = ("id", "subset and row", "video and question", "question", "row")
"""The ways to match, the surest first."""

SPARED = (1.0, 0.1, 1.0, 1.0, 0.1)
"""For each key how often it may be contradicted, for each time it is confirmed: a row that is another question's has
the same true answer by chance now and then."""

NEARLY = 0.95
"""A true answer that scores less against ours is another one; times of 16 bits are a little off."""


class Candidate(NamedTuple):
    """A question that a key leads to, and whether the file confirms (1), contradicts (-1) or does not say (0) it."""

    key: int
    sample: int
    confirmed: int


class Decision(NamedTuple):
    """The question an answer belongs to, its place in the samples, by what, and whether anything confirmed it; where
    there is none (-1), why."""

    sample: int
    key: str = ""
    confirmed: bool = False
    reason: str = ""


@dataclass
class _Noted:
    """What is remembered of an answer until all are seen."""

    candidates: list[Candidate] = field(default_factory=list)
    reason: str = ""


class Matcher:
    """Matches the answers of one file with the samples of a run, in order; first `note` each, then `decide`."""

    def __init__(self, samples: Sequence[Sample], evaluators: Mapping[str, Evaluator], index: QuestionIndex) -> None:
        self.samples = samples
        self.evaluators = evaluators
        self.index = index
        self._noted: list[_Noted] = []
        self._ids: dict[str, list[int]] = defaultdict(list)
        self._videos: dict[str, list[int]] = defaultdict(list)
        self._parts: dict[str, list[int]] = defaultdict(list)
        for place, sample in enumerate(samples):
            for name in {sample.id, sample.id.removeprefix(f"{sample.task}-")}:
                self._ids[name].append(place)
            for clip in sample.clips:
                self._videos[_stem(clip.path or "".join(clip.frame_files[:1]))].append(place)
            for name in {value for value in sample.groups.values() if isinstance(value, str)}:
                self._parts[name].append(place)
        self._tasks = list(dict.fromkeys(sample.task for sample in samples))
        if len(self._tasks) == 1:
            self._every = list(range(len(samples)))
        else:  # rows count within a task
            self._every = []
            for task in self._tasks:
                self._parts[task] = [place for place, sample in enumerate(samples) if sample.task == task]

    def note(self, answer: FileAnswer, task: str = "") -> None:
        """Look at one answer; `task` is the file's own name of its task."""
        noted = _Noted()
        for key, places in enumerate(self._places(answer, task)):
            confirmed = [(place, self._confirmed(answer, place)) for place in places]
            if len(confirmed) > 1:
                confirmed = [one for one in confirmed if one[1] > 0]
            if len(confirmed) == 1:
                noted.candidates.append(Candidate(key, *confirmed[0]))
            elif places:
                noted.reason = f"{len(places)} questions are alike"
        known = answer.ids or answer.row is not None or answer.question
        noted.reason = noted.reason or (
            "no question of the task is like it" if known else "it says neither id, row nor question"
        )
        self._noted.append(noted)

    def decide(self) -> list[Decision]:
        """A decision on each answer, in their order."""
        counts = Counter((one.key, one.confirmed) for noted in self._noted for one in noted.candidates)
        useless = {key for key in range(len(KEYS)) if counts[key, -1] > SPARED[key] * counts[key, 1]}
        return [self._decision(noted, useless) for noted in self._noted]

    def _decision(self, noted: _Noted, useless: set[int]) -> Decision:
        usable = [one for one in noted.candidates if one.confirmed >= 0 and one.key not in useless]
        best = max(usable, key=lambda one: (one.confirmed, -one.key), default=None)
        if best is not None:
            return Decision(best.sample, KEYS[best.key], best.confirmed > 0)
        if against := next((one for one in noted.candidates if one.confirmed < 0), None):
            name = self.samples[against.sample].id
            return Decision(
                -1, reason=f"its question or true answer is not that of {name}, which its {KEYS[against.key]} names"
            )
        return Decision(-1, reason=noted.reason)

    def _places(self, answer: FileAnswer, task: str) -> list[list[int]]:
        """The samples that each key leads to."""
        by_id = [place for name in answer.ids for place in self._ids.get(name, ())]
        rows = slice(0) if answer.row is None else slice(answer.row, answer.row + 1)
        whole_file = self._part(task)
        part = self._part(answer.subset) or whole_file
        video = self._videos.get(_stem(answer.video), []) if answer.video else []
        question = answer.question
        return [
            list(dict.fromkeys(by_id)),
            part[rows],
            self.index.nearest(question, video) if question and video else [],
            self.index.nearest(question) if question else [],
            [] if whole_file else self._every[rows],
        ]

    def _part(self, name: str) -> list[int]:
        """The samples of a task or of a part of one, by the part's own name or one with the task's before it."""
        short = next((name.removeprefix(f"{task}_") for task in self._tasks if name.startswith(f"{task}_")), "")
        return self._parts.get(name) or self._parts.get(short) or []

    def _confirmed(self, answer: FileAnswer, place: int) -> int:
        sample = self.samples[place]
        if answer.question and self.index.differs(answer.question, place):
            return -1
        true = _target_agrees(answer.target, sample, self.evaluators[sample.task])
        if true is None:
            return int(bool(answer.question) and place in self.index.nearest(answer.question))
        return 1 if true else -1


def _target_agrees(text: str, sample: Sample, evaluator: Evaluator) -> bool | None:
    """Whether a file's true answer is ours, by what it would score as a response; None where it cannot be read so."""
    if not text.strip():
        return None
    answer = evaluator.parse(text, sample)
    return None if answer is None else evaluator.score(answer, sample)[evaluator.metric] >= NEARLY


def _stem(path: str) -> str:
    name = PurePosixPath(path.replace("\\", "/")).name
    return name.rpartition(".")[0] or name
