"""How a command ends that is told to: in words, with the code of the signal, also in the middle of an event loop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
import typer

from viubench.cli import main
from viubench.runner.event_loop import in_event_loop


def busy(ready: Path) -> typer.Typer:
    """A command whose event loop never rests, and which puts its things away."""
    app = typer.Typer()

    async def steps() -> None:
        while True:
            sum(range(200))
            await asyncio.sleep(0)

    async def work() -> None:
        under_way = [asyncio.create_task(steps()) for _ in range(4)]
        try:
            ready.touch()
            await asyncio.wait(under_way)
        finally:
            await asyncio.sleep(0.05)
            print("put away")

    @app.command()
    def run() -> None:
        in_event_loop(work())

    return app


@pytest.mark.parametrize("ignored", [False, True], ids=["", "in the background of a script"])
@pytest.mark.parametrize(
    ("signals", "code"), [([signal.SIGTERM], 143), ([signal.SIGTERM, signal.SIGTERM], 143), ([signal.SIGINT], 130)]
)
def test_a_signal_is_taken_between_two_steps(
    signals: list[signal.Signals], code: int, ignored: bool, tmp_path: Path
) -> None:
    if ignored and signal.SIGINT in signals:
        pytest.skip("it is ignored")
    ready = tmp_path / "ready"

    def program() -> None:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.argv = ["viubench"]
        main(busy(ready))

    with (tmp_path / "said").open("w") as said, forked.start(program, stdout=said, stderr=said) as process:
        while not ready.exists():
            time.sleep(0.005)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.01)
        try:
            assert process.wait(20) == code
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert "put away" in (tmp_path / "said").read_text()
    assert "Traceback" not in (tmp_path / "said").read_text()
