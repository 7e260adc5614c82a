"""What it costs to start: the command line beside an empty Python, and what a run imports before its first sample.

Example:
    >>> print(table(measure(7)))     # doctest: +SKIP
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

from tabulate import tabulate

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "viubench --help": ("-m", "viubench", "--help"),
    "viubench tasks list": ("-m", "viubench", "tasks", "list"),
    "import of what a run needs, engine aside": ("-c", "import viubench.api.evaluate"),
}


@dataclass(frozen=True)
class StartRow:
    """A command and the median of its user and system seconds."""

    what: str
    seconds: float


def measure(runs: int) -> list[StartRow]:
    """Each command `runs` times, after one start that warms the disk cache."""
    rows = []
    for what, words in COMMANDS.items():
        seconds = [_cpu_seconds([sys.executable, *words]) for _ in range(runs + 1)][1:]
        rows.append(StartRow(what, round(statistics.median(seconds), 3)))
    return rows


def _cpu_seconds(command: list[str]) -> float:
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def table(rows: list[StartRow]) -> str:
    """For a terminal."""
    lines = [[row.what, f"{row.seconds:.3f}"] for row in rows]
    return tabulate(lines, ["start", "CPU s"], disable_numparse=True, colalign=("left", "right"))
