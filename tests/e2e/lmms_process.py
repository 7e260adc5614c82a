"""A process that has opened lmms-eval; every command is a fork of it, so that all of them together open it once.

Example:
    with LmmsProcess(log, environment) as lmms:
        lmms.run("lmms_eval", "--model", "dummy", ..., cwd=folder, env={"VIUBENCH_CACHE": "cache"})

A fork has its own environment, folder and output, as a command started by hand has. It differs from that in what it has
imported, lmms-eval, torch and vLLM, whose cores are forks too, and in the list of lmms-eval's own tasks, which is read
already.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]


class LmmsProcess:
    """The process as its user sees it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Start it; `env` must hold what lmms-eval and datasets read when they are imported."""
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def __enter__(self) -> LmmsProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def run(
        self, program: str | Path, *words: object, cwd: Path, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """`python -m PROGRAM` (or the file PROGRAM) with these words, which must end with 0."""
        with tempfile.TemporaryDirectory() as folder:
            out, errors = Path(folder) / "out", Path(folder) / "errors"
            asked = {"program": str(program), "words": list(map(str, words)), "cwd": str(cwd), "env": dict(env)}
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            print(json.dumps(asked | {"out": str(out), "errors": str(errors)}), file=self._process.stdin, flush=True)
            code = self._process.stdout.readline().strip()
            printed, said = out.read_text(errors="replace"), errors.read_text(errors="replace")
        assert code == "0", f"{program} ended with {code}\n{printed[-6000:]}\n{said[-6000:]}"
        return subprocess.CompletedProcess(asked["words"], 0, printed, said)


def carry_out(asked: Mapping[str, Any]) -> int:
    """Run the command in this process; returns its exit code."""
    for number, name in ((1, "out"), (2, "errors")):
        os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(asked["cwd"])
    os.environ.update(asked["env"])
    program, sys.argv = asked["program"], [asked["program"], *asked["words"]]
    try:
        if program.endswith(".py"):
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    sys.path[0:1] = ["", str(TESTS), str(TESTS / "e2e")]
    import forked_cores
    import lmms_listing
    from lmms_eval.tasks import TaskManager

    import_module("lmms_eval.__main__")
    lmms_listing.keep()
    TaskManager()
    if find_spec("vllm"):
        forked_cores.load()
    with forked_cores.used():
        for line in sys.stdin:
            if pid := os.fork():
                _, status = os.waitpid(pid, 0)
                print(os.waitstatus_to_exitcode(status), flush=True)
            else:
                sys.exit(carry_out(json.loads(line)))  # as a program ends, closing what it has opened


if __name__ == "__main__":
    main()
