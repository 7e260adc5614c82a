"""Runs that a page does not show: unfinished ones, and those whose records do not make their results."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
from paired_runs import rows
from paired_runs import write as write_pair
from report_runs import write_run
from typer.testing import CliRunner

from reports.data.finished_runs import read
from viubench.cli import app
from viubench.errors import ViubenchError


def lines(run: Path, keep: Any) -> None:
    """Rewrite the records of a run as `keep` makes them."""
    file = run / "records.jsonl"
    file.write_text("".join(keep(file.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "runs" / "whole", n=10, measured=True)


def other_score(all_lines: list[str]) -> list[str]:
    first = json.loads(all_lines[0])
    key, value = next(iter(first["scores"].items()))
    return [json.dumps(first | {"scores": {key: 1 - value}}) + "\n", *all_lines[1:]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda all_lines: all_lines[40:], "'viubench_count_easy' has 0 of 10 answers"),
        (lambda all_lines: all_lines[:-1], "'viubench_jigsaw_hard' has 9 of 10 answers"),
        (lambda all_lines: [*all_lines[:-1], all_lines[-2]], "has an answer twice"),
        (lambda all_lines: [*all_lines, all_lines[0].replace("count_easy", "foreign")], "foreign' has 1 of 0"),
        (lambda all_lines: [line.replace(':"ok"', ':"refused"') for line in all_lines], "other answers"),
        (other_score, "the records make it"),
        (lambda all_lines: [], "has 0 of 10"),
    ],
)
def test_a_score_that_the_records_do_not_make_is_never_shown(run: Path, change: Any, said: str) -> None:
    lines(run, change)
    with pytest.raises(ViubenchError, match=said):
        read([run])
    done = CliRunner().invoke(app, ["report", str(run), "--out", str(run.parent / "page.html")])
    assert isinstance(done.exception, ViubenchError)
    assert not (run.parent / "page.html").exists()


def test_a_suite_score_of_other_tasks_is_not_shown(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    results["suites"]["viubench"]["value"] += 0.1
    (run / "results.json").write_text(json.dumps(results))
    with pytest.raises(ViubenchError, match="the records make it"):
        read([run])


def test_folders_without_a_finished_run_are_left_out_with_a_note(run: Path) -> None:
    runs = run.parent
    (runs / "empty").mkdir()
    (runs / "dry" / "items").mkdir(parents=True)
    (runs / "notes.txt").write_text("a file")
    unfinished = write_run(runs / "unfinished", n=2, measured=True)
    (unfinished / "results.json").unlink()
    lines(write_run(runs / "cut", n=2, measured=True), lambda all_lines: all_lines[3:])
    out = runs.parent / "page.html"
    done = CliRunner().invoke(app, ["report", *map(str, sorted(runs.iterdir())), "--out", str(out)])
    assert done.exit_code == 0
    assert "model-a" in done.stdout
    for name, why in {
        "empty": "is not a run folder: no readable manifest.json",
        "dry": "is not a run folder: no readable manifest.json",
        "notes.txt": "is not a run folder",
        "unfinished": "is not finished",
        "cut": "'viubench_count_easy' has 0 of 2 answers",
    }.items():
        (line,) = [line for line in done.stderr.splitlines() if f"left out: {runs / name}" in line]
        assert why in line
        assert f"{name}: {why}" in html.unescape(out.read_text(encoding="utf-8"))
    with pytest.raises(ViubenchError, match=r"no run to report; .*empty.*; .*dry"):
        read([runs / "empty", runs / "dry"])


def test_runs_of_any_evaluator_are_shown_when_whole(tmp_path: Path) -> None:
    whole = [write_pair(tmp_path / "a", {"t": rows([1.0, None, 0.0])}), write_pair(tmp_path / "b", {"t": []})]
    assert [found.path.name for found in read(whole).runs] == ["a", "b"]
