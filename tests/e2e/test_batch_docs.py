"""docs/slurm.md and the floors of docs/gate.md, run as they stand in a folder that has what they name."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import inprocess
import numpy as np
import pytest
from paired_runs import rows, write

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)


def test_the_page_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))
    (commands,) = blocks("slurm.md", "bash")
    for line in commands.splitlines():
        done = inprocess.command(*shlex.split(line)[1:])
        assert done.returncode == 0, f"{line}: {done.stderr}"
    inprocess.viubench("run", "--engine", "random", "--tasks", "items", "--out", "whole")
    assert (tmp_path / "runs/random/results.json").read_bytes() == (tmp_path / "whole/results.json").read_bytes()

    job, submit = (
        block.replace("--model /models/qwen3-vl-8b", "--engine random") for block in blocks("slurm.md", "sh")
    )
    program(tmp_path / "bin/srun", 'exec "$@"')
    program(tmp_path / "bin/viubench", f'exec {shlex.quote(sys.executable)} -m viubench "$@"')
    # A queue of two tasks, which runs each at once; what it wraps comes after.
    program(tmp_path / "bin/sbatch", 'case "$*" in *--wrap*) eval "${@: -1}";; *) for task in 1 2; do '
            'SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_COUNT=2 bash shards.sh >&2; done; echo 17;; esac')  # fmt: skip
    (tmp_path / "shards.sh").write_text(job)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    root = os.environ.get("PYTHONPATH", str(DOCS.parent))
    done = subprocess.run(
        ["bash", "-euc", submit], env=os.environ | {"PATH": path, "PYTHONPATH": root}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "answering: 0 of" in done.stderr
    made = json.loads((tmp_path / "runs/qwen3-vl-8b/results.json").read_bytes())
    assert made == json.loads((tmp_path / "whole/results.json").read_bytes())


def program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_floors_of_the_page_of_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for seed, name in enumerate(("main-1", "main-2", "main-3", "new")):
        right = np.random.default_rng(seed).random(900) < 0.633
        write(tmp_path / "runs" / name, {"videomme": rows(right.astype(float).tolist())})
        told = {"task": "videomme", "score": float(right.mean()), "n": 900}
        (tmp_path / "results" / f"{name}.json").write_text(json.dumps(told))
    lines = [line for block in blocks("gate.md", "bash") for line in block.splitlines() if "--floor" in line]
    assert len(lines) == 6
    said = [inprocess.command(*shlex.split(line)[1:]) for line in lines]
    assert [done.returncode for done in said] == [0] * 6, [done.stderr for done in said]
    assert "fails 68.5 % of main's runs, 5 % at 60.7" in said[3].stdout
    (shown,) = blocks("gate.md", "text")
    assert said[4].stdout == shown
