"""`viubench run` as a process that can be put under faults: a fork of this one, which has imported what it needs, or a
fresh Python.

Example:
    program = Program(words, environment, Limits(files=40))
    program.until(records=10)
    program.signal(signal.SIGKILL)
    program.end()
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from tests import forked
from tests.bench.faults.command import Limits, under

LIMIT_S = 240.0
"""Seconds after which a run that has not ended hangs; one takes two on an idle machine."""


FRESH = """
import json, sys
from tests.bench.faults.command import Limits, under
under(Limits(**json.loads(sys.argv[1])), sys.argv[2:])
"""


class Program:
    """One run of the command, in a session of its own; `records` is the file it appends to."""

    def __init__(self, words: Sequence[str], folder: Path, records: Path, limits: Limits, *, fresh: bool) -> None:
        self.records, self.fresh = records, fresh
        self.began = time.monotonic()
        self.said = folder / f"said-{time.monotonic_ns()}"
        variables = {**os.environ, "VIUBENCH_CACHE": str(folder / "cache" / "c"), "TMPDIR": str(folder / "tmp")}
        variables |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        reader, writer = os.pipe()
        os.close(reader)
        with self.said.open("wb") as file, os.fdopen(writer, "wb", buffering=0) as pipe:
            streams: dict[str, IO[Any]] = {
                name: pipe if number in limits.closed else file for number, name in ((1, "stdout"), (2, "stderr"))
            }
            if fresh:
                command = [sys.executable, "-c", FRESH, json.dumps(asdict(limits)), *words]
                self.process: Any = subprocess.Popen(command, env=variables, start_new_session=True, **streams)
            else:
                self.process = forked.start(
                    lambda: under(limits, words), env=variables, start_new_session=True, **streams
                )

    def until(self, records: int = 0, seconds: float = 0.0) -> bool:
        """Wait for so many records, and so many seconds since the start; whether it still runs then."""
        while self.process.poll() is None:
            now = time.monotonic() - self.began
            if now > LIMIT_S / 2 or (now >= seconds and self.finished() >= records):
                return True
            time.sleep(0.004)
        return False

    def finished(self) -> int:
        try:
            return self.records.read_bytes().count(b"\n")
        except OSError:
            return 0

    def signal(self, number: int, *, all_of_it: bool = False) -> None:
        """Send a signal to the program, or to all its processes as a terminal does."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number) if all_of_it else os.kill(self.process.pid, number)

    def decoders(self) -> list[int]:
        """Its decoding processes: those of its session that others of it have started."""
        return [process for process, parent in members(self.process.pid) if parent not in (1, self.process.pid)
                and process != self.process.pid]  # fmt: skip

    def end(self, limit_s: float = LIMIT_S) -> int | None:
        """The exit code, that of a signal negative; None where it has not ended `limit_s` seconds after its start and
        had to be killed."""
        try:
            return int(self.process.wait(max(limit_s - (time.monotonic() - self.began), 0.1)))
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGABRT)  # it prints where its threads are
            time.sleep(1)
            self.signal(signal.SIGKILL, all_of_it=True)
            self.process.wait()
            return None

    def left(self) -> list[int]:
        """Processes that it left behind, which are killed: they have three seconds to see that it has ended."""
        for _ in range(150):
            if not (others := [process for process, _ in members(self.process.pid)]):
                return []
            time.sleep(0.02)
        for one in others:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        return others


def members(session: int) -> list[tuple[int, int]]:
    """(process, parent) of what runs in a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, _, own, *_ = path.read_text().rpartition(")")[2].split()
            if int(own) == session and state != "Z":
                found.append((int(path.parent.name), int(parent)))
    return found
