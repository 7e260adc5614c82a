"""One answer as another harness's file tells it, and what the file tells of the run it is from.

Example:
    >>> FileAnswer("line 3", texts=("B",), ids=("001-1",), target="B", score=1.0).texts
    ('B',)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """What a file says of one question and the answer to it; empty where it does not say it.

    Attributes:
        place: where in the file, for messages.
        texts: the response, or several to the same question.
        ids: what may be the question's own id.
        row: its place in the data set, from 0.
        subset: the part of the benchmark it belongs to, `row` counts within.
        question: the question or the whole prompt.
        video: the name or path of its video.
        target: the true answer.
        score: the harness's own score, in [0, 1].
        extracted: what the harness took for the answer.
        reasoning: what the model thought, apart from the response.
        finish_reason: as ours: "length" for a response that was cut off, "refused".
        failure: why there is no response.
        number: which of several answers to the question this is, from 0.
    """

    place: str
    texts: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    row: int | None = None
    subset: str = ""
    question: str = ""
    video: str = ""
    target: str = ""
    score: float | None = None
    extracted: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    failure: str = ""
    number: int = 0
    usage: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """What a file, or one beside it, tells of its run: the harness and its version, the model, the task's name there,
    the settings that change an answer, and those of them that are a protocol's (`decoding`)."""

    harness: str
    version: str = ""
    model: str = ""
    task: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    decoding: dict[str, Any] = field(default_factory=dict)
