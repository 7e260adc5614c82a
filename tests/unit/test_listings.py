"""Help with examples, and lists as JSON."""

from __future__ import annotations

import json
import shlex

import pytest
import typer.main
from typer.testing import CliRunner

from tests.unit.test_docs import options
from viubench import engines
from viubench.cli import app
from viubench.cli.examples import EXAMPLES
from viubench.engines.base import Engine


def test_every_command_has_an_example_that_its_options_allow() -> None:
    commands = {name: one for name, one in typer.main.get_command(app).commands.items() if not one.hidden}  # type: ignore[attr-defined]
    assert commands.keys() == EXAMPLES.keys()
    for name, example in EXAMPLES.items():
        words = shlex.split(example)[1:]
        assert words[0] == name
        assert {word for word in words if word.startswith("--")} <= options(words) | {"--help"}
        assert example in CliRunner().invoke(app, [name, "--help"]).output


@pytest.mark.parametrize("words", ["tasks list", "protocols list", "engines list", "engines show server", "doctor"])
def test_lists_are_to_be_had_as_json(words: str) -> None:
    done = CliRunner().invoke(app, [*words.split(), "--json"])
    assert json.loads(done.output)


def test_engines_are_listed_with_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines.load("hf"), "library", "no_such_library")
    found = {row["engine"]: row for row in json.loads(CliRunner().invoke(app, ["engines", "list", "--json"]).output)}
    assert found["oracle"]["usable"] == "yes"
    assert found["hf"]["usable"] == "no_such_library is not installed"
    assert "transport" in CliRunner().invoke(app, ["engines", "show", "server"]).output
    assert "takes no arguments" in CliRunner().invoke(app, ["engines", "show", "random"]).output
    assert "did you mean vllm?" in str(CliRunner().invoke(app, ["engines", "show", "vlm"]).exception.hint)  # type: ignore[union-attr]


def test_a_library_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(cls: type[Engine]) -> dict[str, type]:
        raise ImportError("no module named vllm")

    monkeypatch.setattr(engines.load("vllm"), "arguments", classmethod(away))
    assert "cannot be imported" in str(CliRunner().invoke(app, ["engines", "show", "vllm"]).exception)
