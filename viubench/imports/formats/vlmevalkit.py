"""VLMEvalKit's tables (xlsx, tsv, json) and its pickles of index -> answer.

Example of a row: `index`, `video`, `question`, `answer`, `A` ... `D` or `candidates`, `prediction`, and once scored
`score` or `hit`. The index counts the rows of the whole table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from viubench.datasets.tables import Unreadable
from viubench.datasets.tables.rows import Fields
from viubench.imports import values
from viubench.imports.answers import About, FileAnswer
from viubench.imports.formats.base import Format
from viubench.imports.formats.lmms_eval import IDS, QUESTIONS, VIDEOS

FAILED = "Failed to obtain answer"
CELL = 32_767
"""Characters a cell of an xlsx holds; a longer answer was cut off there."""

LETTERS = "ABCDEFGHIJ"


def _answers(row: Fields, place: str) -> Iterator[FileAnswer | Unreadable]:
    text = values.text(row.get("prediction"))
    failed = text.startswith(FAILED)
    options = "\n".join(f"{letter}. {values.text(row[letter])}" for letter in LETTERS if row.get(letter))
    question = values.text(values.first(row, QUESTIONS))
    more = values.text(row.get("candidates"))
    yield FileAnswer(
        place,
        () if failed else (text,),
        ids=values.names(row, IDS),
        row=values.whole(row.get("index")),
        subset=values.name(values.first(row, ("SUB_DATASET", "task_type", "split"))),
        question="\n".join(filter(None, (question, options or more))),
        video=values.name(values.first(row, VIDEOS)),
        target=values.text(row.get("answer")),
        score=values.score(values.first(row, ("score", "hit"))),
        extracted=values.name(values.first(row, ("extracted_answer", "pred", "extracted"))),
        finish_reason="length" if len(text) >= CELL else "",
        failure=text[:200] if failed else "",
    )


def _about(row: Fields, path: Path) -> About:
    return About("VLMEvalKit", model=path.stem)


FORMAT = Format("vlmevalkit", lambda row: "index" in row and "prediction" in row, _answers, _about)
