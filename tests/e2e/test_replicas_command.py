"""Ray through the command line: a killed actor, and a build. Replicas of vLLM are in `test_downstream`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from viubench.storage.run_dir import read_manifest, read_records, read_results

pytestmark = pytest.mark.engine

LIMIT_S = 400


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A frame cache of our own, and a short folder for Ray's sockets."""
    folder = tempfile.mkdtemp(prefix="ray-")
    yield os.environ | {"VIUBENCH_CACHE": str(tmp_path_factory.mktemp("cache")), "RAY_TMPDIR": folder}
    shutil.rmtree(folder, ignore_errors=True)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "viubench", *map(str, words), "--quiet"]


def viubench(environment: dict[str, str], *words: object) -> None:
    done = subprocess.run(command(*words), capture_output=True, text=True, env=environment, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def items(clips: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("items") / "mini"
    viubench(environment, "build", "--recipe", "viubench-mini", "--n", 1, "--videos", clips, "--out", out)
    return out


def test_a_ray_actor_killed_in_mid_run_costs_nothing(
    tiny_model: Path, items: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    words = command(
        "run", "--engine", "ray:hf", "--model", tiny_model, "--tasks", items, "--out", tmp_path / "r", "--replicas", 2,
        "--engine-arg", "address=local", "--engine-arg", "device=cpu", "--max-pixels", 16384,
    )  # fmt: skip
    records, killed = tmp_path / "r" / "records.jsonl", 0
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment) as run:
        deadline = time.monotonic() + LIMIT_S
        while run.poll() is None and not killed and time.monotonic() < deadline:
            time.sleep(0.05)
            if records.exists() and records.read_bytes().count(b"\n") >= 2 and (actors := actors_below(run.pid)):
                killed = actors[0]
                os.kill(killed, signal.SIGKILL)
        _, said = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, said
    # The other actor may be answering while this one is still opening its engine.
    assert re.search(r"died( while it was started)?: The actor is dead because its worker process has died", said)
    answered = list(read_records(tmp_path / "r"))
    wanted = [line for line in (items / "items.jsonl").read_text().splitlines() if line]
    assert len(answered) == len({record.id for record in answered}) == len(wanted)
    assert not [record.error for record in answered if record.error]
    assert sum(task.n for task in read_results(tmp_path / "r").tasks.values()) == len(wanted)
    about = read_manifest(tmp_path / "r").engine
    assert (about["kind"], about["replicas"], about["transport"], about["args"]) == ("hf", 2, "ray", {"device": "cpu"})


def test_a_build_over_ray_gives_the_same_bytes(
    clips: Path, items: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    out = items.parent / "ray"
    cold = environment | {"VIUBENCH_CACHE": str(tmp_path)}
    viubench(cold, "build", "--recipe", "viubench-mini", "--n", 1, "--videos", clips, "--out", out, "--ray", "local")
    for name in ("items.jsonl", "build.json"):
        assert (out / name).read_bytes() == (items / name).read_bytes()


def actors_below(pid: int) -> list[int]:
    """Processes of replicas that answer, among the descendants of `pid`."""
    parents: dict[int, int] = {}
    names: dict[int, bytes] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                names[int(entry.name)] = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
    return [one for one, name in names.items() if name.startswith(b"ray::Worker") and _below(one, pid, parents)]


def _below(one: int, pid: int, parents: dict[int, int]) -> bool:
    while one in parents and one != pid:
        one = parents[one]
    return one == pid
