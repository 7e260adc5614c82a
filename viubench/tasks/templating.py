"""Templates over a row's fields: sandboxed Jinja, where a wrong field name is an error and never an empty text.

Example:
    >>> value("data/{{ video }}.mp4", {"video": "a1"})
    'data/a1.mp4'
    >>> value("{{ options | length }}", {"options": ["x", "y"]})
    2

A template that is one single `{{ expression }}` gives the expression's own value (a list, a number, None); any other
one gives text. Beside Jinja's own filters there are `plus(n)` and `divided(x)`, for a number or each number of a
(nested) list, and `stem`, the file name without folders and suffix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined
from jinja2.exceptions import UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from viubench.errors import ViubenchError

MAX_REPEAT = 10_000
"""Longest text or list that `*` may make of another: a template cannot fill the memory."""

_SINGLE = re.compile(r"\s*\{\{((?:(?!\}\}|\{\{).)*)\}\}\s*", re.DOTALL)
_UNDEFINED = re.compile(r"'(\w+)' is undefined")


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not all(isinstance(side, int | float) for side in (left, right)):
            sizes = [
                side if isinstance(side, int) else len(side) for side in (left, right) if not isinstance(side, float)
            ]
            if operator == "**" or len(sizes) < 2 or sizes[0] * sizes[1] > MAX_REPEAT:
                raise TemplateError(f"{operator!r} may not make more than {MAX_REPEAT} elements")
        return super().call_binop(context, operator, left, right)


def _each(change: Callable[[float], float]) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        return [apply(part) for part in value] if isinstance(value, list | tuple) else change(value)

    return apply


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["plus"] = lambda value, n: _each(lambda number: number + n)(value)
    environment.filters["divided"] = lambda value, x: _each(lambda number: number / x)(value)
    environment.filters["stem"] = lambda value: PurePosixPath(value).stem
    return environment


@lru_cache(maxsize=4096)
def _compiled(template: str) -> Callable[..., Any]:
    single = _SINGLE.fullmatch(template)
    if single:
        return _environment().compile_expression(single[1].strip(), undefined_to_none=False)
    return _environment().from_string(template).render


def value(template: str, row: Mapping[str, Any], *, what: str = "template") -> Any:
    """What `template` gives for a row.

    Args:
        what: its key in the task file, for the error message.

    Raises:
        ViubenchError: the template cannot be read, or the row lacks a field it names; the hint says which there are.
    """
    try:
        result = _compiled(template)(**{str(key): field for key, field in row.items()})
        if isinstance(result, Undefined):
            str(result)  # raises the error that says what is undefined
        return result
    except UndefinedError as error:
        raise ViubenchError(f"{what}: {error.message}", where=repr(template), hint=_meant(error, row)) from None
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise ViubenchError(f"{what}: {str(error) or type(error).__name__}", where=repr(template)) from None


def text(template: str, row: Mapping[str, Any], *, what: str = "template") -> str:
    """What `template` gives for a row as text; nothing (None) is the empty text."""
    result = value(template, row, what=what)
    return "" if result is None else str(result)


def _meant(error: UndefinedError, row: Mapping[str, Any]) -> str:
    fields = sorted(str(key) for key in row)
    missing = _UNDEFINED.search(error.message or "")
    close = get_close_matches(missing[1], fields, n=1) if missing else []
    return f"did you mean {close[0]!r}?" if close else f"the row has: {', '.join(fields)}"
