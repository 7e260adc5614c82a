"""A reader that goes away: the command ends quietly, with the exit code it would have had."""

from __future__ import annotations

import subprocess
import sys

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
