"""Trackers get progress and scores without the network, and never end what they watch."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import paired_runs
import pytest
from example_rows import EXAMPLES
from typer.testing import CliRunner

import viubench
from viubench import cli
from viubench.errors import ViubenchError
from viubench.runner.config import Progress
from viubench.storage import secrets
from viubench.system import tracking
from viubench.system.tracking import Tracker


class Notes:
    """A tracker that notes what it is given; it fails from the call `fails` on."""

    fails: int | None = None
    made: list[Notes] = []  # noqa: RUF012

    def __init__(self, name: str, folder: Path, facts: Mapping[str, Any]) -> None:
        self.name, self.folder, self.facts = name, folder, facts
        self.values: list[tuple[dict[str, float], int]] = []
        self.closed = False
        self.made.append(self)

    def log(self, values: Mapping[str, float], step: int) -> None:
        print("a tracker talks")
        if self.fails is not None and len(self.values) >= self.fails:
            raise RuntimeError("no connection with key sk-tracker-0001")
        self.values.append((dict(values), step))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> type[Notes]:
    monkeypatch.setattr(tracking, "BACKENDS", {"wandb": Notes})
    monkeypatch.setattr(tracking, "find_spec", lambda name: True)
    monkeypatch.setattr(Notes, "made", [])
    monkeypatch.setattr(Notes, "fails", None)
    return Notes


def oracle(out: Path, **options: Any) -> viubench.Run:
    return viubench.evaluate(engine="oracle", tasks="videomme", data_root=EXAMPLES, out=out, track="wandb", **options)


def test_a_run_logs_its_progress_and_its_scores(
    notes: type[Notes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events: list[Progress] = []
    run = oracle(tmp_path / "run", progress=events.append)
    (tracker,) = notes.made
    n = run.results.tasks["videomme"].n
    assert [values["answers/all"] for values, step in tracker.values[:-1]] == list(range(1, n + 1))
    assert tracker.values[-1][1] == n
    assert tracker.values[-1][0]["videomme/accuracy"] == 1.0
    assert tracker.values[-1][0]["videomme/accuracy_high"] == 1.0
    assert tracker.closed
    assert tracker.name == "run"
    assert tracker.facts["tasks"]["videomme"]["protocol_hash"] == run.results.tasks["videomme"].protocol_hash
    assert {event.stage for event in events} >= {"answering"}, "the caller's own progress goes on"
    assert "talks" not in capsys.readouterr().out


def test_a_run_of_a_coroutine_is_tracked_too(notes: type[Notes], tmp_path: Path) -> None:
    options = {"engine": "oracle", "tasks": "videomme", "data_root": EXAMPLES, "out": tmp_path / "run"}
    asyncio.run(viubench.evaluate_async(**options, track="wandb"))
    assert notes.made[0].values[-1][0]["videomme/accuracy"] == 1.0


def test_long_runs_log_a_hundred_points_at_most(notes: type[Notes], tmp_path: Path) -> None:
    report = Tracker.open("wandb", tmp_path, dict).following(None)
    assert report is not None
    for done in range(5001):
        report(Progress("answering", done, 5000, {"ok": done}))
    assert len(notes.made[0].values) == 101


@pytest.mark.parametrize("fails", [0, 3])
def test_a_tracker_that_fails_is_a_warning(
    fails: int, notes: type[Notes], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "fails", fails)
    secrets.hide("sk-tracker-0001")
    with caplog.at_level(logging.WARNING, "viubench"):
        run = oracle(tmp_path / "run")
    assert run.results.tasks["videomme"].value == 1.0
    (line,) = [record.message for record in caplog.records if "tracker" in record.message]
    assert line == "the tracker failed, and the run goes on without it: RuntimeError: no connection with key ***"
    assert len(notes.made[0].values) == fails


def test_one_that_cannot_even_be_imported_is_a_warning(
    notes: type[Notes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ImportError("a library is missing")

    monkeypatch.setattr(tracking, "BACKENDS", {"wandb": broken})
    assert oracle(tmp_path / "run").results.tasks["videomme"].value == 1.0


def test_secrets_stay_here(notes: type[Notes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("sk-tracker-0001", "sk-tracker-0002"):
        secrets.hide(key)
    with Tracker.open("wandb", tmp_path, lambda: {"url": "http://me:pw@host/v1", "key": "sk-tracker-0002"}) as tracker:
        tracker.log({"sk-tracker-0002/accuracy": 0.5, "none": None}, 1)
    assert notes.made[0].facts == {"url": "http://***@host/v1", "key": "***"}
    assert notes.made[0].values == [({"***/accuracy": 0.5}, 1)]
    monkeypatch.setattr(notes, "fails", 0)
    told: list[str] = []
    Tracker.open("wandb", tmp_path, dict, warn=told.append).log({"a": 1.0}, 1)
    assert told == ["the tracker failed, and the run goes on without it: RuntimeError: no connection with key ***"]


def test_a_missing_package_is_told_before_anything_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(ViubenchError, match="wandb is not installed") as error:
        oracle(tmp_path / "run")
    assert error.value.hint == "pip install wandb"
    assert not (tmp_path / "run").exists()


def test_an_unknown_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="no such tracker: 'wandbb'") as error:
        Tracker.open("wandbb", tmp_path, dict)
    assert error.value.hint == "did you mean wandb?"


def test_without_a_tracker_nothing_is_done(tmp_path: Path) -> None:
    tracker = Tracker.open(None, tmp_path, dict)
    tracker.log({"a": 1.0}, 1)
    assert tracker.following(None) is None
    assert not list(tmp_path.iterdir())


def test_the_gate_logs_differences(notes: type[Notes], tmp_path: Path) -> None:
    a, b = (paired_runs.write(tmp_path / name, {"t": paired_runs.rows([1.0, 0.0] * 50)}) for name in "ab")
    done = CliRunner().invoke(cli.app, ["gate", "--baseline", str(a), "--candidate", str(b), "--track", "wandb"])
    (tracker,) = notes.made
    assert (tracker.name, tracker.closed) == ("gate-b", True)
    ((values, step),) = tracker.values
    assert (values["gate/exit_code"], step) == (done.exit_code, 0)
    assert any(re.fullmatch(r".+/difference_low", key) for key in values)


# The trackers themselves


def test_tensorboard_reads_its_files(tmp_path: Path) -> None:
    files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with Tracker.open("tensorboard", tmp_path, dict, called="run") as tracker:
        for step in (100, 200):
            tracker.log({"videomme/accuracy": step / 1000}, step)
    read = files.EventAccumulator(str(tmp_path / "tracking" / "run"))
    read.Reload()
    points = [
        (event.step, read.Tensors("videomme/accuracy")[k]) for k, event in enumerate(read.Tensors("videomme/accuracy"))
    ]
    assert [step for step, _ in points] == [100, 200]
    assert [round(event.tensor_proto.float_val[0], 3) for _, event in points] == [0.1, 0.2]


def test_wandb_writes_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        with Tracker.open("wandb", tmp_path, lambda: {"model": "m"}, called="run") as tracker:
            for step in (200, 100):
                tracker.log({"videomme/accuracy": step / 1000}, step)
        wandb.teardown()
    (run,) = (tmp_path / "tracking" / "wandb").glob("offline-run-*/run-*.wandb")
    written = run.read_bytes()
    assert written.count(b"videomme/accuracy") >= 2
    assert said.getvalue() == ""


def test_trackio_keeps_a_local_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "store"))
    trackio = pytest.importorskip("trackio", reason="trackio is not installed (viubench[track])")
    called = f"run-{tmp_path.name}"
    with Tracker.open("trackio", tmp_path, lambda: {"model": "m"}, called=called) as tracker:
        tracker.log({"videomme/accuracy": 0.5}, 100)
    (run,) = (run for run in trackio.Api().runs("viubench") if run.name == called)
    assert run.config["model"] == "m"
    (line,) = trackio.sqlite_storage.SQLiteStorage.get_logs("viubench", called)
    assert (line["step"], line["videomme/accuracy"]) == (100, 0.5)
