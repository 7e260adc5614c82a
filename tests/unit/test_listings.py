"""Help with examples, and lists as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from tests.unit.test_docs import options
from viubench import engines
from viubench.cli import app
from viubench.cli.examples import EXAMPLES
from viubench.engines.base import Engine


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command and group of commands, as the words that call it."""
    for name, one in group.commands.items():
        if not one.hidden:
            yield " ".join((*words, name))
            if hasattr(one, "commands"):
                yield from commands(one, (*words, name))


def test_every_command_has_an_example_that_its_options_allow() -> None:
    assert set(commands(typer.main.get_command(app))) == EXAMPLES.keys()
    for name, example in EXAMPLES.items():
        words = shlex.split(example)[1:]
        assert words[: len(name.split())] == name.split()
        assert {word for word in words if word.startswith("--")} <= options(words) | {"--help"}
        assert example in CliRunner().invoke(app, [*name.split(), "--help"]).output


def test_every_option_is_explained() -> None:
    for name in EXAMPLES:
        command = typer.main.get_command(app)
        for word in name.split():
            command = command.commands[word]  # type: ignore[attr-defined]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert getattr(parameter, "help", ""), f"viubench {name} {parameter.opts}"


@pytest.mark.parametrize(
    "words", ["tasks list", "protocols list", "engines list", "engines show server", "doctor", "tiny --list"]
)
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
