"""A sample of the answers that a training logged, `answers/step-*.parquet` of its folder.

Example:
    sample = load(Path("runs/train"), last=219)
    [(step.number, len(step.questions)) for step in sample.steps]
    # [(0, 2), (109, 2), (219, 2)]

Only files are shared with the trainer: a file has the answers to some questions of a step, a row each, those to one
question one after another. What it lacks or cannot say leaves the file out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

FOLDER = "answers"

MOST_STEPS = 8
"""Steps that are shown: the first, the last, and others at even distances."""

MOST_ANSWERS = 40
"""Answers of a step that are shown."""

MOST_BYTES = 50_000_000
"""Of a file, unpacked; more are not the answers of a step."""

COLUMNS = {
    "task": str, "sample": str, "question": str, "target": str, "answer": str, "parsed": bool, "read_as": str,
    "reward": float, "exact": bool, "tokens": int, "stopped": bool,
}  # fmt: skip
"""What a row must have."""


@dataclass(frozen=True)
class LoggedAnswer:
    """An answer; `read_as` is what the evaluator read, as JSON data, if it `parsed`; `cut` at the longest length."""

    text: str
    parsed: bool
    read_as: Any
    reward: float
    exact: bool
    tokens: int
    cut: bool


@dataclass(frozen=True)
class LoggedQuestion:
    """A question with its true answer and the answers that were sampled."""

    task: str
    sample: str
    text: str
    target: str
    answers: tuple[LoggedAnswer, ...]


@dataclass(frozen=True)
class LoggedStep:
    """The logged questions of the step `number`."""

    number: int
    questions: tuple[LoggedQuestion, ...]

    @property
    def answers(self) -> list[LoggedAnswer]:
        return [answer for question in self.questions for answer in question.answers]


@dataclass(frozen=True)
class AnswerSample:
    """Some steps of the `of` that have answers, and what was left out and why."""

    steps: tuple[LoggedStep, ...] = ()
    of: int = 0
    left_out: tuple[str, ...] = ()


def load(folder: Path, last: int) -> AnswerSample:
    """The answers of at most `MOST_STEPS` steps up to `last`; later ones are of a run that was resumed before them."""
    files = _files(folder, last)
    places = {round(k * (len(files) - 1) / (MOST_STEPS - 1)) for k in range(MOST_STEPS)} if files else set()
    return _read([files[place] for place in sorted(places)], len(files))


def nearest(folder: Path, step: int) -> AnswerSample:
    """The answers of the last step up to `step` that has any."""
    files = _files(folder, step)
    return _read(files[-1:], len(files))


def steps(folder: Path, last: int) -> list[int]:
    """The steps up to `last` that have answers, rising."""
    return [number for number, _ in _files(folder, last)]


def _files(folder: Path, last: int) -> list[tuple[int, Path]]:
    named = [(re.fullmatch(r"step-([0-9]{1,9})\.parquet", path.name), path) for path in (folder / FOLDER).glob("*")]
    return sorted((int(name[1]), path) for name, path in named if name and int(name[1]) <= last)


def _read(files: Sequence[tuple[int, Path]], of: int) -> AnswerSample:
    steps, left_out = [], []
    for number, path in files:
        try:
            steps.append(LoggedStep(number, _questions(_rows(path))))
        except (OSError, ValueError, MemoryError, RecursionError) as error:  # those of pyarrow are among them
            why = f" ({error})" if type(error) is ValueError else ""
            left_out.append(f"{FOLDER}/{path.name}: damaged{why}")
    return AnswerSample(tuple(steps), of, tuple(left_out))


def _rows(path: Path) -> list[dict[str, Any]]:
    """The first rows of a file. Raises OSError or ValueError where they are none."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        about = file.metadata
        if sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups)) > MOST_BYTES:
            raise ValueError("too large")
        if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
            raise ValueError(f"no column {missing[0]}")
        batch = next(file.iter_batches(MOST_ANSWERS, columns=list(COLUMNS)), None)
        rows: list[dict[str, Any]] = [] if batch is None else batch.to_pylist()
    for row in rows:
        if type(row["reward"]) is int:
            row["reward"] = float(row["reward"])
        if odd := [name for name, kind in COLUMNS.items() if type(row[name]) is not kind]:
            raise ValueError(f"{odd[0]} is no {COLUMNS[odd[0]].__name__}")
        if not math.isfinite(row["reward"]):
            raise ValueError(f"reward is {row['reward']}")
    return rows


def _questions(rows: Sequence[dict[str, Any]]) -> tuple[LoggedQuestion, ...]:
    groups = groupby(rows, key=lambda row: (row["task"], row["sample"], row["question"], row["target"]))
    return tuple(LoggedQuestion(*about, answers=tuple(map(_answer, answers))) for about, answers in groups)


def _answer(row: dict[str, Any]) -> LoggedAnswer:
    read_as = json.loads(row["read_as"]) if row["parsed"] else None
    return LoggedAnswer(
        row["answer"], row["parsed"], read_as, row["reward"], row["exact"], row["tokens"], not row["stopped"]
    )
