"""The shape of an evaluator, and the registry that finds them by entry point.

Example: a third-party evaluator is a class and one line of packaging metadata.

    class WordMatch(Evaluator): ...

    [project.entry-points."viubench.evaluators"]
    word_match = "my_package:WordMatch"
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from inspect import signature
from typing import Any, ClassVar, Protocol, TypeVar

from evaluators.plugins import load, registered

GROUP = "viubench.evaluators"
V = TypeVar("V")
Groups = Mapping[str, str | tuple[str, ...]]
"""Group key -> the value (or the several values) of a sample, for breakdowns."""


class Gradable(Protocol):
    """What an evaluator may read of a question; `viubench.schema.Sample` is one, `Question` another."""

    @property
    def target(self) -> Any: ...
    @property
    def options(self) -> Sequence[str]: ...
    @property
    def params(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Question:
    """A bare gradable question, for rewards and tests."""

    target: Any
    options: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The answer extracted from a response."""

    value: Any  # JSON data in the form of the task's target
    rule: str  # name of the extraction rule that matched, for the report's histogram
    span: tuple[int, int]  # start and end of the characters it was extracted from, in the response as given


@dataclass(frozen=True)
class Blind:
    """The best constant answer: one text per item, and a sentence that says what it is and what it is based on.
    `expected` is its mean score over all items that could be drawn so, where the items say how they were drawn."""

    statement: str
    texts: tuple[str, ...]
    expected: float | None = None


@dataclass(frozen=True)
class Constraint:
    """The form every answer to one question has: one of several texts, or a regular expression (no anchors); `schema`
    says the same as a JSON schema (its text), where the answer is a JSON object."""

    choices: tuple[str, ...] = ()
    regex: str = ""
    schema: str = ""


@dataclass(frozen=True)
class Scored:
    """The scores of one sample, or of one unit made of several; {} or zeros for a sample without an answer."""

    scores: Mapping[str, float]
    cluster: str
    groups: Groups = field(default_factory=dict)


class NotKnown(NotImplementedError, ValueError):
    """A baseline depends on what the data at hand do not say."""


class Evaluator(ABC):
    """Extracts the answer from a response, scores it, and turns it into a reward."""

    name: ClassVar[str]  # as registered
    metric: ClassVar[str]  # key of the headline score in what `score` returns
    task_metric: ClassVar[str]  # name of its mean over a task (for example "miou" for "iou")
    needs_judge: ClassVar[bool] = False  # whether `score` takes the verdicts of a judge, not what `parse` reads

    @abstractmethod
    def parse(self, text: str, item: Gradable) -> Answer | None:
        """The last answer the response declares, or None; never an invented one."""

    @abstractmethod
    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        """Scores in [0, 1], `metric` among them; 1 for the true answer."""

    def reward(self, answer: Answer | None, item: Gradable) -> float:
        """Smooth reward in [0, 1] for training; 0 for no answer, 1 only for the true one."""
        return 0.0 if answer is None else self.score(answer, item)[self.metric]

    @abstractmethod
    def guess(self, item: Gradable, rng: random.Random) -> str:
        """A response drawn by the benchmark's published random rule."""

    @abstractmethod
    def chance(self, item: Gradable) -> float:
        """Expected headline score of `guess`, computed, not simulated."""

    def chance_of(self, rows: Sequence[tuple[Gradable, str, Groups]]) -> float:
        """Expected headline of `guess` over a task's (item, cluster, groups); the mean of `chance` where each sample
        is a unit of its own. ValueError without rows."""
        if not rows:
            raise ValueError("the chance score of a task without samples")
        return sum(self.chance(item) for item, _, _ in rows) / len(rows)

    @abstractmethod
    def blind(self, items: Sequence[Gradable]) -> Blind:
        """The best constant answer, given without the video."""

    def trivial(self, items: Sequence[Gradable]) -> dict[str, tuple[str, ...]]:
        """Trivial answers by name ("whole video", "always A"): one text per item."""
        return {}

    @abstractmethod
    def canonical(self, target: Any) -> str:
        """The response text that states `target`; parsing it gives `target` back."""

    @abstractmethod
    def target(self, text: str) -> Any:
        """The target written in an item's `answer` text, as JSON data; ValueError when it is not one."""

    def equal(self, target: Any, other: Any) -> bool:
        """Whether two true answers are as good as one: where the first is true, the second scores 1 as well."""
        return bool(target == other)

    def constraint(self, item: Gradable) -> Constraint | None:
        """The form of an answer to this question, for engines that can constrain what they generate: it holds the text
        of every `canonical` answer, and `parse` reads what it allows. None where there is no such form."""
        return None

    @property
    def unit_metric(self) -> str:
        """Key of the headline in the scores of a unit."""
        return self.metric

    def units(self, rows: Sequence[Scored]) -> Sequence[Scored]:
        """What the headline is the mean of: the samples (ordered by id), or what several of them make together."""
        return rows

    def official(self, records: Sequence[Any]) -> dict[str, float]:
        """The numbers of the publisher's own code over all records of a task, as fractions, where this evaluator calls
        it."""
        return {}

    def aggregate(self, scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Secondary task metrics: the mean of each score of the units, missing ones (unanswered samples) counted
        as 0."""
        keys = sorted({key for row in scores for key in row})
        return {key: sum(row.get(key, 0.0) for row in scores) / len(scores) for key in keys}


def grouped(rows: Iterable[tuple[str, V]]) -> dict[str, list[V]]:
    """The values of each key, keys in order of first appearance."""
    groups: dict[str, list[V]] = defaultdict(list)
    for key, value in rows:
        groups[key].append(value)
    return groups


def one_of(parameter: str, value: str, allowed: Sequence[str]) -> str:
    """`value` if it is one of `allowed`; ValueError naming the parameter and the choices otherwise."""
    if value not in allowed:
        raise ValueError(f"{parameter} must be one of {', '.join(allowed)}, not {value!r}")
    return value


@cache
def _parameters(evaluator: type[Evaluator]) -> tuple[str, ...]:
    return tuple(signature(evaluator).parameters)


def names() -> list[str]:
    """Names of every registered evaluator, sorted."""
    return sorted(registered(GROUP))


def get(name: str, **params: Any) -> Evaluator:
    """The evaluator registered as `name`, built with `params`.

    Raises:
        LookupError: no such evaluator; the message says which there are and what was probably meant.
        TypeError: a parameter the evaluator does not have. ValueError: a value it does not take.
    """
    evaluator: type[Evaluator] = load(GROUP, "evaluator", name)
    takes = _parameters(evaluator)
    unknown = [key for key in params if key not in takes]
    if unknown:
        raise TypeError(f"{name} has no parameter {unknown[0]!r} (it takes: {', '.join(takes) or 'none'})")
    return evaluator(**params)
