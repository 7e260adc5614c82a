"""The bench of many records: its drawn run is a real one, and its measurements are of other processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.bench import records
from tests.bench.__main__ import app
from viubench.cli import app as viubench_app
from viubench.errors import ViubenchError
from viubench.storage.run_dir import read_records, read_results


def test_the_drawn_run_is_graded_and_summed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    records.score(120, run)
    found = read_results(run)
    assert {task.n for task in found.tasks.values()} == {40}
    assert all(0 < task.statuses["ok"] <= 40 and 0 < task.value < 1 for task in found.tasks.values())
    records.results(120, run)
    assert sorted(record.id for record in read_records(run)) == sorted(map(records.identity, range(120)))


def test_the_table_says_what_each_stage_took(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(records, "STAGES", {"statistics": records.statistics})
    written = tmp_path / "rows.json"
    done = CliRunner().invoke(app, ["records", "--n", "600", "--quiet", "--json", str(written)])
    assert done.exit_code == 0, done.output
    found = json.loads(written.read_text())
    assert [(row["what"], row["n"]) for row in found["rows"]] == [("statistics", 60), ("statistics", 600)]
    assert all(row["seconds"] > 0 and row["peak_mb"] > 10 for row in found["rows"])
    assert found["machine"]["cores"] >= 1
    assert [line.split()[:2] for line in done.stdout.splitlines()[2:]] == [["statistics", "60"], ["statistics", "600"]]


def test_a_stage_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "STAGES", {"nothing": records.statistics})
    done = CliRunner().invoke(app, ["records", "--n", "600", "--quiet"])
    assert "nothing of 60 failed: " in str(done.exception)


def test_the_command_line_names_where_the_benchmarks_went() -> None:
    done = CliRunner().invoke(viubench_app, ["bench", "records", "--n", "600"])
    assert isinstance(done.exception, ViubenchError)
    assert done.exception.hint == "in a checkout, run: python -m tests.bench records --n 600"
