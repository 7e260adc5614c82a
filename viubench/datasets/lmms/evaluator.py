"""The evaluator of lmms-eval's own tasks: its filters, its `process_results`, its aggregation.

Example:
    evaluator = LmmsEval(task="videomme")
    evaluator.score(evaluator.parse("B", sample), sample)
    # {'score': 1.0}

Per sample: the task's value as a number (see `LmmsTask.number`), divided by what the true answer gets ("full mark") and
held in [0, 1]. The full mark is measured on `PROBED` documents spread over the set, with the true answer as it stands,
in a sentence, its two numbers as "a - b", or a letter, whichever is the first that scores; plain fractions keep 1.
Where none scores, a number above 1 is read as percent. A task scored by a judge model is not probed. The task's
official numbers come from its own aggregation over all answers (`official`).
"""

from __future__ import annotations

import random
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from evaluators import Answer, Blind, Evaluator, Gradable
from viubench.datasets.lmms import task_loader
from viubench.datasets.lmms.task_loader import LmmsTask
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Record

PROBED = 8  # documents whose true answers say what a full mark is
UNKNOWN = (0, 0)  # span of an answer: lmms-eval does not say where in the response it read it

_JUDGE = re.compile(r"llm_judge|openai|requests\.post|API_KEY")


class NoRule(ViubenchError, NotImplementedError):
    """lmms-eval publishes no random rule and no best constant answer: chance and blind scores are not known."""

    def __init__(self, task: str) -> None:
        message = f"lmms-eval publishes no random rule for {task}: its chance and blind scores are not known"
        super().__init__(message, hint="the engines random and blind cannot answer tasks named lmms:")


class LmmsEval(Evaluator):
    """Scores answers as the installed lmms-eval does.

    Args:
        task: its name there; include: further task folders; variant: which `lmms_eval_specific_kwargs`.

    A response that is not empty always has an answer, the whole of it: what it is worth is for lmms-eval to say, also
    where the token limit cut it. Nothing is loaded before the first score.
    """

    name: ClassVar[str] = "lmms_eval"
    metric: ClassVar[str] = "score"
    task_metric: ClassVar[str] = "score"

    def __init__(self, task: str, include: Sequence[str] = (), variant: str = "") -> None:
        self.task = task
        self.include = tuple(include)
        self.variant = variant

    @property
    def _task(self) -> LmmsTask:
        return task_loader.loaded(self.task, self.include, self.variant)

    def parse(self, text: str, item: Gradable) -> Answer | None:
        return Answer(text, "lmms-eval", UNKNOWN) if text.strip() else None

    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        """`score` (the first metric the document has) and each further metric by its name; EngineError where
        lmms-eval's code failed on this answer."""
        shares = _shares(self._task, self._task.results(item.params["doc"], answer.value))
        if not shares:
            raise EngineError(f"lmms-eval gives no number for one answer to {self.task}")
        (_, headline), *others = shares.items()
        return {self.metric: headline} | dict(others)

    def official(self, records: Sequence[Record]) -> dict[str, float]:
        """The task's numbers as lmms-eval aggregates them over these records, percent as fractions.

        A sample that got no response counts as an empty one. A metric that is no number is left out with a warning.
        """
        task = self._task
        values: dict[str, list[Any]] = defaultdict(list)
        responses = [(int(record.id.rsplit("-", 1)[1]), record.response or "") for record in records]
        for index, response in sorted(responses):
            for metric, value in task.results(index, response).items():
                values[metric].append(value)
        totals = {}
        for metric in (metric for metric in task.metrics if metric in values):
            try:
                number = task.aggregated(metric, values[metric])
            except Exception as error:  # another project's code
                warnings.warn(f"lmms-eval could not aggregate {self.task} {metric}: {error}", stacklevel=2)
                continue
            if number is None:
                warnings.warn(f"lmms-eval's aggregate of {self.task} {metric} is no number", stacklevel=2)
            else:
                totals[metric] = number / _measured(task).units.get(metric, 1.0)
        return totals

    def guess(self, item: Gradable, rng: random.Random) -> str:
        raise NoRule(self.task)

    def chance(self, item: Gradable) -> float:
        raise NoRule(self.task)

    def blind(self, items: Sequence[Gradable]) -> Blind:
        raise NoRule(self.task)

    def canonical(self, target: Any) -> str:
        return str(target)

    def target(self, text: str) -> Any:
        return text


class Measured(NamedTuple):
    """What true answers get: `full` marks per document, `units` of the aggregate (100 for percent), by metric."""

    full: dict[str, float]
    units: dict[str, float]


@cache
def _measured(task: LmmsTask) -> Measured:
    """The marks of the true answers of a few documents; empty for a task that asks a judge."""
    if _asks_a_judge(task):
        return Measured({}, {})
    best: dict[str, list[tuple[float, Any]]] = defaultdict(list)
    count = min(PROBED, len(task))
    for index in sorted({number * (len(task) - 1) // max(count - 1, 1) for number in range(count)}):
        for metric, mark in _best(task, index).items():
            best[metric].append(mark)
    units = {}
    for metric, marks in best.items():
        whole = task.aggregated(metric, [value for _, value in marks]) if metric in task.metrics else None
        units[metric] = 100.0 if whole is not None and whole > 1 else 1.0
    return Measured({metric: max(number for number, _ in marks) for metric, marks in best.items()}, units)


def _best(task: LmmsTask, index: int) -> dict[str, tuple[float, Any]]:
    """(number, value) by metric of the first form of the true answer that scores."""
    for text in _forms(task.target(index)):
        try:
            results = task.results(index, text)
        except EngineError:  # this form is none that the task can read
            continue
        numbers = {metric: (task.number(metric, value), value) for metric, value in results.items()}
        marks = {metric: (number, value) for metric, (number, value) in numbers.items() if number}
        if any(task.rises(metric) for metric in marks):
            return marks
    return {}


def _forms(target: str) -> Iterator[str]:
    yield target
    yield f"The answer is {target}."
    numbers = re.findall(r"\d+(?:\.\d+)?", target)
    if len(numbers) == 2:
        yield " - ".join(numbers)
    yield from "ABCDEFGH"


def _shares(task: LmmsTask, results: dict[str, Any]) -> dict[str, float]:
    """Each metric of one document in [0, 1], 1 best, in the order of `task.metrics`."""
    shares = {}
    for metric in task.metrics:
        number = task.number(metric, results[metric]) if metric in results else None
        if number is not None:
            full = _measured(task).full.get(metric, 0.0)
            if full == 0:
                full = 100.0 if number > 1 else 1.0
            elif task.plain(results[metric]) is not None:  # a fraction stays one, whatever the probed answers got
                full = max(full, 1.0)
            share = min(max(number / full, 0.0), 1.0)
            shares[metric] = share if task.rises(metric) else 1.0 - share
    return shares


def _asks_a_judge(task: LmmsTask) -> bool:
    """Whether the file that scores the task names a judge model; probing it would cost requests."""
    process = getattr(task.task.config, "process_results", None)
    code = getattr(getattr(process, "func", process), "__code__", None)
    return code is not None and bool(_JUDGE.search(Path(code.co_filename).read_text(encoding="utf-8")))
