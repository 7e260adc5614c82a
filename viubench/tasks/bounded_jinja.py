"""Jinja whose templates end soon and stay small, whatever they say: each rendering has a budget of work.

Example:
    >>> environment = BoundedEnvironment()
    >>> with budget("{{ 'x' * 3 }}"):
    ...     environment.from_string("{{ 'x' * 3 }}").render()
    'xxx'

A loop, a filter, a test, a method, an assignment and an output each cost what they read; macros, blocks, imports and
other methods than `METHODS` do not exist. Task files come from anywhere, and a sandbox alone bounds neither time nor
memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes, pass_context
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MOST = 5_000_000
"""Units of one value: its characters, and `ELEMENT` for everything else inside of it."""

ELEMENT = 20
"""What costs as much as so many characters: an element of a list, a character that a filter takes by itself."""

WORK = 50_000_000
"""Units that one rendering may read and write: a second or two of computing."""

MAX_REPEAT = 10_000
"""Elements that `*` may make, columns of a width, digits of a number."""

MAX_SOURCE = 50_000
"""Characters of a template."""

STEP = 100
"""Units of a pass of a loop, beside one for each character of the template."""

_METHODS = """capitalize casefold center count endswith find format index isalnum isalpha isdecimal isdigit islower
isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rindex rjust
rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill get items keys values copy"""
_FILTERS = """abs batch capitalize count d default dictsort e escape first float format groupby indent int items join
last length list lower map max min reject rejectattr replace reverse round safe select selectattr slice sort string sum
title tojson trim truncate unique upper wordcount wordwrap"""
METHODS, FILTERS = frozenset(_METHODS.split()), frozenset(_FILTERS.split())
"""Of texts, lists and mappings, what a template may use; filters of ours are added by `templating`."""

MULTIPLY = frozenset({"center", "ljust", "rjust", "zfill", "indent", "batch", "slice", "round", "tojson"})
"""What makes as much as its number says."""

LEFT_OUT = (nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock, nodes.Block, nodes.Extends,
            nodes.Include, nodes.Import, nodes.FromImport)  # fmt: skip

_WIDTH = re.compile(r"%(?:\([^()]*\))?[-+ #0]*(?:\*|\d{5}|\d*\.(?:\*|\d{5}))|:[^{}]*(?:\d{5}|\{)")
_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


class TooMuch(TemplateError):
    """A template that would take too long or make too much."""


@contextmanager
def budget(template: str) -> Iterator[None]:
    """The block renders `template` once; raises TooMuch where that costs more than `WORK`."""
    if len(template) > MAX_SOURCE:
        raise TooMuch(f"the template has more than {MAX_SOURCE} characters")
    before = _left.set([WORK, STEP + len(template)])
    try:
        yield
    finally:
        _left.reset(before)


def spend(units: int) -> None:
    """Take so much from the budget of the rendering under way."""
    left = _left.get() or [MOST, STEP]
    if units > left[0]:
        raise TooMuch("the template does or makes too much")
    left[0] -= units


def size(value: Any) -> int:
    """Units of a value and all inside of it; TooMuch above `MOST`."""
    if isinstance(value, str) and len(value) <= MOST:  # most are
        return len(value)
    total, inside = 0, [value]
    while inside:
        one = inside.pop()
        total += len(one) if isinstance(one, (str, bytes)) else ELEMENT
        if isinstance(one, dict):
            inside += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            inside += one
        elif isinstance(one, int) and one.bit_length() > 4 * MAX_REPEAT:
            raise TooMuch(f"a number has more than {MAX_REPEAT} digits")
        if total + len(inside) * ELEMENT > MOST:
            raise TooMuch("a value is too large")
    return total


def _guarded(name: str, cost: int, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`call` with these arguments, where it can cost no more than is left; `cost` is that of a character."""
    given = (*args, *kwargs.values())
    counts = [abs(one) for one in given if isinstance(one, int) and name in MULTIPLY]
    if any(count > MAX_REPEAT for count in counts):
        raise TooMuch(f"{name}: more than {MAX_REPEAT}")
    if name in ("format", "%") and any(isinstance(one, str) and _WIDTH.search(one) for one in given):
        raise TooMuch("a width of more than 4 digits, or from a value")
    if name == "sum" and any(isinstance(one, str | list | tuple) for one in (kwargs.get("start"), *args[3:])):
        raise TooMuch("sum: adds numbers only")
    sizes = [size(one) for one in given if isinstance(one, str | bytes | list | tuple | dict)]
    spend(cost * math.prod(max(one, 1) for one in (*sizes, *counts)))
    result = call(*args, **kwargs)
    spend(size(result))
    return result


