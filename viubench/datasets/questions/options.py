"""Where a table has the options of its questions: a column each, all in one, in the question, or right and wrong apart.

Example:
    found = recognise(["video", "question", "correct_answer", "incorrect_answers"], {})
    apart(rows, found, "correct_answer").template
    # '{{ correct_answer | among(incorrect_answers) }}'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from viubench.datasets import choices
from viubench.datasets.questions.columns import Columns
from viubench.datasets.questions.templates import field, reference
from viubench.errors import ViubenchError
from viubench.tasks import cells

Rows = Sequence[Mapping[str, Any]]


class Options(NamedTuple):
    """The options of each row ([] for one that has none), their template, the columns they are from, and what a user
    is told of them. `apart`: the right one stands in a column of its own."""

    texts: list[list[str]]
    template: str
    columns: tuple[str, ...]
    said: str
    apart: bool = False


def in_columns(rows: Rows, found: Columns) -> Options | None:
    """A column for each."""
    if len(found.options) < 2:
        return None
    texts = [_read(cells.listed, [row[column] for column in found.options]) for row in rows]
    template = f"{{{{ [{', '.join(map(reference, found.options))}] | listed }}}}"
    return Options(texts, template, found.options, ", ".join(found.options))


def in_one(rows: Rows, column: str) -> Options | None:
    """All in one column; None where less than half of its cells have several."""
    texts = [_several(_read(cells.listed, row[column])) for row in rows]
    if not any(texts) or 2 * sum(map(bool, texts)) < sum(row[column] is not None for row in rows):
        return None
    return Options(texts, field(column, "listed"), (column,), column)


def in_question(rows: Rows, column: str, template: str) -> Options | None:
    """In the question, a line each, in more than half of the rows."""
    texts = [_read(lambda text: choices.split_inline(text)[1].texts, cells.text(row[column])) for row in rows]
    return Options(texts, template, (), f"in {column}") if 2 * sum(map(bool, texts)) > len(texts) else None


def apart(rows: Rows, found: Columns, right: str) -> Options | None:
    """The wrong ones in columns of their own, or a list of them in one, the right one in the column `right`."""
    wrong = [column for column in found.wrong if any(row[column] is not None for row in rows)]
    if not wrong or not right:
        return None
    given = [row[wrong[0]] if len(wrong) == 1 else [row[column] for column in wrong] for row in rows]
    texts = [_several(_read(partial(cells.among, row[right]), value)) for row, value in zip(rows, given, strict=True)]
    listed = reference(wrong[0]) if len(wrong) == 1 else f"[{', '.join(map(reference, wrong))}]"
    template = f"{{{{ {reference(right)} | among({listed}) }}}}"
    return Options(texts, template, tuple(wrong), f"{right} among {', '.join(wrong)}, in a fixed order", apart=True)


def refuse_unread(rows: Rows, column: str) -> None:
    """Raise ViubenchError for the first cell of a column that has something, and no options."""
    for row in rows:
        if row[column] is not None and not _several(_read(cells.listed, row[column])):
            message = f"the options of column {column!r} cannot be read: {row[column]!r:.80} ({row['_place']})"
            hint = 'write them as a list, ["a cup", "a box"], or one a line; --columns options= leaves them out'
            raise ViubenchError(message, hint=hint)


def _read(read: Callable[[Any], Sequence[str]], value: Any) -> list[str]:
    try:
        return list(read(value))
    except ValueError:
        return []


def _several(texts: list[str]) -> list[str]:
    """The options of a cell; [] where it has less than two."""
    try:
        return texts if len(choices.of(texts).letters) > 1 else []
    except ValueError:
        return []
