"""The environment variables that viubench reads, and whether one is on.

Example:
    >>> os.environ["VIUBENCH_DEBUG"] = "1"
    >>> on(DEBUG)
    True
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from viubench.errors import ViubenchError, did_you_mean

CACHE, CACHE_GB, DATA = "VIUBENCH_CACHE", "VIUBENCH_CACHE_GB", "VIUBENCH_DATA"
DEBUG, FOLLOW_LINKS = "VIUBENCH_DEBUG", "VIUBENCH_FOLLOW_LINKS"
SWITCHES = (DEBUG, FOLLOW_LINKS)

TOLD = ("VIUBENCH_CHECKPOINT", "VIUBENCH_STEP", "VIUBENCH_RUN", "VIUBENCH_VERDICT")
"""What `viubench watch` tells the command that it runs."""

OF_TESTS = ("VIUBENCH_REAL_CLIPS", "VIUBENCH_VERL_PYTHON", "VIUBENCH_WRITE_GOLDEN", "VIUBENCH_EMPTY_ENVIRONMENT")

_ON, _OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


def on(name: str) -> bool:
    """Whether a switch is set to anything but an empty text, 0, false, no or off."""
    return os.environ.get(name, "").strip().lower() not in _OFF


def folder(name: str) -> Path | None:
    """The folder that a variable names, with `~` for the home; None where it is empty or not set."""
    given = os.environ.get(name, "").strip()
    return Path(given).expanduser() if given else None


def cache_folder(name: str) -> Path:
    """`name` below $VIUBENCH_CACHE, or below the user's cache folder."""
    return (folder(CACHE) or user_cache_path("viubench", appauthor=False)) / name


def unknown() -> list[str]:
    """A line for each variable that begins with VIUBENCH_ and means nothing, as a misspelt one."""
    read = (CACHE, CACHE_GB, DATA, *SWITCHES)
    names = sorted(name for name in os.environ if name.startswith("VIUBENCH_"))
    rest = [name for name in names if name not in (*read, *TOLD, *OF_TESTS)]
    return [f"{name} is not read; {did_you_mean(name, read, 'known: ' + ', '.join(read))}" for name in rest]


def check() -> None:
    """Raise ViubenchError for a switch that is neither on nor off."""
    for name in SWITCHES:
        if os.environ.get(name, "").strip().lower() not in (*_ON, *_OFF):
            raise ViubenchError(f"{name} is {os.environ[name]!r}, neither 1 nor 0", where=name, hint=f"export {name}=1")
