"""`viubench rerun`: a run is done again as its manifest says, and every difference is listed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fake_server import Body, Reply, Serve, completion
from hypothesis import given
from hypothesis import strategies as st
from test_run_folder_faults import run, write_rows
from test_server_faults import TASK
from typer.testing import CliRunner

import viubench
from viubench.cli import app
from viubench.comparison.pair import Side
from viubench.comparison.reruns import changes, report
from viubench.engines.baselines import OracleEngine
from viubench.errors import ViubenchError
from viubench.runner import command
from viubench.runner.config import EvalConfig
from viubench.schema.rerun import RerunReport
from viubench.video import synthetic


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A task of six questions, for engines that open no video."""
    (tmp_path / "colours.yaml").write_text(TASK)
    (tmp_path / "data" / "colours").mkdir(parents=True)
    write_rows(tmp_path, "Which is {}?")
    return tmp_path


def rerun(folder: Path, *options: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["rerun", str(folder), "--quiet", *map(str, options)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def differences(folder: Path, *options: object) -> tuple[int, RerunReport]:
    code, _ = rerun(folder, "--json", folder.parent / "rerun.json", *options)
    return code, RerunReport.model_validate_json((folder.parent / "rerun.json").read_bytes())


def edit(path: Path, key: str, **values: Any) -> None:
    whole = json.loads(path.read_bytes())
    whole[key] |= values
    path.write_text(json.dumps(whole))


def test_a_run_and_its_rerun_are_equal(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any folder, though its paths are relative; also one that a rerun made, and one from Python."""
    monkeypatch.chdir(data)
    words = ["run", "--tasks", "colours.yaml", "--data-root", "data", "--engine", "random", "--seed", "3"]
    words += ["--quiet", "--out", "runs/a"]
    monkeypatch.setattr(sys, "argv", ["viubench", *words])
    assert CliRunner().invoke(app, words).exit_code == 0
    viubench.evaluate(tasks="colours.yaml", data_root="data", engine="random", seed=3, out="runs/b", limit=4)
    monkeypatch.chdir("/")
    for name, answers in (("a", 6), ("a-rerun", 6), ("b", 4)):
        code, found = differences(data / "runs" / name)
        assert (code, found.equal, found.answers) == (0, True, answers)
        assert (found.settings, found.changed, found.scores) == ([], [], [])
        assert (data / "runs" / f"{name}-rerun" / "results.json").exists()
    assert rerun(data / "runs" / "a")[0] == 0  # into a folder of its own, not compared with what is there
    assert (data / "runs" / "a-rerun-2" / "results.json").exists()


def test_what_could_not_be_the_same_is_told(data: Path) -> None:
    run(data)
    edit(data / "run" / "manifest.json", "packages", numpy="1.0", decord="0.1")
    edit(data / "run" / "manifest.json", "hardware", python="3.9.0")
    code, found = differences(data / "run")
    assert code == 0
    told = {change.path: change.before for change in found.settings}
    assert told["hardware.python"] == "3.9.0"
    assert told["packages.numpy"] == "1.0"


def test_another_question_is_another_sample(data: Path) -> None:
    run(data, engine="blind")
    rows = (data / "data" / "colours" / "test.jsonl").read_text().splitlines()
    rows[2] = rows[2].replace('"answer": "red"', '"answer": "blue"')
    (data / "data" / "colours" / "test.jsonl").write_text("\n".join(rows))
    code, found = differences(data / "run")
    assert (code, found.equal) == (1, False)
    assert [[change.path for change in one.changes] for one in found.changed] == [[""], [""]]  # one is gone, one is new
    assert {"tasks.colours.samples_hash", "tasks.colours.items_hash"} <= {change.path for change in found.settings}
    assert {"tasks.colours.value"} <= {change.path for change in found.scores}
    text = rerun(data / "run", "--show", 1)[1]
    assert "not equal" in text
    assert "tasks.colours.value" in text


@pytest.fixture
def filmed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., viubench.Run]:
    """Draws the task's video from a seed, and answers two questions about it by a server; no frame is kept."""
    number = count()

    def go(url: str, seed: int, **more: Any) -> viubench.Run:
        monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / f"cache-{next(number)}"))
        synthetic.draw(tmp_path / str(seed), 1, seed=seed, seconds=1.0, size=(96, 64))
        os.replace(next((tmp_path / str(seed)).iterdir()), data / "data" / "colours" / "k.mp4")
        given = {"frames": 2, "max_pixels": 4096, "filmstrips": 0, "limit": 2, "workers": 1} | more
        return run(data, engine="server", base_url=url, **given)

    return go


def test_other_frames_and_answers_are_told(
    data: Path, serve: Serve, filmed: Callable[..., viubench.Run], tmp_path: Path
) -> None:
    said = "(A)"

    def answer(path: str, body: Body) -> Reply:
        return 200, {}, completion(body, said)

    url = serve(answer).url
    filmed(url, 1)
    assert differences(data / "run")[1].equal
    said = "(B)"
    filmed(url, 2, out=tmp_path / "other")
    code, found = differences(data / "run")
    assert code == 1
    assert len(found.changed) == 2
    assert {"frames.hash", "response", "answer", "scores.accuracy"} <= {c.path for c in found.changed[0].changes}


def test_frames_and_answers_are_the_same_on_one_decoder_and_many(
    serve: Serve, filmed: Callable[..., viubench.Run], tmp_path: Path
) -> None:
    url = serve(lambda path, body: (200, {}, completion(body, "(A)"))).url
    sides = [Side.read(filmed(url, 1, workers=n, out=tmp_path / f"run-{n}").path) for n in (1, 3)]
    assert [record.frames is not None for side in sides for record in side.records["colours"].values()] == [True] * 4
    assert report(*sides).changed == []


def test_what_cannot_be_done_again_is_refused(data: Path) -> None:
    run(data)
    with pytest.raises(ViubenchError, match="holds a finished run"):
        rerun(data / "run", "--out", data / "run")
    edit_argv(data / "run", ["viubench", "watch"])
    with pytest.raises(ViubenchError, match="made by viubench watch"):
        rerun(data / "run")
    edit_argv(data / "run", ["viubench", "run", "--tasks", "t", "--out", "o", "--base-url", "http://***@host/v1"])
    with pytest.raises(ViubenchError, match="does not hold the secret") as caught:
        rerun(data / "run")
    assert "--base-url" in str(caught.value.hint)
    run(data, engine=OracleEngine(), out=data / "object")
    with pytest.raises(ViubenchError, match="from Python"):
        rerun(data / "object")
    (data / "run" / "results.json").unlink()
    with pytest.raises(ViubenchError, match="not finished"):
        rerun(data / "run")


def edit_argv(folder: Path, argv: list[str]) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"argv": argv}))


def test_a_configuration_is_typed_as_the_command_that_reads_it_back() -> None:
    config = EvalConfig(
        "m", ["a", "b"], base_url=["http://h/1", "http://h/2"], frames=4, temperature=0.5, resume=False,
        set={"decoding.min_p": 0.1}, engine_args={"dtype": "float32", "max_in_flight": 8}, out=Path("o"),
    )  # fmt: skip
    assert command.typed(config)[2:] == [
        "--model", "m", "--tasks", "a,b", "--base-url", "http://h/1", "--base-url", "http://h/2", "--frames", "4",
        "--temperature", "0.5", "--set", "decoding.min_p=0.1", "--out", "o", "--fresh", "--engine-arg", "dtype=float32",
        "--engine-arg", "max_in_flight=8",
    ]  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_values_differ_where_a_change_is_listed(before: Any, after: Any) -> None:
    assert list(changes(before, before)) == []
    found = list(changes(before, after))
    assert all(change.before != change.after for change in found)
    if not isinstance(before, dict) or not isinstance(after, dict):
        assert bool(found) == (before != after)
