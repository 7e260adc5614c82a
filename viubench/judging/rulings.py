"""What the verdicts of a judge make of the answers it was asked about: what each means by them, and its scores.

Example:
    ruled = rulings(asked, verdicts(folder), evaluators)
    ruled[0][1].said, ruled[0][1].scores
    # ('B', {'accuracy': 1.0})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluators import Answer, Evaluator, Question
from viubench.judging.forms import NONE
from viubench.judging.questions import Asked
from viubench.schema import JudgedAnswer, Record
from viubench.storage import atomic

ANSWERS = "answers.jsonl"
"""The file of one judge with a line for each answer that it was asked about."""

_UNSEEN = (0, 0)  # span of an answer that a judge gave: it is not in the response


@dataclass(frozen=True)
class Ruling:
    """What a verdict makes of an answer: what the answer says by it (None: nothing) and its scores; or, for a judge
    error, why there is none."""

    said: Any = None
    scores: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""


Ruled = Sequence[tuple[Asked, Ruling]]


def rulings(asked: Iterable[Asked], verdicts: Mapping[str, Record], evaluators: Mapping[str, Evaluator]) -> Ruled:
    """The ruling on each question, by the verdicts there are."""
    return [(one, ruling(one, verdicts.get(one.key), evaluators[one.task])) for one in asked]


def ruling(asked: Asked, verdict: Record | None, evaluator: Evaluator) -> Ruling:
    """The ruling of one verdict."""
    if verdict is None or verdict.status != "ok":
        return Ruling(fault=verdict.error.fault if verdict is not None and verdict.error is not None else "missing")
    if asked.exchange is not None:
        scores = asked.exchange.score(verdict.response or "")
        return Ruling(scores, scores)
    said = asked.meant(verdict.answer)
    item = Question(asked.target)
    if evaluator.needs_judge:
        return Ruling(said, evaluator.score(Answer(said, "judge", _UNSEEN), item))
    if "correct" in said:
        return Ruling(said["correct"], {evaluator.metric: float(said["correct"])})
    if said["answer"] == NONE:
        return Ruling()
    if asked.form.lettered:
        return Ruling(said["answer"], evaluator.score(Answer(said["answer"], "judge", _UNSEEN), item))
    answer = evaluator.parse(said["answer"], item)
    if answer is None:  # what the judge restated is no answer either
        return Ruling()
    return Ruling(answer.value, evaluator.score(answer, item))


def write(folder: Path, ruled: Ruled) -> None:
    """Write a line for each answer that the judge was asked about, checks aside."""
    lines = [
        JudgedAnswer(
            task=one.task,
            id=one.answer[0],
            number=one.answer[1],
            status="judge_error" if ruling.fault else "ok",
            said=ruling.said,
            scores=dict(ruling.scores),
            fault=ruling.fault,
        )
        for one, ruling in ruled
        if not one.check
    ]
    atomic.write(folder / ANSWERS, *(line.model_dump_json().encode() + b"\n" for line in lines), lasting=True)


def read(folder: Path) -> list[JudgedAnswer]:
    """The answers that a judge was asked about."""
    return [JudgedAnswer.model_validate_json(line) for line in (folder / ANSWERS).read_bytes().splitlines()]
