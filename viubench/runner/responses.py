"""Answers that are there already: read from a file or a table, and given to the samples they belong to.

Example:
    >>> read_responses({"viubench_count_easy-1": "2,0,5"})[0]
    {'viubench_count_easy-1': '2,0,5'}
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from viubench.errors import ViubenchError
from viubench.schema import Sample

Responses = str | os.PathLike[str] | Mapping[str, str] | Iterable[Mapping[str, Any]]


def read_responses(responses: Responses) -> tuple[dict[str, str], str]:
    """Sample id -> response, and where they are from (for messages), from a JSONL file with lines
    `{"id": ..., "response": ...}`, such rows, or sample id -> response; raises ViubenchError where a row cannot be read
    or an id occurs twice."""
    if isinstance(responses, str | os.PathLike):
        path = Path(responses)
        try:
            with path.open(encoding="utf-8", newline="\n") as lines:
                return _unique((line, f"{path}:{n}") for n, line in enumerate(lines, start=1)), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise ViubenchError(f"cannot read the responses: {error}", where=str(path)) from None
    if isinstance(responses, Mapping):
        responses = [{"id": name, "response": text} for name, text in responses.items()]
    return _unique((row, f"responses[{number}]") for number, row in enumerate(responses)), "responses"


def matched(texts: Mapping[str, str], samples: Sequence[Sample], where: str) -> dict[str, str]:
    """The responses by sample id; a row's own id, without the task's name, does as well where only one task has it.
    Raises ViubenchError for a response that belongs to no sample, or two that belong to one."""
    owners: dict[str, list[str]] = {}
    for sample in samples:
        owners.setdefault(sample.id.removeprefix(f"{sample.task}-"), []).append(sample.id)
    ids = {sample.id: sample.id for sample in samples}
    ids = {own: names[0] for own, names in owners.items() if len(names) == 1} | ids
    unknown = sorted(set(texts) - set(ids))
    if unknown:
        raise ViubenchError(
            f"{len(unknown)} responses belong to no sample, the first is {unknown[0]!r}",
            where=where,
            hint="give the items the answers were made for with --samples or --data-root",
        )
    known = {ids[name]: text for name, text in texts.items()}
    if len(known) < len(texts):
        twice = next(name for name in texts if ids[name] != name and ids[name] in texts)
        raise ViubenchError(f"{ids[twice]} is answered twice, also as {twice}", where=where)
    return known


def _unique(rows: Iterable[tuple[Any, str]]) -> dict[str, str]:
    """Sample id -> response, from rows or lines of JSON, each with its place."""
    texts: dict[str, str] = {}
    for row, where in rows:
        try:
            row = json.loads(row) if isinstance(row, str) else row
            name, text = row["id"], row["response"]
            name = str(name) if isinstance(name, int) else name
        except (KeyError, TypeError, ValueError):
            raise ViubenchError('a line must be {"id": ..., "response": ...}', where=where) from None
        if not isinstance(text, str) or not isinstance(name, str):
            raise ViubenchError("id and response must be text", where=where)
        if name in texts:
            raise ViubenchError(f"{name} is answered twice", where=where)
        texts[name] = text
    return texts
