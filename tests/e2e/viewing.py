"""The viewer as a user runs it, for the tests that look at its pages.

Example:
    with viewer(folder) as address:
        to(page, address, "/samples")
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from viubench.errors import Exit


@contextmanager
def viewer(runs: Path) -> Iterator[str]:
    """The address of a viewer that runs as a user's does, and is ended as by Ctrl-C."""
    pytest.importorskip("uvicorn", reason="the viewer's libraries are not installed")
    command = [sys.executable, "-m", "viubench", "view", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == Exit.OK
        assert said == ""


def to(page: Any, address: str, path: str = "/") -> None:
    base = address.split("/?")[0]
    page.wait_for_url(base + "/")
    page.goto(base + path)
