"""Reads `--engine-arg K=V` pairs: known names only, values of the type the engine takes.

Example:
    >>> typed({"timeout": "30"}, {"timeout": float, "transport": str}, "server")
    {'timeout': 30.0}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from viubench.errors import ViubenchError, did_you_mean

Kind = type | tuple[str, ...]  # what an argument takes: values of a type, or one of several texts


def typed(args: Mapping[str, str], known: Mapping[str, Kind], kind: str) -> dict[str, Any]:
    """`args` with each value turned into what `known` gives for its name.

    Raises:
        ViubenchError: an unknown name (with the near one), or a value that is not of the type or none of the texts.
    """
    refuse_unknown(args, known, kind)
    return {name: _convert(name, value, known[name]) for name, value in args.items()}


def refuse_unknown(args: Iterable[str], known: Iterable[str], kind: str, where: str = "--engine-arg") -> None:
    """Raise ViubenchError for the first name of `args` that is not in `known`; `where` they were given."""
    names = sorted(known)
    for name in args:
        if name not in names:
            hint = did_you_mean(name, names, f"known: {', '.join(names[:20]) or 'none'}")
            raise ViubenchError(f"the {kind} engine has no argument {name!r}", where=where, hint=hint)


def as_json(value: str) -> Any:
    """`value` as JSON where it is JSON (numbers, true, lists, objects), Python's True/False/None too, else the text."""
    plain = {"True": True, "False": False, "None": None}
    if value in plain:
        return plain[value]
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _convert(name: str, value: str, kind: Kind) -> Any:
    if isinstance(kind, tuple):
        if value not in kind:
            raise ViubenchError(f"{name}={value} is none of {', '.join(kind)}", where="--engine-arg")
        return value
    try:
        return kind(value)
    except ValueError as error:
        names = {int: "a whole number", float: "a number"}
        raise ViubenchError(f"{name}={value} is not {names.get(kind, kind.__name__)}", where="--engine-arg") from error
