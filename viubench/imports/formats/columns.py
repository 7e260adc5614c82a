"""Any table with a column for the response; others are used where their names are usual ones, or are named.

Example:
    viubench import answers.csv --task videomme --column response=said --column id=key --out runs/answers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from viubench.datasets.tables import Unreadable
from viubench.datasets.tables.rows import Fields
from viubench.errors import ViubenchError
from viubench.imports import values
from viubench.imports.answers import About, FileAnswer
from viubench.imports.formats.base import Format
from viubench.imports.formats.lmms_eval import IDS, QUESTIONS, SCORES, VIDEOS

USUAL: dict[str, tuple[str, ...]] = {
    "response": ("response", "prediction", "pred", "output", "model_output", "model_response", "model_answer",
                 "generated_text", "generation", "completion", "text"),
    "id": ("sample_id", *IDS),
    "row": ("row", "doc_id"),
    "subset": ("subset", "split", "task_type"),
    "question": (*QUESTIONS, "prompt", "input"),
    "video": VIDEOS,
    "target": ("answer", "gt", "gold", "target", "ground_truth", "label"),
    "score": (*SCORES, "is_correct", "match"),
    "extracted": ("extracted", "extracted_answer", "pred_answer", "parsed_pred"),
    "reasoning": ("reasoning", "reasoning_content", "thinking"),
    "finish_reason": ("finish_reason", "stop_reason"),
    "number": ("number", "epoch", "repeat"),
    "error": ("error",),
}  # fmt: skip
"""What a column may be, and the names it usually has."""


def with_columns(named: Mapping[str, str]) -> Format:
    """The format with these columns (what -> name) before the usual ones; ViubenchError for what no column can be."""
    if unknown := sorted(set(named) - set(USUAL)):
        raise ViubenchError(f"no column is used as {unknown[0]!r}", where="--column", hint=f"known: {', '.join(USUAL)}")
    columns = {what: (named[what],) if what in named else usual for what, usual in USUAL.items()}

    def answers(row: Fields, place: str) -> Iterator[FileAnswer | Unreadable]:
        found = {what: values.first(row, names) for what, names in columns.items()}
        if not any(name in row for name in columns["response"]) and not found["error"]:
            yield Unreadable(place, f"it has no column {columns['response'][0]!r}, but {', '.join(sorted(row))[:200]}")
            return
        yield FileAnswer(
            place,
            () if found["error"] else (values.text(found["response"]),),
            ids=values.names(row, columns["id"]),
            row=values.whole(found["row"]),
            subset=values.name(found["subset"]),
            question=values.text(found["question"]),
            video=values.name(found["video"]),
            target=values.text(found["target"]),
            score=values.score(found["score"]),
            extracted=values.name(found["extracted"]),
            reasoning=values.text(found["reasoning"]),
            finish_reason=values.name(found["finish_reason"]),
            failure=values.text(found["error"])[:200],
            number=values.whole(found["number"]) or 0,
        )

    return Format("columns", lambda row: True, answers, lambda row, path: About("table", model=path.stem))


FORMAT = with_columns({})