def _wrapped(name: str, function: Any) -> Callable[..., Any]:
    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        return _guarded(name, ELEMENT, function, *args, **kwargs)

    return bounded


@pass_context  # which also keeps Jinja from computing it when it compiles
def _steps(_: Any, values: Iterable[Any]) -> Iterator[Any]:
    left = _left.get()
    for value in values:
        spend(left[1] if left else STEP)
        yield value


@pass_context
def _weighed(_: Any, value: Any) -> Any:
    return _output(value)


def _output(value: Any) -> Any:
    spend(size(value))
    return value


class _Bounds(NodeTransformer):
    """Puts what costs behind the filters that count it."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if isinstance(node, LEFT_OUT) or getattr(node, "recursive", False):
            raise TooMuch(f"{type(node).__name__.lower()} is not allowed in a template")
        node = super().generic_visit(node, *args, **kwargs)
        if isinstance(node, nodes.Concat):
            return _filter(nodes.List(node.nodes, lineno=node.lineno), "join")
        if isinstance(node, nodes.For):
            node.iter = _filter(node.iter, "_steps")
        elif isinstance(node, nodes.Assign):
            node.node = _filter(node.node, "_weighed")
        elif isinstance(node, nodes.With):
            node.values = [_filter(value, "_weighed") for value in node.values]
        elif isinstance(node, nodes.Compare):
            node.expr = _filter(node.expr, "_weighed")
            for operand in node.ops:
                operand.expr = _filter(operand.expr, "_weighed")
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            node.node = _filter(node.node, "_weighed")
        return node


def _filter(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox where a wrong name is an error, and nothing is endless."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True, finalize=_output)
        self.filters = {name: _wrapped(name, self.filters[name]) for name in FILTERS}
        self.filters |= {"_steps": _steps, "_weighed": _weighed}
        self.tests = {name: _wrapped(name, self.tests[name]) for name in self.tests}
        self.globals = {name: self.globals[name] for name in ("range", "dict", "namespace")}

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        bounded = _Bounds().visit(source)
        bounded.set_environment(self)
        return super()._generate(bounded, *args, **kwargs)

    def call(self, context: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        """A call in a template."""
        own = getattr(function, "__wrapped__", function)  # the sandbox's `format` is a wrapper
        owner, name = getattr(own, "__self__", None), getattr(own, "__name__", "")
        if isinstance(owner, str | list | tuple | dict) and name in METHODS:
            return _guarded(name, 1, lambda _, *rest, **named: super(BoundedEnvironment, self).call(
                context, function, *rest, **named), owner, *args, **kwargs)  # fmt: skip
        if function not in self.globals.values() and not isinstance(owner, LoopContext):
            raise TooMuch(f"{name or type(function).__name__} may not be called in a template")
        for one in (*args, *kwargs.values()):
            _output(one)
        return super().call(context, function, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An operation in a template."""
        sides = (left, right)
        if operator == "**" or (operator == "*" and not all(isinstance(side, int | float) for side in sides)):
            sizes = [side if isinstance(side, int) else len(side) for side in sides if not isinstance(side, float)]
            if operator == "**" or len(sizes) < 2 or sizes[0] * sizes[1] > MAX_REPEAT:
                raise TooMuch(f"{operator!r} may not make more than {MAX_REPEAT} elements")
        compute = super().call_binop
        return _guarded("%" if operator == "%" and isinstance(left, str) else "+", 1,
                        lambda *_: compute(context, operator, left, right), *sides)  # fmt: skip
