"""The formats of other harnesses, a file each: what tells one by a row, and how a row becomes an answer.

Example:
    >>> recognised({"doc_id": 0, "filtered_resps": "B", "doc_hash": "a1"}).name
    'lmms-eval'
"""

from __future__ import annotations

from viubench.datasets.tables.rows import Fields
from viubench.errors import ViubenchError, did_you_mean
from viubench.imports.formats import columns, evalscope, inspect_ai, lm_eval, lmms_eval, qwen, vlmevalkit
from viubench.imports.formats.base import Format

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        lmms_eval.FORMAT,
        lm_eval.FORMAT,
        evalscope.FORMAT,
        qwen.FORMAT,
        inspect_ai.FORMAT,
        vlmevalkit.FORMAT,
        columns.FORMAT,
    )
}
"""By name; the first that recognises a row is taken, `columns` takes any."""


def recognised(row: Fields) -> Format:
    """The format of a file, by its first row."""
    return next(one for one in FORMATS.values() if one.recognises(row))


def named(name: str) -> Format:
    """The format of that name; raises ViubenchError where there is none."""
    if name not in FORMATS:
        hint = did_you_mean(name, FORMATS, f"known: {', '.join(FORMATS)}")
        raise ViubenchError(f"unknown format: {name!r}", where="--format", hint=hint)
    return FORMATS[name]
