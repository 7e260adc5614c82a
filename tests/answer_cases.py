"""Answers with the value a careful person reads in each; null where it must stay unread.

Example:
    >>> case = next(cases(["tests/answers.jsonl"]))
    >>> case["kind"], case["language"], case["value"]
    ('choice', 'en', 'D')

A line has `kind` (choice, interval, counts, order), `language`, `text`, `value`, and `options` of a choice or `n` of an
order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from evaluators import Answer, Question, get

WRITTEN = tuple(sorted(Path(__file__).parent.glob("answers*.jsonl")))
EVALUATORS = {"choice": "choice", "interval": "temporal_iou", "counts": "shape_counts", "order": "permutation"}


def cases(files: Iterable[str | Path]) -> Iterator[dict[str, Any]]:
    """The cases of JSONL files, in order."""
    for file in files:
        with open(file, encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.strip())


def answer_of(case: dict[str, Any]) -> Answer | None:
    """What the evaluator of its kind reads in a case's text."""
    return get(EVALUATORS[case["kind"]]).parse(case["text"], question(case))


def question(case: dict[str, Any]) -> Question:
    if case["kind"] == "choice":
        options = case["options"]
        letters = options if options == ["yes", "no"] else list(ascii_uppercase[: len(options)])
        return Question(letters[0], tuple(options), {"letters": letters})
    if case["kind"] == "interval":
        return Question([1.0, 2.0], (), {"times": [0.0, 100.0]})
    if case["kind"] == "counts":
        return Question([1, 1, 1])
    return Question(list(range(1, case["n"] + 1)))


def verdict(case: dict[str, Any]) -> str:
    """How a case is read: "right", "unread" or "wrong"."""
    answer = answer_of(case)
    value = None if answer is None else answer.value
    if value == case["value"] or _near(value, case["value"]):
        return "right"
    return "unread" if value is None else "wrong"


def _near(said: Any, true: Any) -> bool:
    lists = isinstance(said, list) and isinstance(true, list) and len(said) == len(true)
    return lists and all(abs(a - b) < 0.051 for a, b in zip(said, true, strict=True))
