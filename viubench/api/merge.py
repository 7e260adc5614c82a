"""Shards of a run as one run, from Python.

Example:
    merge(["runs/a.shards/1", "runs/a.shards/2"], "runs/a").results
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from viubench.api.run import Run
from viubench.runner import merging
from viubench.runner.config import MAX_ERRORS, PathLike, as_paths


def merge(shards: PathLike | Iterable[PathLike], out: PathLike, *, max_errors: float = MAX_ERRORS) -> Run:
    """The run whose parts were written with `shard="1/2"` and so on, in the new folder `out`.

    Raises:
        ViubenchError: shards of different runs, one that is missing, unfinished or there twice, answers that are not
            those the run asks for, or another run in `out`.
    """
    merging.merge(as_paths(shards), Path(out))
    return Run(out, max_errors=max_errors)
