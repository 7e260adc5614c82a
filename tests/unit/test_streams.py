"""A reader that goes away: the command ends quietly, with the exit code it would have had."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import typer
from viubench.cli import main
app = typer.Typer()
@app.command()
def talk(code: int, lines: int) -> None:
    for number in range(lines):
        print(number, "x" * 100)
    raise typer.Exit(code)
main(app)
"""


@pytest.mark.parametrize(("code", "lines"), [(0, 5000), (3, 5000), (0, 20), (4, 20)])
def test_a_reader_that_goes_away_changes_no_exit_code(code: int, lines: int) -> None:
    done = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(code), str(lines)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert done.stdout is not None
    assert done.stderr is not None
    done.stdout.close()  # before anything is written
    assert done.wait(60) == code
    assert done.stderr.read() == b""


@pytest.mark.parametrize("where", [">/dev/full", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_output_that_nobody_takes_changes_no_exit_code(where: str) -> None:
    command = [sys.executable, "-c", SCRIPT, "3", "500"]
    done = subprocess.run(["bash", "-c", f'"$@" {where}', "-", *command], capture_output=True)
    assert done.returncode == 3
    assert done.stderr == b""


def test_a_closed_output_gives_no_number_to_a_file(tmp_path: Path) -> None:
    script = f"""
from viubench.cli.streams import use_droppable
use_droppable()
file = open({str(tmp_path / "file")!r}, "w")
import os
os.write(1, b"what a library prints")
file.close()
"""
    subprocess.run(["bash", "-c", '"$@" <&- >&- 2>&-', "-", sys.executable, "-c", script], check=True)
    assert (tmp_path / "file").read_text() == ""


def test_ctrl_c_while_modules_are_loaded_ends_without_a_traceback() -> None:
    script = """
import builtins, os, signal
real = builtins.__import__
def load(name, *more, **named):
    if name == "viubench.cli":
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *more, **named)
builtins.__import__ = load
from viubench.__main__ import start
start()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("times", [1, 2, 5])
def test_sigterm_ends_quietly_however_often_it_comes(times: int) -> None:
    script = """
import time, typer
from viubench.cli import main
app = typer.Typer()
@app.command()
def wait() -> None:
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("ending", flush=True)
        time.sleep(0.5)
        print("ended", flush=True)
main(app)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == "ready\n"
    child.terminate()
    assert child.stdout.readline() == "ending\n"
    for _ in range(times - 1):
        child.terminate()
    assert child.wait(60) == 143
    assert (child.stdout.read(), child.stderr.read()) == ("ended\n", "")
