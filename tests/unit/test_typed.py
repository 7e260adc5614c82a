"""What is typed reaches the commands as it was meant, or is refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.main import get_command

from viubench.cli import app, main
from viubench.cli.typed import typed
from viubench.errors import ViubenchError
from viubench.storage import environment

RUN = ["run", "--engine", "random", "--tasks", "q.csv"]


def given(*words: str) -> list[str]:
    return typed(get_command(app), [*RUN, *words])[len(RUN) :]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_home_is_found_where_the_shell_does_not_look(home: Path) -> None:
    assert given("--out=~/runs/a", "--videos", "~/clips") == [f"--out={home}/runs/a", "--videos", f"{home}/clips"]
    assert given("--out=a~/b", "--name", "~x") == ["--out=a~/b", "--name", "~x"]
    words = ["gate", "check", "--baseline=~/a", "--", "--out=~/b"]
    assert typed(get_command(app), words) == ["gate", "check", f"--baseline={home}/a", "--", "--out=~/b"]


@pytest.mark.parametrize("words", [["--out", ""], ["--out="], ["--model", " "], ["--base-url="]])
def test_a_variable_that_is_not_set_is_no_value(words: list[str]) -> None:
    with pytest.raises(ViubenchError, match="no value") as refused:
        given(*words)
    assert refused.value.where == words[0].removesuffix("=")
    assert given("--system", "") == ["--system", ""]


def test_of_two_values_none_is_dropped_in_silence() -> None:
    with pytest.raises(ViubenchError, match="given twice: 2 and 1") as refused:
        given("--limit", "2", "--limit=1")
    assert refused.value.where == "--limit"
    with pytest.raises(ViubenchError, match="given twice"):
        given("--task", "other.csv")  # --tasks by its other name
    several = ["--limit", "2", "--limit", "2", "--set", "a=1", "--set", "b=2", "--fresh", "--fresh", "--quiet"]
    assert given(*several) == several


def test_what_no_option_is_stays_for_the_command() -> None:
    for words in (["--nope", "x"], ["a", "-b"], ["--limit"], ["--limit", "many"]):
        assert given(*words) == words


def test_a_variable_that_is_not_read_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIUBENCH_CAHCE_GB", "3")
    monkeypatch.setenv("VIUBENCH_STEP", "3")  # a watch sets it
    monkeypatch.setattr("sys.argv", ["viubench", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == ("warning: VIUBENCH_CAHCE_GB is not read; did you mean VIUBENCH_CACHE_GB?\n")


@pytest.mark.parametrize(
    ("value", "is_on"), [("", False), ("0", False), ("False", False), ("no", False), ("1", True), ("TRUE ", True)]
)
def test_switches_are_on_or_off(monkeypatch: pytest.MonkeyPatch, value: str, is_on: bool) -> None:
    monkeypatch.setenv(environment.FOLLOW_LINKS, value)
    environment.check()
    assert environment.on(environment.FOLLOW_LINKS) is is_on


def test_a_switch_that_is_neither_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(environment.FOLLOW_LINKS, "maybe")
    monkeypatch.setattr("sys.argv", ["viubench", "--version"])
    with pytest.raises(SystemExit) as ended:
        main(typer.Typer())
    assert ended.value.code == 2
    assert "VIUBENCH_FOLLOW_LINKS is 'maybe', neither 1 nor 0" in capsys.readouterr().err


def test_folders_of_the_environment_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv(environment.CACHE, " ~/cache ")
    assert environment.folder(environment.CACHE) == home / "cache"
    monkeypatch.setenv(environment.CACHE, " ")
    assert environment.folder(environment.CACHE) is None
