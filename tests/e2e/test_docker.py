"""The steps of the Dockerfiles, without Docker: what is copied is enough to build, install and start the package."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {kind: ROOT / "docs" / "docker" / f"{kind}.Dockerfile" for kind in ("cpu", "gpu")}
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def steps(kind: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with what follows them."""
    lines = [line for line in FILES[kind].read_text().splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def of(kind: str, word: str) -> list[str]:
    return [rest for one, rest in steps(kind) if one == word]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the images copy."""
    assert of("cpu", "COPY") == of("gpu", "COPY")
    folder = tmp_path_factory.mktemp("image")
    for line in of("cpu", "COPY"):
        *sources, target = line.split()
        for source in sources:
            place = folder / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)
    return folder


def test_what_is_copied_is_the_package(copied: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=copied, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path / "installed")
    assert of("cpu", "ENTRYPOINT") == of("gpu", "ENTRYPOINT") == ['["viubench"]']
    started = [sys.executable, "-m", "viubench", "--help"]
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(started, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "Usage: " in done.stdout, done.stderr


def test_the_script_of_the_cpu_image_installs_for_a_cpu(copied: Path) -> None:
    (step,) = [run for run in of("cpu", "RUN") if "install.py" in run]
    words = [sys.executable, *shlex.split(step)[1:], "--print"]
    environment = {"PATH": "/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, cwd=copied, env=environment, capture_output=True, text=True)
    assert (done.returncode, "would   create /opt/venv" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize("kind", FILES)
def test_an_image_is_pinned_small_and_runs_as_a_user(kind: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (base,) = of(kind, "FROM")
    version = re.fullmatch(r"python:(3\.\d+)-slim-\w+", base)
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in project["classifiers"]
    words = [word for word, _ in steps(kind)]
    assert of(kind, "USER") == ["viubench"]
    assert "RUN" not in words[words.index("USER") :]
    for extra in re.findall(r"\.\[(\w+)\]", "".join(of(kind, "RUN"))):
        assert extra in project["optional-dependencies"]
    assert any("--no-cache-dir" in run or "install.py" in run for run in of(kind, "RUN"))
