"""A composite action carried out by bash, with the environment that GitHub gives its steps; no service is asked.

Example:
    done = Composite(ROOT / ".github/actions/gate").run({"baseline": "main", "candidate": "runs/b"}, folder)
    done.code, done.outputs["verdict"]

Of the expression language it knows what the action uses: `inputs.a`, `steps.b.outputs.c` and `inputs.a != ''`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EXPRESSION = re.compile(r"\$\{\{ (.+?) \}\}")
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""What `shell: bash` stands for."""


@dataclass(frozen=True)
class Done:
    """How it ended: the exit code of the step that failed or 0, everything printed, and the steps that ran."""

    code: int
    output: str
    outputs: Mapping[str, str]
    summary: str
    steps: list[str]


def filled(text: str, known: Mapping[str, str]) -> str:
    """`text` with its expressions replaced; an unknown name is a KeyError, as a slip of the pen deserves."""
    return EXPRESSION.sub(lambda found: known[found[1]], str(text))


class Composite:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data: dict[str, Any] = yaml.safe_load((folder / "action.yml").read_text())

    def run(self, given: Mapping[str, str], work: Path, **env: str) -> Done:
        """All steps in folder `work`, until one fails.

        Args:
            given: the caller's `with`.
            env: more environment, for example another PATH.
        """
        assert given.keys() <= self.data["inputs"].keys()
        known: dict[str, str] = {}
        for name, about in self.data["inputs"].items():
            assert name in given or not about.get("required"), name
            known[f"inputs.{name}"] = given.get(name, about.get("default", ""))
        for step in self.data["runs"]["steps"]:  # a step that did not run has empty outputs
            for output in ("viubench", "verdict", "exit-code", "folder"):
                known.setdefault(f"steps.{step.get('id')}.outputs.{output}", "")
        temp = work / "_temp"
        temp.mkdir(exist_ok=True)
        base = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "RUNNER_"))}
        base["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{base['PATH']}"
        base |= {
            "GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(temp), "GITHUB_WORKSPACE": str(work),
            "GITHUB_ACTION_PATH": str(self.folder), "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
        } | env  # fmt: skip
        code, printed, ran = 0, "", []
        for step in self.data["runs"]["steps"]:
            if "if" in step and not holds(step["if"], known):
                continue
            ran.append(step["name"])
            code, output, found = _step(step, known, base, work, temp)
            known |= {f"steps.{step.get('id')}.outputs.{key}": value for key, value in found.items()}
            printed += output
            if code:
                break
        outputs = {name: filled(about["value"], known) for name, about in self.data["outputs"].items()}
        summary = temp / "summary.md"
        return Done(code, printed, outputs, summary.read_text() if summary.exists() else "", ran)


def holds(condition: str, known: Mapping[str, str]) -> bool:
    """The only kind of condition there is: an input that was given."""
    found = re.fullmatch(r"(inputs\.[\w-]+) != ''", condition)
    assert found, condition
    return known[found[1]] != ""


def _step(
    step: Mapping[str, Any], known: Mapping[str, str], base: Mapping[str, str], work: Path, temp: Path
) -> tuple[int, str, dict[str, str]]:
    """Exit code, what was printed, and the outputs of one step."""
    assert step["shell"] == "bash"
    script, outputs = temp / "step.sh", temp / "outputs"
    script.write_text(step["run"])
    outputs.write_text("")
    env = {**base, "GITHUB_OUTPUT": str(outputs)} | {k: filled(v, known) for k, v in step.get("env", {}).items()}
    done = subprocess.run(
        [*BASH, str(script)],
        cwd=work,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    found = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    return done.returncode, done.stdout, found
