"""What a model said while it was trained: some answers of some steps, beside the questions and the true answers.

Example:
    section = draw(load(Path("runs/train"), last=219), {"tiny_count": "count"})
    [step["title"] for step in section["steps"]]
    # ['Step 0: 16 answers, reward 31.0, 2 right', 'Step 219: 16 answers, reward 74.5, 9 right']
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from reports.data.answer_log import AnswerSample, LoggedAnswer, LoggedQuestion, LoggedStep
from reports.html.escape import shorten, show
from reports.html.format import counted, percent

QUESTION, RESPONSE, FIELD = 600, 1_000, 200
"""Characters of a question, an answer, and what was read or is true; the middle of a longer one is cut."""


def draw(sample: AnswerSample, names: Mapping[str, str]) -> dict[str, Any]:
    """The `steps`, each with its `number`, `title` and `questions`, of how many with answers (`of`); `names`: task ->
    short."""
    return {"steps": [_step(step, names) for step in sample.steps], "of": sample.of}


def _step(step: LoggedStep, names: Mapping[str, str]) -> dict[str, Any]:
    answers = step.answers
    told = [counted(len(answers), "answer")]
    if answers:
        told += [
            f"reward {percent(fmean(one.reward for one in answers))}",
            f"{sum(one.exact for one in answers)} right",
        ]
    for name, count in (
        ("not read", sum(not one.parsed for one in answers)),
        ("cut", sum(one.cut for one in answers)),
    ):
        told += [f"{count} {name}"] if count else []
    return {
        "number": step.number,
        "title": f"Step {step.number:,}: {', '.join(told)}",
        "questions": [_question(question, names) for question in step.questions],
    }


def _question(question: LoggedQuestion, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "task": names.get(question.task, question.task),
        "sample": shorten(question.sample, FIELD),
        "text": shorten(question.text, QUESTION),
        "target": shorten(question.target, FIELD),
        "answers": [_answer(answer) for answer in question.answers],
    }


def _answer(answer: LoggedAnswer) -> dict[str, Any]:
    return {
        "text": shorten(answer.text, RESPONSE),
        "read_as": shorten(show(answer.read_as), FIELD) if answer.parsed else None,
        "reward": percent(answer.reward),
        "tokens": f"{answer.tokens:,}",
        "exact": answer.exact,
        "cut": answer.cut,
    }
