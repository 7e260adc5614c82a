"""CPU seconds of `viubench --help` and of an empty Python, side by side: `python tests/bench/startup.py`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

RUNS = 7


def cpu_seconds(command: list[str]) -> float:
    """Median user + system seconds of `command` over several runs, after one that warms the disk cache."""
    seconds = []
    for _ in range(RUNS + 1):
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        used = after.children_user - before.children_user + after.children_system - before.children_system
        seconds.append(used)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    viubench = str(Path(sys.executable).with_name("viubench"))
    rows = {"python -c pass": [sys.executable, "-c", "pass"], "viubench --help": [viubench, "--help"]}
    for name, command in rows.items():
        print(f"{name:<20} {cpu_seconds(command):.3f} s CPU")
