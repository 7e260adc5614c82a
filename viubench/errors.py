"""The two errors a user may meet, each saying what happened, where, and what to do next.

Example:
    >>> raise ViubenchError("no such task: viubench_cuont_easy", hint="did you mean viubench_count_easy?")
    Traceback (most recent call last):
    ...
    viubench.errors.ViubenchError: no such task: viubench_cuont_easy
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from typing import Literal


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    NEGATIVE = 1  # the verdict is negative: a regression, an invalid task
    USAGE = 2  # usage or configuration
    INCONCLUSIVE = 3  # the gate could not decide
    INVALID_RUN = 4  # more media or engine errors than --max-errors allows
    BUG = 70  # of viubench itself (EX_SOFTWARE of sysexits.h), so that no crash looks like a verdict


class ViubenchError(Exception):
    """A mistake the user can mend; the command line prints it in two or three lines, without a traceback.

    Args:
        message: one sentence that names what is wrong and the offending value.
        where: the file, option or line it was found at.
        hint: what to do next.
        exit_code: the process exit code.
    """

    def __init__(
        self, message: str, *, where: str | None = None, hint: str | None = None, exit_code: Exit = Exit.USAGE
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.exit_code = exit_code


def did_you_mean(name: str, known: Iterable[str], otherwise: str, shown: str = "{}") -> str:
    """The hint that names the closest of the known names, written as `shown`; `otherwise` where none is close. Case and
    signs do not matter.

    >>> did_you_mean("Video-MME", ["videomme", "video_tt"], "")
    'did you mean videomme?'
    """
    plain = {_plain(one): one for one in known}
    close = get_close_matches(_plain(name), plain, n=1)
    return f"did you mean {shown.format(plain[close[0]])}?" if close else otherwise


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


MediaFault = Literal[
    "missing",  # no such file
    "unreadable",  # it is there, and the system does not let us read it
    "empty",  # zero bytes
    "lfs_pointer",  # a git-lfs pointer instead of the file
    "not_a_video",  # no container a decoder recognises
    "no_video_stream",  # audio or data only
    "no_decoder",  # a codec that neither reader knows
    "encrypted",  # its pictures need a key
    "truncated",  # fewer frames than the header promises: "118 of 287"
    "corrupt",  # damaged packets where frames were wanted, or too few frames because of them
    "too_short",  # fewer distinct frames than the sampling asks for
    "too_large",  # above the caps on pixels, frames or duration
    "outside_root",  # the path leaves the media root
    "changed",  # not the bytes the item was built from
    "timeout",  # the decoder ran past its wall limit and was killed
    "crashed",  # the decoder process died
]


class MediaError(Exception):
    """One video that could not be used; it becomes a `media_error` record or a build line, never a crash.

    Args:
        fault: which of the known cases it is.
        path: the file as the user named it.
        detail: one plain sentence, for example "118 of 287 frames decode".
    """

    def __init__(self, fault: MediaFault, path: str, detail: str = "") -> None:
        super().__init__(fault, path, detail)
        self.fault: MediaFault = fault
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.path}: {self.fault.replace('_', ' ')}" + (f" ({self.detail})" if self.detail else "")


class EngineDead(ViubenchError):
    """The engine is gone, whatever it was asked; another one may answer the same request."""


class EngineError(Exception):
    """One request the engine could not answer; it becomes an `engine_error` record."""
