"""evalscope's predictions and reviews, one JSON object a line.

Example of a prediction, and of a review, which has the score:

    {"index": 0, "model": "m", "model_output": {"choices": [{"message": {"content": "B"}, "stop_reason": "stop"}]}}
    {"index": 0, "input": "...", "target": "B", "sample_score": {"score": {"value": {"acc": 1.0}, "prediction": "B"}}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from viubench.datasets.tables import Unreadable
from viubench.datasets.tables.rows import Fields
from viubench.imports import values
from viubench.imports.answers import About, FileAnswer
from viubench.imports.formats.base import Format
from viubench.imports.formats.inspect_ai import content, finish, prompt, reasoning
from viubench.imports.formats.lmms_eval import IDS, VIDEOS


def _recognises(row: Fields) -> bool:
    return "index" in row and ("model_output" in row or "sample_score" in row or "choices" in row)


def _answers(row: Fields, place: str) -> Iterator[FileAnswer | Unreadable]:
    output = _mapping(row.get("model_output")) or row
    choices = output.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    review = _mapping(_mapping(row.get("sample_score")).get("score"))
    about = _mapping(_mapping(row.get("sample_score")).get("sample_metadata")) or _mapping(row.get("metadata"))
    message = _mapping(choice.get("message"))
    text = content(message.get("content")) if message else values.text(review.get("prediction"))
    failure = values.text(output.get("error"))
    if not (message or review or failure):
        yield Unreadable(place, "it has neither an output nor a score")
        return
    verdict = review.get("value")
    yield FileAnswer(
        place,
        () if failure else (text,),
        ids=values.names(about, IDS),
        row=values.whole(row.get("index")),
        question=prompt(row.get("input") or row.get("messages")),
        video=values.name(values.first(about, VIDEOS)),
        target=values.text(row.get("target")),
        score=_score(verdict, review.get("main_score_name")),
        extracted=values.name(review.get("extracted_prediction")),
        reasoning=reasoning(message.get("content")),
        finish_reason=finish(values.text(choice.get("stop_reason") or choice.get("finish_reason"))),
        failure=failure[:200],
    )


def _score(verdict: Any, main: Any) -> float | None:
    if not isinstance(verdict, Mapping):
        return values.score(verdict)
    return values.score(verdict.get(main, next(iter(verdict.values()), None)))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _about(row: Fields, path: Path) -> About:
    model = values.name(row.get("model") or _mapping(row.get("model_output")).get("model")) or path.parent.name
    return About("evalscope", model=model, task=path.stem)


FORMAT = Format("evalscope", _recognises, _answers, _about)
