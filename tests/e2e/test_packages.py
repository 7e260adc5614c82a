"""The wheel and the source archive outside a checkout: the quick start is followed with what the wheel holds."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = ROOT / "docs" / "index.md"

EMPTY = "VIUBENCH_EMPTY_ENVIRONMENT"

BUILD = """
import sys
from setuptools import build_meta
folder = sys.argv[1]  # setuptools puts others there
build_meta.build_wheel(folder)
build_meta.build_sdist(folder)
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built from a copy of what git has."""
    folder = tmp_path_factory.mktemp("packages")
    copy = folder / "copy"
    subprocess.run(["git", "clone", "-q", ROOT, copy], check=True)
    subprocess.run(["git", "-C", ROOT, "diff", "HEAD", "--binary", "--output", folder / "diff"], check=True)
    if (folder / "diff").stat().st_size:
        subprocess.run(["git", "-C", copy, "apply", folder / "diff"], check=True)
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=copy, check=True, capture_output=True)
    return folder


def test_the_wheel_works_by_itself(packages: Path, tmp_path: Path) -> None:
    (wheel,) = packages.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path / "installed")  # noqa: S202
        (about,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        facts = message_from_bytes(files.read(about))
    assert facts["License-Expression"] == "Apache-2.0"
    assert "torch" not in " ".join(line for line in facts.get_all("Requires-Dist") or [] if "extra ==" not in line)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed"), "PYTHONSAFEPATH": "1"}

    lines = [line for block in re.findall(r"```bash\n(.*?)```", START.read_text(), re.S) for line in block.splitlines()]
    for line in ["viubench tasks list", "viubench protocols list", *lines]:
        command = [sys.executable, "-m", *shlex.split(line)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    assert len(lines) == 6
    scores = [score(tmp_path / "runs" / name) for name in ("random", "blind", "oracle")]
    assert scores[0] < scores[2] == 1
    assert (tmp_path / "leaderboard.html").stat().st_size > 10_000


@pytest.mark.skipif(not os.environ.get(EMPTY), reason=f"takes every library from the package index: {EMPTY} is not set")
@pytest.mark.parametrize("package", ["*.whl", "*.tar.gz"])
def test_the_quick_start_in_an_empty_environment(packages: Path, tmp_path: Path, package: str) -> None:
    """Every line of the section as it stands, but that the package is the one made here."""
    (made,) = packages.glob(package)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    known = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment = known | {"PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path / "home")}
    section = START.read_text().partition("## Quick start")[2].partition("\n## ")[0]
    lines = [line for block in re.findall(r"```\w+\n(.*?)```", section, re.S) for line in block.splitlines()]
    assert lines[0] == "pip install viubench"
    for line in [f"pip install {made}", *lines[1:]]:
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)  # noqa: S602
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    assert (tmp_path / "leaderboard.html").stat().st_size > 10_000
    assert score(tmp_path / "runs" / "oracle") == 1


def score(run: Path) -> float:
    tasks = json.loads((run / "results.json").read_bytes())["tasks"].values()
    return sum(task["value"] for task in tasks) / len(tasks)


def test_the_source_archive_holds_what_git_has(packages: Path) -> None:
    (archive,) = packages.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        held = {name.partition("/")[2] for name in files.getnames()}
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True, capture_output=True, text=True).stdout
    packaged = ("viubench/", "evaluators/", "reports/", "trainer/", "task_yamls/")
    wanted = {name for name in listed.splitlines() if name.startswith(packaged) and (ROOT / name).exists()}
    assert not wanted - held
    assert {"LICENSE", "README.md", "pyproject.toml"} <= held
