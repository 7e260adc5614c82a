"""How a command ends that is told to: in words, with the code of the signal, also in the middle of an event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from concurrent.futures import Future
from multiprocessing import resource_tracker
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import forked
import pytest
import typer

from viubench.cli import ending, main
from viubench.errors import MediaError
from viubench.runner.event_loop import in_event_loop
from viubench.schema import Clip, Resize, Sampling
from viubench.video import process_pool
from viubench.video.loader import Filled, Media


def command(ready: Path, stuck: bool) -> typer.Typer:
    """A command whose event loop never rests, or is stuck in one step, and which puts its things away."""
    app = typer.Typer()

    async def steps() -> None:
        while True:
            time.sleep(60 * stuck)
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


TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize(
    ("signals", "code", "ignored", "stuck"),
    [
        ([TERM], 143, False, False),
        ([TERM, TERM], 143, False, False),
        ([INT], 130, False, False),
        ([TERM], 143, True, False),  # Ctrl-C is ignored, as in the background of a script
        ([TERM], 143, False, True),
    ],
)
def test_a_signal_is_taken_between_two_steps(
    signals: list[signal.Signals], code: int, ignored: bool, stuck: bool, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"

    def program() -> None:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        ending.GRACE = 0.3 if stuck else 30
        sys.argv = ["viubench"]
        main(command(ready, stuck))

    with (tmp_path / "said").open("w") as said, forked.start(program, stdout=said, stderr=said) as process:
        while not ready.exists():
            time.sleep(0.005)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.01)
        try:
            assert process.wait(20) == code
        finally:
            process.kill()
    said_last = (tmp_path / "said").read_text()
    assert ("put away" in said_last) != stuck
    assert "Traceback" not in said_last


def test_what_is_started_is_born_with_ctrl_c_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = resource_tracker.ResourceTracker()
    monkeypatch.setattr(resource_tracker, "ensure_running", fresh.ensure_running)
    with process_pool._no_interrupt():
        resource_tracker.ensure_running()  # as the server of forks does
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    os.close(fresh._fd)  # type: ignore[attr-defined]
    assert signal.SIGINT in held
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize("error", [None, MediaError("crashed", "v.mp4")])
def test_what_a_decoder_brings_after_the_end_is_dropped(error: MediaError | None, caplog: Any) -> None:
    job: Future[Filled] = Future()
    pool: Any = SimpleNamespace(submit=lambda *_, name: job)
    cache: Any = SimpleNamespace(root=Path("x"))
    media = Media(cache, pool)
    key = media.decode((Path("x"), Clip(path="v.mp4"), Sampling(), Resize()))
    assert key.cancel()
    if error is None:
        job.set_result(Filled(["k"], 0.1))
    else:
        job.set_exception(error)
    assert key.cancelled()
    assert caplog.records == []


def test_a_command_in_the_background_leaves_signals_as_they_were() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ending.ended_in_order():
            assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.signal(signal.SIGINT, before)
