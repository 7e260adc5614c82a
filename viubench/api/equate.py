"""Two item sets from Python: whether they are alike.

Example:
    equate("items/november", "items/december").alike  # True
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from viubench.equating import sets
from viubench.runner.config import PathLike
from viubench.schema.equating import EquatingReport


def equate(a: PathLike, b: PathLike, runs: Iterable[PathLike] = ()) -> EquatingReport:
    """Compare two item sets of one recipe: ids, true answers, baselines, parameters, and the scores of common models.

    Args:
        a, b: build folders.
        runs: for each model one run of each set.

    Raises:
        ViubenchError: no build folders, tasks with other definitions, or a run of neither set.
    """
    return sets.equate(Path(a), Path(b), [Path(run) for run in runs])
