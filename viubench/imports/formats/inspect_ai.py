"""Inspect's logs: the samples of an `.eval` archive, or of its JSON form.

Example of a sample:

    {"id": "001-1", "epoch": 1, "input": "What passes? ...", "target": "B", "output": {"choices": [{"message":
     {"content": "B"}, "stop_reason": "stop"}]}, "scores": {"choice": {"value": "C", "answer": "B"}}}

The value "C" of a score is correct, "I" incorrect.
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
from viubench.imports.formats.lmms_eval import IDS, VIDEOS, decoding


def _recognises(row: Fields) -> bool:
    return "epoch" in row and "output" in row and "input" in row


def _answers(row: Fields, place: str) -> Iterator[FileAnswer | Unreadable]:
    output, about = _mapping(row.get("output")), _mapping(row.get("metadata"))
    choices = output.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    said = _mapping(choice.get("message")).get("content")
    scores = _mapping(row.get("scores"))
    verdict = _mapping(next(iter(scores.values()), row.get("score")))
    failure = values.text(_mapping(row.get("error")).get("message")) or values.text(output.get("error"))
    yield FileAnswer(
        place,
        () if failure or not choice else (content(said),),
        ids=(*values.names(row, ("id",)), *values.names(about, IDS)),
        question=prompt(row.get("input")),
        video=values.name(values.first(about, VIDEOS)),
        target=_target(row.get("target")),
        score=values.score(verdict.get("value")),
        extracted=values.name(verdict.get("answer")),
        reasoning=reasoning(said),
        finish_reason=finish(values.text(choice.get("stop_reason"))),
        failure=(failure or ("" if choice else "the log has no output"))[:200],
        number=max((values.whole(row.get("epoch")) or 1) - 1, 0),
        usage=_usage(output.get("usage")),
    )


def _target(given: Any) -> str:
    return values.text(given[0] if isinstance(given, list) and len(given) == 1 else given)


def _usage(given: Any) -> dict[str, int]:
    named = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    found = {ours: values.whole(_mapping(given).get(theirs)) for ours, theirs in named.items()}
    return {key: value for key, value in found.items() if value is not None}


def content(given: Any) -> str:
    """The text of a message: its own, or that of its text parts."""
    if not isinstance(given, list):
        return values.text(given)
    parts = (part for part in given if isinstance(part, Mapping) and part.get("type") == "text")
    return "".join(values.text(part.get("text")) for part in parts)


def reasoning(given: Any) -> str:
    """The reasoning parts of a message."""
    parts = given if isinstance(given, list) else ()
    kept = (part for part in parts if isinstance(part, Mapping) and part.get("type") == "reasoning")
    return "\n\n".join(values.text(part.get("reasoning")) for part in kept)


def prompt(given: Any) -> str:
    """The text of a prompt, which is text or a list of messages; the first of the user's."""
    messages = [_mapping(one) for one in given] if isinstance(given, list) else []
    asked = [one for one in messages if one.get("role") in ("user", None)]
    return content(asked[0].get("content")) if asked else "" if messages else values.text(given)


def finish(reason: str) -> str:
    """Why a response ended, in our words."""
    return {"max_tokens": "length", "model_length": "length", "content_filter": "refused"}.get(reason, reason)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _about(row: Fields, path: Path) -> About:
    run = _mapping(_mapping(row.get("_log")).get("eval"))
    config = {**_mapping(run.get("model_generate_config")), **_mapping(run.get("model_args"))}
    versions = _mapping(run.get("packages"))
    return About(
        "Inspect",
        version=values.name(versions.get("inspect_ai")),
        model=values.name(run.get("model")),
        task=values.name(run.get("task")) or path.stem,
        settings={key: value for key, value in config.items() if isinstance(value, str | int | float)},
        decoding=decoding(config),
    )


FORMAT = Format("inspect", _recognises, _answers, _about)
