"""Keeps what a benchmark found, where `--json` was given.

Example:
    keep(json, rows, told, settings=asdict(terms))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viubench.cli import files


def keep(path: Path | None, rows: Sequence[Any], told: str, **more: Any) -> None:
    """Write `machine.figures` of the rows; nothing without a path. ViubenchError where it cannot be written."""
    from viubench.bench import machine

    if path is not None:
        files.write(path, machine.figures(rows, told, **more), "--json")
