"""The commands `import` and `explain-difference` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import inprocess
import pytest

from viubench.tasks.registry import BUILT_IN

EXAMPLES = BUILT_IN / "examples"
ROWS = [json.loads(line) for line in next((EXAMPLES / "videomme").rglob("test*.jsonl")).read_text().splitlines()]


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """A table with columns of its own: every answer a letter but one, one question missing, one stranger."""
    rows = [{"key": row["question_id"], "said": f"({row['answer']})", "ok": 1} for row in ROWS[:-1]]
    rows[0] |= {"said": "hard to say", "ok": 1}
    path = tmp_path / "said.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"key": "nobody", "said": "A"}]))
    return path


def test_a_table_is_imported_and_its_differences_are_listed(said: Path, tmp_path: Path) -> None:
    words = ("import", said, "--task", "videomme", "--data-root", EXAMPLES, "--out", tmp_path / "run", "--quiet")
    named = ("--column", "response=said", "--column", "id=key", "--column", "score=ok")
    done = inprocess.command(*words, *named, "--max-errors", 0.2)
    assert done.returncode == 0, done.stderr
    assert f"matched: {len(ROWS) - 1} answers ({len(ROWS) - 1} by id)" in done.stdout
    assert "unmatched: 1" in done.stdout
    assert "missing: 1" in done.stdout
    out = {"--csv": tmp_path / "d.csv", "--json": tmp_path / "d.json"}
    found = inprocess.command("explain-difference", tmp_path / "run", *(word for pair in out.items() for word in pair))
    assert found.returncode == 0, found.stderr
    assert "no answer is declared that we read" in found.stdout or "the file scores it right" in found.stdout
    assert "hard to say" in out["--csv"].read_text()
    told = json.loads(out["--json"].read_text())
    assert sum(told["counts"].values()) == len(ROWS)
    assert inprocess.command(*words, *named).returncode == 2, "the folder holds a run"
    assert inprocess.command(*words, *named, "--fresh").returncode == 4, "more is missing than is allowed"


def test_faults_end_in_a_sentence(said: Path, tmp_path: Path) -> None:
    words = ("--task", "videomme", "--data-root", EXAMPLES, "--out", tmp_path / "run")
    for wrong, message in (
        ((tmp_path / "none.jsonl",), "cannot read the file"),
        ((said, "--format", "lmms"), "unknown format"),
        ((said,), "no answer belongs to a question"),
        (
            (said, "--column", "response=said", "--column", "id=key", "--rule", "official/nothing"),
            "unknown published rule",
        ),
    ):
        done = inprocess.command("import", *wrong, *words)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert inprocess.command("explain-difference", tmp_path / "none").returncode == 2


def test_files_of_several_tasks_are_one_run(tmp_path: Path) -> None:
    """Rows count within the task that each file names; what is not answered is left out."""
    files = []
    for task, folder in (("multi_choice", "multi-choice"), ("yes_no", "yes_no")):
        rows = [
            json.loads(line) for path in (EXAMPLES / "tempcompass" / folder).glob("*.jsonl") for line in path.open()
        ]
        files.append(tmp_path / f"20260101_000000_samples_tempcompass_{task}.jsonl")
        lines = [
            json.dumps(
                {"doc_id": n, "input": row["question"], "target": row["answer"], "filtered_resps": row["answer"]}
            )
            for n, row in enumerate(rows)
        ]
        files[-1].write_text("\n".join([*lines[:-1], ""]))
    tasks = "tempcompass_multi_choice,tempcompass_yes_no"
    done = inprocess.command("import", *files, "--tasks", tasks, "--data-root", EXAMPLES, "--out", tmp_path / "run",
                             "--partial", "--quiet")  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert {task: found["value"] for task, found in results["tasks"].items()} == dict.fromkeys(tasks.split(","), 1.0)
