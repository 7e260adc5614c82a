"""The wheel and the source archive, used outside a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

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

    def viubench(*words: str) -> str:
        command = [sys.executable, "-m", "viubench", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "viubench_ground" in viubench("tasks", "list")
    assert "qwen3-vl" in viubench("protocols", "list")
    viubench("clips", "--out", "clips", "--n", "3", "--seconds", "4", "--size", "64x64", "--fps", "4", "--quiet")
    viubench("build", "--recipe", "tiny", "--n", "3", "--videos", "clips", "--out", "items", "--quiet")
    viubench("run", "--engine", "oracle", "--tasks", "items", "--out", "run", "--quiet")
    viubench("report", "run", "--out", "page.html")
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_the_source_archive_holds_what_git_has(packages: Path) -> None:
    (archive,) = packages.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        held = {name.partition("/")[2] for name in files.getnames()}
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True, capture_output=True, text=True).stdout
    packaged = ("viubench/", "evaluators/", "reports/", "trainer/", "task_yamls/")
    wanted = {name for name in listed.splitlines() if name.startswith(packaged) and (ROOT / name).exists()}
    assert not wanted - held
    assert {"LICENSE", "README.md", "pyproject.toml"} <= held
