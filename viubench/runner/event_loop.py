"""Run a coroutine to its end from plain code, also where an event loop is running already, as in a notebook.

Example:
    >>> async def three(): return 3
    >>> in_event_loop(three())
    3
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def in_event_loop(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, in a loop of its own; Ctrl-C cancels it and waits until it has put its things away."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    runner = asyncio.Runner()
    with ThreadPoolExecutor(1, "viubench") as thread:
        result = thread.submit(runner.run, work)
        try:
            return result.result()
        except KeyboardInterrupt:
            loop = runner.get_loop()
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
            raise
        finally:
            thread.submit(runner.close)
