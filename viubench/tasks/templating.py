"""Templates over a row's fields: sandboxed Jinja, where a wrong field name is an error and never an empty text.

Example:
    >>> value("data/{{ video }}.mp4", {"video": "a1"})
    'data/a1.mp4'
    >>> value("{{ options | length }}", {"options": ["x", "y"]})
    2

A template that is one single `{{ expression }}` gives the expression's own value (a list, a number, None); any other
one gives text. `_row` is the row itself, for fields whose names are no words: `{{ _row["video ID"] }}`. Beside Jinja's
own filters there are `plus(n)` and `divided(x)`, for a number or each number of a (nested) list, `stem`, the file name
without folders and suffix, and those of `cells`: `listed`, `numbers`, `seconds`, `windows`, `letter`, `text`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from keyword import iskeyword
from operator import add, truediv
from pathlib import PurePosixPath
from typing import Any

from jinja2 import TemplateError, Undefined
from jinja2.exceptions import UndefinedError

from viubench.errors import ViubenchError, did_you_mean
from viubench.tasks import cells
from viubench.tasks.bounded_jinja import BoundedEnvironment, budget, size

FAILURES = (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError,
            MemoryError, SyntaxError)  # fmt: skip
"""What a template, or the Python that Jinja makes of it, may raise."""

_SINGLE = re.compile(r"\s*\{\{((?:(?!\}\}|\{\{).)*)\}\}\s*", re.DOTALL)
_NAMED = re.compile(r"\s*\{\{\s*([A-Za-z]\w*)\s*\}\}\s*", re.ASCII)
_CONSTANTS = ("true", "false", "none")  # that Jinja writes in small letters too
_UNDEFINED = re.compile(r"'(\w+)' is undefined")


def _each(operator: Callable[[Any, Any], Any], value: Any, x: Any) -> Any:
    return [_each(operator, part, x) for part in value] if isinstance(value, list | tuple) else operator(value, x)


_ENVIRONMENT = BoundedEnvironment()
_ENVIRONMENT.filters["plus"] = partial(_each, add)
_ENVIRONMENT.filters["divided"] = partial(_each, truediv)
_ENVIRONMENT.filters["stem"] = lambda value: PurePosixPath(value).stem
for _filter in (
    cells.listed, cells.among, cells.numbers, cells.seconds, cells.windows, cells.letter, cells.text, cells.unmarked,
):  # fmt: skip
    _ENVIRONMENT.filters[_filter.__name__] = _filter


@lru_cache(maxsize=4096)
def _field(template: str) -> str:
    """The field that a template names and does nothing else with; "" for any other template."""
    named = _NAMED.fullmatch(template)
    return named[1] if named and not iskeyword(named[1]) and named[1].lower() not in _CONSTANTS else ""


@lru_cache(maxsize=4096)
def _compiled(template: str) -> Callable[..., Any]:
    if single := _SINGLE.fullmatch(template):
        return _ENVIRONMENT.compile_expression(single[1].strip(), undefined_to_none=False)
    return _ENVIRONMENT.from_string(template).render


def value(template: str, row: Mapping[str, Any], *, what: str = "template") -> Any:
    """What `template` gives for a row; `what` is its key in the task file, for the error message.

    Raises:
        ViubenchError: the template cannot be read, or the row lacks a field it names; the hint says which there are.
    """
    try:
        if (field := _field(template)) and field in row:  # most say no more, and Jinja takes fifty times as long
            return row[field]
        with budget(template):
            result = _compiled(template)(**{str(key): given for key, given in row.items()}, _row=row)
        if isinstance(result, Undefined):
            str(result)  # raises the error that says what is undefined
        size(result)
        return result
    except UndefinedError as error:
        fields = sorted(map(str, row))
        missing = _UNDEFINED.search(error.message or "")
        hint = did_you_mean(missing[1] if missing else "", fields, f"the row has: {', '.join(fields)}", "{!r}")
        raise ViubenchError(f"{what}: {error.message}", where=f"{template!r:.300}", hint=hint) from None
    except FAILURES as error:
        reason = f"{str(error) or type(error).__name__:.300}"
        raise ViubenchError(f"{what}: {reason}", where=f"{template!r:.300}") from None


def text(template: str, row: Mapping[str, Any], *, what: str = "template") -> str:
    """What `template` gives for a row as text; nothing (None) is the empty text."""
    result = value(template, row, what=what)
    return "" if result is None else str(result)
