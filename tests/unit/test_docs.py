"""The documents against the real command line: every command, option, target and file they name exists."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer.main

from tests.bench.__main__ import app as bench
from viubench.cli import app
from viubench.cli.examples import EXAMPLES
from viubench.tasks.registry import Catalogue

ROOT = Path(__file__).parents[2]
generated = SimpleNamespace(**runpy.run_path(str(ROOT / "docs/site/generated.py")))
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")),
)
PROGRAMS = {"viubench ": typer.main.get_command(app), "python -m tests.bench ": typer.main.get_command(bench)}


def commands(text: str, program: str = "viubench ") -> list[list[str]]:
    """Every command of `program` in a code block, after a prompt or in backticks, split into words."""
    blocks = [line for block in re.findall(r"```(?:bash|sh)\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    shown = re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    quoted = re.findall(r"`([^`\n]+)`", text)
    found = [line.removeprefix(program) for line in (*blocks, *shown, *quoted) if line.startswith(program)]
    return [shlex.split(line, comments=True) for line in found]


def options(words: list[str], program: str = "viubench ") -> set[str]:
    """The long options a command takes; fails when there is no such command."""
    command = PROGRAMS[program]
    for word in words:
        if not hasattr(command, "commands") or word.startswith("-"):
            break
        assert word in command.commands, f"no command {word!r} in: {program}{' '.join(words)}"
        command = command.commands[word]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_and_option_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    found = [(program, words) for program in PROGRAMS for words in commands(text, program)]
    for program, words in found:
        known = options(words, program) | {"--help"}
        for word in words:
            if word.startswith("--"):
                assert word in known, f"no option {word} in: {program}{' '.join(words)}"
    assert found or name in ("CHANGELOG.md", "docs/python.md", "docs/docker.md")


def test_every_option_named_alone_belongs_to_run() -> None:
    known = options(["run"]) | options(["build"]) | options(["score"])
    for option in re.findall(r"`(--[a-z-]+)", (ROOT / "README.md").read_text()):
        assert option in known, option


def test_every_make_target_and_linked_file_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in DOCUMENTS:
        text = (ROOT / name).read_text()
        for words in re.findall(r"(?:^|`)make ([a-z -]+)", text, re.MULTILINE):
            assert set(words.split()) <= targets, words
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((ROOT / name).parent / link).exists() or link in generated.PAGES, link


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert sorted(listed) == sorted(pages | set(generated.PAGES))


def test_written_pages_hold_what_they_are_written_from() -> None:
    pages = {name: page() for name, page in generated.PAGES.items()}
    for words, command in generated.walk(PROGRAMS["viubench "], ["viubench"]):
        assert f"## {' '.join(words)}\n" in pages["reference/commands.md"]
        assert f"```sh\n{EXAMPLES[' '.join(words[1:])]}\n```" in pages["reference/commands.md"]
        options = {f"`{name}`" for one in command.params for name in one.opts if name.startswith("--")} - {"`--help`"}
        assert all(option in pages["reference/commands.md"] for option in options)
    catalogue = Catalogue()
    told = re.findall(r"^### (\w+)$", pages["reference/benchmarks.md"], re.M)
    assert len(told) == len(set(told))
    assert set(told) == {task for suite in catalogue.suites.values() for task in suite.tasks}
    assert "| `finish_reason` |" in pages["reference/run-folder.md"]
    assert "::: viubench.api.evaluate.evaluate\n" in pages["reference/api.md"]


def test_the_catalogue_holds_what_the_readme_says() -> None:
    catalogue = Catalogue()
    assert len(catalogue.suites["viubench"].tasks) == 9
    assert {"viubench", "viubench-mini"} <= set(catalogue.suites)
    for suite, benchmarks in re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs/downstream.md").read_text(), re.M):
        named = len(benchmarks.replace("(three formats)", "").split(", "))
        whole = catalogue.suites[suite]
        assert suite in ("downstream", "paper17") or named == len(whole.groups or whole.tasks), suite
    assert (len(catalogue.suites["downstream"].groups), len(catalogue.suites["paper17"].groups)) == (17, 17)
