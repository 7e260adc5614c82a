"""docs/own-questions.md as it stands: its table is written, and its commands and its Python are run beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.test_docs import commands
from viubench.cli import app
from viubench.video import synthetic

PAGE = (Path(__file__).parents[2] / "docs/own-questions.md").read_text()


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))
    synthetic.draw(tmp_path / "clips", 2, seed=3, seconds=1.0, size=(64, 64))
    for path, name in zip(sorted(Path("clips").iterdir()), ("pour", "chop"), strict=True):
        path.rename(path.with_name(f"{name}.mp4"))
    (table,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    Path("kitchen.csv").write_text(table)
    blocks = "\n".join(re.findall(r"```bash\n.*?```", PAGE, re.DOTALL))
    told = []
    for words in commands(blocks):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, (words, done.output)
        told.append(done.output)
    (understood,) = re.findall(r"```\n(kitchen\.csv: .*?)```", PAGE, re.DOTALL)
    said = told[0].replace(str(tmp_path), "/home/me/kitchen")
    assert all(line in said for line in understood.splitlines())
    results = json.loads(Path("runs/task/results.json").read_text())["tasks"]["kitchen_qa"]
    assert (results["n"], results["metric"]) == (3, "accuracy")
    assert len(json.loads(Path("runs/mixed/results.json").read_text())["tasks"]) == 2
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/own-questions.md", "exec"), space := {})
    assert space["run"].results.tasks["questions"].n == 2
