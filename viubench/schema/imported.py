"""What an imported run says of the files it is from.

Example:
    >>> FileVerdict(place="samples.jsonl, line 3", matched="id", score=1.0).extracted
    ''
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from viubench.schema.base import Strict


class FileVerdict(Strict):
    """What the file an answer is from says of it: its `place` there, by what it was `matched` with the question, the
    harness's own `score` in [0, 1] and what it `extracted`, where the file says it."""

    place: str
    matched: str = ""
    score: float | None = None
    extracted: Annotated[str, Field(exclude_if=lambda text: not text)] = ""


class ImportedFile(Strict):
    """One file that was read: its name, SHA-256 and size, its format and the number of its answers, and what it says
    of its run."""

    name: str
    sha256: str
    bytes: int
    format: str
    answers: int
    harness: str = ""
    version: str = ""
    model: str = ""
    task: str = ""


class Matching(Strict):
    """How answers and questions were brought together, in numbers, with the first places of what was not.

    `matched` counts answers by what they were matched by; `unconfirmed` of them had nothing (question, true answer) to
    check the match by. `unmatched` answers belong to no question, each with the reason; `repeated` ones are there
    again word for word, `conflicting` ones with other words (the first counts). `unreadable` rows are no answers.
    `missing` questions have no answer, and count as wrong.
    """

    matched: dict[str, int] = {}
    unconfirmed: int = 0
    unmatched: dict[str, int] = {}
    repeated: int = 0
    conflicting: int = 0
    unreadable: int = 0
    missing: int = 0
    examples: dict[str, list[str]] = {}


class Imported(Strict):
    """Where an imported run is from."""

    files: list[ImportedFile]
    matching: Matching
    settings: dict[str, Any] = {}
    """What the files tell of how it was run."""
