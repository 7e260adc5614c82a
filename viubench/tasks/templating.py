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
from functools import lru_cache, partial
from operator import add, truediv
from pathlib import PurePosixPath
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined
from jinja2.exceptions import UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from viubench.errors import ViubenchError, did_you_mean

MAX_REPEAT = 10_000  # elements that `*` may make: a template cannot fill the memory

_SINGLE = re.compile(r"\s*\{\{((?:(?!\}\}|\{\{).)*)\}\}\s*", re.DOTALL)
_UNDEFINED = re.compile(r"'(\w+)' is undefined")


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sides = (left, right)
        if operator == "**" or not all(isinstance(side, int | float) for side in sides):
            sizes = [side if isinstance(side, int) else len(side) for side in sides if not isinstance(side, float)]
            if operator == "**" or len(sizes) < 2 or sizes[0] * sizes[1] > MAX_REPEAT:
                raise TemplateError(f"{operator!r} may not make more than {MAX_REPEAT} elements")
        return super().call_binop(context, operator, left, right)


def _each(operator: Callable[[Any, Any], Any], value: Any, x: Any) -> Any:
    return [_each(operator, part, x) for part in value] if isinstance(value, list | tuple) else operator(value, x)


_ENVIRONMENT = _Environment(undefined=StrictUndefined, keep_trailing_newline=True)
_ENVIRONMENT.filters["plus"] = partial(_each, add)
_ENVIRONMENT.filters["divided"] = partial(_each, truediv)
_ENVIRONMENT.filters["stem"] = lambda value: PurePosixPath(value).stem


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
        result = _compiled(template)(**{str(key): field for key, field in row.items()})
        if isinstance(result, Undefined):
            str(result)  # raises the error that says what is undefined
        return result
    except UndefinedError as error:
        fields = sorted(map(str, row))
        missing = _UNDEFINED.search(error.message or "")
        hint = did_you_mean(missing[1] if missing else "", fields, f"the row has: {', '.join(fields)}", "{!r}")
        raise ViubenchError(f"{what}: {error.message}", where=repr(template), hint=hint) from None
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise ViubenchError(f"{what}: {str(error) or type(error).__name__}", where=repr(template)) from None


def text(template: str, row: Mapping[str, Any], *, what: str = "template") -> str:
    """What `template` gives for a row as text; nothing (None) is the empty text."""
    result = value(template, row, what=what)
    return "" if result is None else str(result)
