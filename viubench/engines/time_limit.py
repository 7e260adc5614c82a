"""A limit on the time of Python code that others wrote, in this thread: a loop that never ends is interrupted.

Example:
    with ending_within(10):
        template.render()      # OutOfTime after ten seconds
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class OutOfTime(Exception):
    """The block took longer than it may."""


@contextmanager
def ending_within(seconds: float) -> Iterator[None]:
    """The block, which gets OutOfTime between two steps of Python once it has run so long; a single call of C code is
    not interrupted."""
    thread, lock = threading.get_ident(), threading.Lock()
    inside = True

    def interrupt() -> None:
        with lock:
            if inside:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(OutOfTime))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            inside = False
        timer.cancel()
