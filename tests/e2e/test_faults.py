"""A few schedules of the fault campaign; more: `python -m tests.bench faults`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_runs_under_fire_end_as_one_that_met_no_fault(tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    command = [sys.executable, "-m", "tests.bench", "faults", "--runs", "5", "--seed", "1676", "--quiet", "--json"]
    done = subprocess.run([*command, str(rows)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(rows.read_text())
    assert found["printed"].startswith("5 schedules")
    assert [row["seed"] for row in found["rows"]] == [f"1676/{number}" for number in range(5)]
    assert {row["outcome"] for row in found["rows"]} == {"equal"}
