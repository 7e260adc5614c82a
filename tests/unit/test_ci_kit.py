"""The composite action and the example workflow: read, held to what is safe, and carried out by bash."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from composite_action import EXPRESSION, Composite, filled
from junit_schema import outcomes, valid
from paired_runs import rows, write
from test_docs import options
from typer.testing import CliRunner

from viubench.cli import app
from viubench.storage import reference_run

ROOT = Path(__file__).parents[2]
ACTION = Composite(ROOT / ".github" / "actions" / "gate")
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/example-gate.yml").read_text())
TRIGGERS = WORKFLOW[True]
"""YAML 1.1 takes the key `on` for the truth value."""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A checkout with a committed baseline, and two runs: the same again, and worse."""
    good = {"t": rows([1.0] * 100), "u": rows([1.0] * 100)}
    reference_run.save(write(tmp_path / "run", good), "main", tmp_path / "baselines")
    write(tmp_path / "worse", {"t": rows([0.0] * 30 + [1.0] * 70), "u": rows([1.0] * 100)})
    return tmp_path


def test_a_pass_and_a_regression(work: Path) -> None:
    given = {"baseline": "main", "package": "none"}
    done = ACTION.run(given | {"candidate": "run"}, work)
    assert (done.code, done.outputs["verdict"], done.outputs["exit-code"]) == (0, "pass", "0"), done.output
    assert done.steps == ["Install viubench", "Gate the candidate"]
    assert done.summary.startswith("### viubench gate: pass\n")
    assert "::error" not in done.output
    done = ACTION.run(given | {"candidate": "worse"}, work)
    assert (done.code, done.outputs["verdict"], done.outputs["exit-code"]) == (1, "regress", "1"), done.output
    assert "\n::error title=viubench gate%3A t::regress, a loss of 30.0 points" in done.output
    assert "### viubench gate: regress\n" in done.summary
    folder = Path(done.outputs["folder"])
    assert {path.name for path in folder.iterdir()} == {"gate.json", "gate.md", "junit.xml"}
    assert outcomes(valid((folder / "junit.xml").read_bytes())) == {"t": "failure", "u": "passed"}


def test_a_report_only_by_a_configuration_of_its_own(work: Path) -> None:
    (work / "gate.yaml").write_text("margins: {u: 0.5}\n")
    given = {"baseline": "main", "package": "none", "candidate": "worse", "report-only": "true", "config": "gate.yaml"}
    done = ACTION.run(given, work)
    assert (done.code, done.outputs["verdict"], done.outputs["exit-code"]) == (0, "regress", "0"), done.output
    assert "\n::warning title=viubench gate%3A t::regress" in done.output
    told = json.loads((Path(done.outputs["folder"]) / "gate.json").read_text())
    assert (told["config"]["report_only"], told["tasks"]["u"]["margin"]) == (True, 0.5)


@pytest.mark.parametrize("text", ["$(touch pwned)\n`touch pwned`\n'; touch pwned; '\n* ~ $HOME", "--help"])
def test_an_input_is_never_read_as_a_script_or_an_option(work: Path, text: str) -> None:
    given = dict.fromkeys(("baseline", "candidate", "config"), text) | {"package": "none", "report-only": text}
    done = ACTION.run(given, work)
    assert (done.code, done.outputs["verdict"], done.outputs["exit-code"]) == (2, "", "2"), done.output
    assert not (work / "pwned").exists()
    assert "Usage:" not in done.output
    assert not [line for line in done.output.splitlines() if line.startswith("::")]


def test_it_is_installed_from_its_own_revision_or_as_asked(work: Path) -> None:
    """With a python3 in the way that only writes down what it was asked to install."""
    fake = work / "bin"
    fake.mkdir()
    (fake / "python3").write_text(
        '#!/bin/bash\nmkdir -p "$4/bin"\nprintf \'#!/bin/bash\\nprintf "<%%s>" "$@"\\n\' > "$4/bin/pip"\n'
        'chmod +x "$4/bin/pip"\necho "$*"\n'
    )
    (fake / "python3").chmod(0o755)
    for package, asked in (("", ROOT), ("viubench[hf]==0.1.0", "viubench[hf]==0.1.0"), ("-r x", "-r x")):
        done = ACTION.run(
            {"baseline": "main", "candidate": "run", "package": package}, work, PATH=f"{fake}:/usr/bin:/bin"
        )
        assert "-I -m venv" in done.output
        (installed,) = re.findall(r"<install><--quiet><--><(.*?)>", done.output)
        assert Path(installed).resolve() == asked if package == "" else installed == asked
        assert done.code == 127, "there is no viubench in it"


