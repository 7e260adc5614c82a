"""Commands within the test's own process, which has imported what they need: where the process is not what is tested.

Example:
    inprocess.viubench("clips", "--out", tmp_path / "clips", "--n", 4)
    done = inprocess.command("gate", "--baseline", a, "--candidate", b)
    done.returncode, done.stdout, done.stderr
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from viubench import cli


def command(
    *words: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """How `viubench` ends with these words, and what it prints."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["viubench", *map(str, words)])
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return subprocess.CompletedProcess(words, int(code or 0), out.getvalue(), errors.getvalue())


def viubench(*words: object) -> None:
    """Run a command that must succeed, without its progress."""
    done = command(*words, "--quiet")
    assert done.returncode == 0, f"{words[0]} ended with {done.returncode}: {done.stderr}"
