"""What a judge said, read strictly: one JSON object of the asked form, or no verdict at all.

Example:
    >>> read('{"reason": "It says so.", "answer": "B"}', {"answer": ("A", "B", "none")})
    {'answer': 'B'}
    >>> read("I think it is B.", {"answer": ("A", "B", "none")})

A verdict is an answer like any other to the harness: `VerdictReader` is its evaluator, which scores nothing. What a
verdict is worth is for the judged task to say (see `viubench.judging.scores`).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from evaluators import Answer, Blind, Constraint, Evaluator, Gradable
from viubench.judging import forms, published
from viubench.judging.forms import Fields

_FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)


def read(text: str, fields: Fields) -> dict[str, Any] | None:
    """The fields of a verdict without its reason. None for anything but one JSON object, alone or in one code block,
    with just these fields, each once and with a value it may have."""
    text = text.strip()
    if fenced := _FENCE.fullmatch(text):
        text = fenced[1]
    try:
        said = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not isinstance(said.pop("reason", ""), str) or set(said) != set(fields):
        return None
    for name, allowed in fields.items():
        given = said[name]
        if not any(type(given) is type(value) and given == value for value in allowed or (str(given),)):
            return None
    return {name: said[name] for name in fields}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a field is given twice")
    return dict(pairs)


class VerdictReader(Evaluator):
    """The evaluator of a judge's own replies; `item.params` says what `fields` a verdict has, or of what form the
    `published` one is."""

    name: ClassVar[str] = "verdict"
    metric: ClassVar[str] = "verdict"
    task_metric: ClassVar[str] = "verdict"

    def parse(self, text: str, item: Gradable) -> Answer | None:
        if form := item.params.get("published"):
            return Answer({"reply": text}, "published", (0, len(text))) if published.is_verdict(form, text) else None
        said = read(text, item.params["fields"])
        return None if said is None else Answer(said, "json", (0, len(text)))

    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        return {}

    def constraint(self, item: Gradable) -> Constraint:
        fields = item.params["fields"]
        return Constraint(regex=forms.regex(fields), schema=forms.schema(fields))

    def guess(self, item: Gradable, rng: random.Random) -> str:
        raise NotImplementedError("a verdict is never drawn at random")

    def chance(self, item: Gradable) -> float:
        raise NotImplementedError("a verdict has no chance score")

    def blind(self, items: Sequence[Gradable]) -> Blind:
        raise NotImplementedError("a verdict has no best constant")

    def canonical(self, target: Any) -> str:
        return json.dumps(target)

    def target(self, text: str) -> Any:
        return json.loads(text)
