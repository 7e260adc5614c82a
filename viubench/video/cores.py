"""How many cores may be used, so that decoding side by side in processes fills the machine and no more.

Example:
    >>> share()
    1
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

import cv2

MOST = 32
"""Decode workers where no number is named, at most: each may keep frames of 400 MB."""

_share = 1


def available() -> int:
    """Cores this process may use: those it may run on, and no more than the quota of its control groups pays for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(min(quota(), cores))))


def workers(replicas: int = 1) -> int:
    """Decode workers where no number is named, of each of so many replicas on this machine: one a core. They give way
    to the engine (see `process_pool`)."""
    return max(1, min(MOST, available() // replicas))


def quota(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores' worth of time that the control groups of this process grant it, as containers set it; infinite where
    nothing does. `groups` is the kernel's list of them, `mounted` where they are shown (both versions are read)."""
    least = math.inf
    with suppress(OSError):
        for line in groups.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds and "cpu" not in kinds.split(","):
                continue
            own = Path(path.lstrip("/"))
            for place in (own, *own.parents):  # a container may show its own group as the root
                least = min(least, _granted(mounted / kinds / place))
    return least


def _granted(group: Path) -> float:
    """Cores' worth of time that one group grants."""
    with suppress(OSError, ValueError):
        if (group / "cpu.max").exists():
            most, period = (group / "cpu.max").read_text().split()
        else:
            most, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if int(most) > 0:
            return int(most) / int(period)
    return math.inf


def share() -> int:
    """Threads that a decoder in this process may start; 1 until `take` changes it."""
    return _share


def take(workers: int) -> None:
    """Use this process's part of the cores when `workers` processes work side by side."""
    global _share
    _share = max(1, available() // workers)
    cv2.setNumThreads(_share)
