from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from viubench.system import child_process
from viubench.watch.loop import failure_reason


def test_a_child_says_how_it_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert child_process.run([sys.executable, "-c", "print('viubench: no'); exit(2)"], log) == 2
    assert failure_reason(2, log) == "viubench run ended with exit code 2: no"
    assert child_process.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], log) == -9
    assert failure_reason(-9, log) == "viubench run ended with signal 9"
    log.write_text("Traceback\n  x\nMemoryError\n")
    assert failure_reason(1, log) == "viubench run ended with exit code 1: Traceback x MemoryError"


def test_a_child_that_takes_too_long_is_ended_with_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "GRACE", 0.3)
    stubborn = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)\n"
        "time.sleep(60)"
    )
    assert child_process.run([sys.executable, "-c", stubborn], tmp_path / "log", limit=1.0) == -signal.SIGKILL
    grandchild = int((tmp_path / "log").read_text())
    assert not _alive(grandchild)


def test_what_interrupts_us_ends_the_child(tmp_path: Path) -> None:
    ticks = []

    def tick() -> None:
        ticks.append(1)
        if (tmp_path / "log").read_text():
            raise KeyboardInterrupt

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        child_process.run([sys.executable, "-c", code], tmp_path / "log", tick=tick)
    assert ticks
    assert not _alive(int((tmp_path / "log").read_text()))


def _alive(process: int) -> bool:
    """Whether it runs; one that is dead and not yet waited for does not."""
    for _ in range(40):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
        if not state or state.startswith("Z"):
            return False
        time.sleep(0.05)
    return True
