"""Output whose reader may go away, as in `viubench run ... | head`: what is left is dropped, and the command goes on.

Example:
    sys.stdout = Droppable(sys.stdout)
"""

from __future__ import annotations

import os
from typing import Any, TextIO


class Droppable:
    """A text stream that writes to nowhere once its pipe is broken; the exit code stays that of the command."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
