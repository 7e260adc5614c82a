"""Every fuzzing target holds on its seeds, its corpus and a few mutations of them; longer ones: `make fuzz`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import loop

RUNS = {"answers": 300, "yaml_files": 300, "records": 150, "replies": 1500, "imports": 400, "videos": 60}


@pytest.mark.parametrize("name", loop.TARGETS)
def test_no_input_does_what_none_may(name: str) -> None:
    assert loop.plain(name, RUNS[name], seed=1) == RUNS[name]


def test_an_input_that_fails_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loop.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(loop.load("replies"), "once", lambda data: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        loop.plain("replies", 1)
    assert caught.value.__notes__ == [f"the input is in {tmp_path / 'fuzz-replies-0-0'}"]
    assert (tmp_path / "fuzz-replies-0-0").read_bytes()


def test_coverage_guides_it(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "tests.fuzz", "replies", "--runs", "300", "--corpus", str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert "number_of_executed_units: 300" in done.stderr
