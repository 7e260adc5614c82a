"""The answers in a pickle, without running it: only plain values are made (a pickle can otherwise run any code).

Example:
    next(rows(Path("model_Video-MME_supp.pkl")))  # {'index': 3, 'prediction': 'B'}

VLMEvalKit's own intermediate files are a dictionary of index -> answer. A table (pandas) is an object of code, which is
not made here: write it as CSV first.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from viubench.errors import ViubenchError

LARGEST = 1 << 30
PLAIN = (str, int, float, bool, type(None))


class _Foreign(pickle.UnpicklingError):
    """The pickle names an object that is more than a plain value."""


class _Plain(pickle._Unpickler):
    """Makes text, numbers, lists and dictionaries, and refuses everything that has a name. Written in Python, since the
    one in C allocates whatever memory a stream names."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise _Foreign(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _Foreign("a persistent object")


def rows(path: Path) -> Iterator[Any]:
    """One row an answer, `index` and `prediction`, of a dictionary of answers; rows as they stand of a list of them,
    None for one that is no row. Raises ViubenchError for any other content."""
    if path.stat().st_size > LARGEST:
        raise ViubenchError(f"a pickle of more than {LARGEST >> 30} GiB", where=str(path), hint=CONVERT)
    try:
        with path.open("rb") as file:
            found = _Plain(file).load()
    except _Foreign as error:
        message = f"the pickle holds more than plain values ({error!s:.80}), and a pickle can run any code"
        raise ViubenchError(message, where=str(path), hint=CONVERT) from None
    except Exception as error:  # whatever a damaged or hostile stream leads to
        raise ViubenchError(f"the pickle is damaged: {error!r:.100}", where=str(path)) from None
    if isinstance(found, dict):
        found = [{"index": index, "prediction": value} for index, value in found.items()]
    if not isinstance(found, list):
        raise ViubenchError(f"the pickle holds a {type(found).__name__}, no answers", where=str(path), hint=CONVERT)
    for row in found:
        plain = isinstance(row, dict) and all(isinstance(value, PLAIN) for value in (*row, *row.values()))
        yield {str(key): value for key, value in row.items()} if plain else None


CONVERT = 'write it as CSV where you trust it: python -c "import pandas; pandas.read_pickle(FILE).to_csv(OUT)"'