def test_the_example_runs_the_candidate_and_gates_it(work: Path, clips: Path) -> None:
    """The example's own job, with the engine that knows the answers in place of a server."""
    items = work / "items"
    recipe = work / "recipe.yaml"
    recipe.write_text("recipe: tiny\nsampling: {kind: even, frames: 48, middle: 0.9}\nitems:\n"
                      "  - {task: viubench_ground_mirror, n: 8}\n")  # fmt: skip
    for command in (
        ("build", "--recipe", recipe, "--videos", clips, "--out", items, "--quiet"),
        ("run", "--engine", "oracle", "--tasks", items, "--out", work / "base", "--quiet"),
        ("baseline", "save", work / "base", "--name", "oracle", "--dir", work / "baselines"),
    ):
        assert CliRunner().invoke(app, [str(word) for word in command]).exit_code == 0
    (step,) = [step for step in steps() if step.get("id") == "gate"]
    asked = {"model": "m", "server": "http://gpu:8000/v1", "tasks": "items", "videos": str(clips),
             "baseline": "oracle", "report-only": "false"}  # fmt: skip
    given = {key: filled(value, {f"inputs.{k}": v for k, v in asked.items()}) for key, value in step["with"].items()}
    words = given["run-options"].split("\n")
    assert words[:2] == ["--engine=server", "--base-url=http://gpu:8000/v1"]
    assert given["model"] == "m"
    given |= {"run-options": "\n".join(["--engine=oracle", *words[2:]]), "model": "", "package": "none"}
    done = ACTION.run(given, work)
    assert (done.code, done.outputs["verdict"]) == (0, "pass"), done.output
    assert done.steps == ["Install viubench", "Run the candidate", "Gate the candidate"]
    assert "every answer is the same" in done.summary


# --- what is read of them -----------------------------------------------------------------------------------------


def steps() -> list[dict[str, Any]]:
    return [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def texts(value: Any) -> Iterator[str]:
    """Every string in it."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


def test_no_script_holds_an_expression_and_no_step_is_another_partys() -> None:
    for step in ACTION.data["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert "uses" not in step
        assert "${{" not in step["run"]
        assert not re.search(r"\beval\b|\bcurl\b|\bwget\b", step["run"])
    assert not [step for step in steps() if "run" in step]


def test_every_input_is_used_and_every_used_input_is_declared() -> None:
    used = {found for text in texts(ACTION.data["runs"]) for found in re.findall(r"inputs\.([\w-]+)", text)}
    assert used == set(ACTION.data["inputs"])
    assert all(about["description"] for about in (*ACTION.data["inputs"].values(), *ACTION.data["outputs"].values()))
    asked = {found for text in texts(WORKFLOW["jobs"]) for found in re.findall(r"inputs\.([\w-]+)", text)}
    assert asked == set(TRIGGERS["workflow_dispatch"]["inputs"])


def test_the_example_asks_for_little_and_pins_what_it_uses() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job or "secrets" in str(job) for job in WORKFLOW["jobs"].values())
    assert set(TRIGGERS) == {"workflow_dispatch"}
    source = (ROOT / ".github/workflows/example-gate.yml").read_text()
    for step in steps():
        if step["uses"].startswith("./"):
            assert (ROOT / step["uses"] / "action.yml").exists()
            assert step["with"].keys() <= ACTION.data["inputs"].keys()
        else:
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
            assert re.search(re.escape(step["uses"]) + r" # v\d+\.\d+\.\d+\n", source), "the version is for people"
        if "actions/checkout" in step["uses"]:
            assert step["with"]["persist-credentials"] is False


def test_the_options_in_them_are_the_commands_own() -> None:
    scripts = "\n".join(step["run"] for step in ACTION.data["runs"]["steps"])
    gate, run = scripts.split("mktemp")[1], scripts.split("mktemp")[0].split("options=(--quiet)")[1]
    assert set(re.findall(r"(--[a-z][a-z-]*)", gate)) <= options(["gate"])
    (step,) = [step for step in steps() if step.get("id") == "gate"]
    words = [*re.findall(r"(--[a-z][a-z-]*)", run), *re.findall(r"(--[a-z-]+)=", step["with"]["run-options"])]
    assert set(words) <= options(["run"])
    assert {"--tasks", "--out", "--model", "--engine", "--base-url"} <= set(words)


def test_the_expressions_are_those_the_runner_of_these_tests_knows() -> None:
    for text in texts(ACTION.data):
        for found in EXPRESSION.findall(text):
            assert re.fullmatch(r"inputs\.[\w-]+|steps\.[\w-]+\.outputs\.[\w-]+", found)
