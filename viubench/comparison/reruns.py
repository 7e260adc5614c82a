"""Every difference between a run and its rerun: what it was made with, its answers, its scores.

Example:
    >>> [change.path for change in changes({"packages": {"av": "14"}}, {"packages": {"av": "15"}})]
    ['packages.av']
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from viubench.comparison.pair import Side, identity
from viubench.schema import Record
from viubench.schema.rerun import Changed, ChangedAnswer, RerunReport

WHEN_AND_WHERE = {"argv", "started"}
"""Fields of a manifest that no two runs have in common."""

OF_THE_MACHINE: dict[str, Any] = {"seconds": True, "usage": {"cached_tokens"}}
"""Fields of a record that say how long it took, and what was still in a cache."""


def report(before: Side, after: Side) -> RerunReport:
    """All that differs between two finished runs, whether or not they can be compared."""
    sides = before, after
    was, now = (side.manifest.model_dump(mode="json", by_alias=True, exclude=WHEN_AND_WHERE) for side in sides)
    scored, rescored = (side.results.model_dump(mode="json", exclude={"manifest_hash"}) for side in sides)
    changed, scores = list(_answers(before, after)), list(changes(scored, rescored))
    return RerunReport(
        before=identity(before.path),
        after=identity(after.path),
        equal=not changed and not scores,
        answers=sum(map(len, before.records.values())),
        settings=list(changes(was, now)),
        changed=changed,
        scores=scores,
    )


def changes(before: Any, after: Any, path: str = "") -> Iterator[Changed]:
    """The values in which two pieces of JSON differ; lists are values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({**before, **after}):
            yield from changes(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif before != after:
        yield Changed(path=path, before=before, after=after)


def _answers(before: Side, after: Side) -> Iterator[ChangedAnswer]:
    for task in sorted({**before.records, **after.records}):
        first, second = (side.records.get(task, {}) for side in (before, after))
        for key in sorted({**first, **second}):
            if found := list(changes(_content(first.get(key)), _content(second.get(key)))):
                yield ChangedAnswer(task=task, id=key[0], number=key[1], changes=found)


def _content(record: Record | None) -> Any:
    return None if record is None else record.model_dump(mode="json", exclude=OF_THE_MACHINE)
