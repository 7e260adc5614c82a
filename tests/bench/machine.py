"""What a figure was measured on, how much memory it took, and how it is put down.

Example:
    >>> write(Path("decode.json"), rows, table(rows))  # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from viubench.cli import files
from viubench.errors import ViubenchError
from viubench.runner.planning import versions

ROOT = Path(__file__).parents[2]


def facts() -> dict[str, Any]:
    """The machine, how busy it is, and the packages that matter."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "machine": platform.machine(), "cores": os.cpu_count(), "memory_mb": memory // 10**6,
        "python": platform.python_version(), "load": round(os.getloadavg()[0], 1), "packages": versions(),
    }  # fmt: skip


def peak_mb(process: int | str = "self") -> float:
    """Most resident memory of this process so far, in 10^6 bytes; mapped files count. On Linux also of another."""
    status = Path(f"/proc/{process}/status")
    if status.exists():  # Linux tells it apart from what the parent had before this process began
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return _maxrss_mb(resource.RUSAGE_SELF)


def children_peak_mb() -> float:
    """Most resident memory of the largest child that has ended, in 10^6 bytes."""
    return _maxrss_mb(resource.RUSAGE_CHILDREN)


def _maxrss_mb(who: int) -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit / 1e6


def in_child(
    module: str, *args: object, name: str = "", environment: Mapping[str, str] | None = None, hint: str = ""
) -> Any:
    """What `python -m module args...` prints as JSON: a process of its own, so that its memory is its own.

    Args:
        name: what an error calls it; the arguments by default.
        environment: variables it has besides ours.
        hint: what to do when it fails.

    Raises:
        ViubenchError: it failed; the message ends with what it printed last.
    """
    command = [sys.executable, "-m", module, *map(str, args)]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=variables)
    # Libraries print as well, some of them while the process ends.
    result = next((line for line in reversed(done.stdout.splitlines()) if line.startswith("{")), None)
    if done.returncode or result is None:
        reason = done.stderr.strip()[-500:] or f"exit code {done.returncode}, nothing was printed"
        raise ViubenchError(f"{name or ' '.join(map(str, args))} failed: {reason}", where=module, hint=hint or None)
    return json.loads(result)


def write(path: Path | None, rows: Sequence[Any], printed: str, **more: Any) -> None:
    """Write `{"command", "machine", "printed", "rows", ...}` as JSON; nothing without a path.

    Args:
        rows: dataclasses.
        printed: what the benchmark printed.

    Raises:
        ViubenchError: the file cannot be written.
    """
    if path is not None:
        content = {"command": _command(), "machine": facts(), "printed": printed, "rows": [asdict(row) for row in rows]}
        files.write(path, f"{json.dumps(content | more, indent=1)}\n", "--json")


def _command() -> str:
    """The command line, folders by their own names alone and without where its figures are written."""
    words, skip = [], False
    for word in sys.argv[1:]:
        if skip or word == "--json":
            skip = not skip
        else:
            words.append(Path(word).name if "/" in word else word)
    return shlex.join(["python", "-m", "tests.bench", *words])
