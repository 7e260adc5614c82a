"""How many cores one process may use, so that decoding side by side in processes fills the machine and no more.

Example:
    >>> share()
    1
"""

from __future__ import annotations

import os

import cv2

_share = 1


def available() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share() -> int:
    """Threads that a decoder in this process may start; 1 until `take` changes it."""
    return _share


def take(workers: int) -> None:
    """Use this process's part of the cores when `workers` processes work side by side."""
    global _share
    _share = max(1, available() // workers)
    cv2.setNumThreads(_share)
