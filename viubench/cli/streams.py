"""Output that nobody takes, as in `viubench run ... | head`, `>&-` or on a full disk: it is dropped, and the command
goes on.

Example:
    use_droppable()
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, TextIO


class Droppable:
    """A text stream that writes to nowhere once its pipe or disk takes no more; the exit code stays the command's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:  # an ASCII terminal, or a name that is not UTF-8
            return self.write(text.encode("ascii", "backslashreplace").decode())
        except OSError:
            self._drop()
            return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def use_droppable() -> None:
    """Make standard output and error droppable. One that was closed is nowhere: else the next file that is opened
    would take its place, and what a library prints would be written into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        setattr(sys, name, Droppable(open(number, "w", closefd=False) if stream is None else stream))  # noqa: SIM115
