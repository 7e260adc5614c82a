"""Replicas of `viubench.runner.parallel.process` as forks of the test process; their protocol and ends are unchanged.

Example:
    with forked_replicas.used():
        asyncio.run(Replicas(engine, Processes(spec, 2), print).answer_all(attempts, finished, opened))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import forked
import pytest

from viubench.runner.parallel import process


@contextmanager
def used() -> Iterator[None]:
    """While it is entered, this process starts no program for a replica."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "subprocess", SimpleNamespace(Popen=popen, DEVNULL=None))
        yield


def popen(command: Sequence[str], *, pass_fds: Sequence[int], stdin: None, **more: Any) -> forked.Fork:
    """In place of `subprocess.Popen`."""
    (handle,) = pass_fds
    assert command[-1] == str(handle)
    return forked.start(lambda: process.main(handle), pass_fds=pass_fds, **more)
