"""A column of a table in the template of a task.

Example:
    >>> field("start time", "seconds", empty=True)
    '{{ _row["start time"] | seconds if _row["start time"] is not none else none }}'
"""

from __future__ import annotations

import json
import keyword

_JINJA = {"and", "or", "not", "is", "in", "if", "else", "true", "false", "none", "loop", "self", "range", "dict",
          "namespace"}  # fmt: skip


def field(column: str, *filters: str, empty: bool = False) -> str:
    """The template of a column; `empty`: it is none where the column is."""
    value = " | ".join([reference(column), *filter(None, filters)])
    return f"{{{{ {value} if {reference(column)} is not none else none }}}}" if empty else f"{{{{ {value} }}}}"


def reference(column: str) -> str:
    """A column as it is named within a template."""
    simple = column.isidentifier() and column.isascii() and not keyword.iskeyword(column) and column not in _JINJA
    return column if simple else f"_row[{json.dumps(column)}]"
