"""docs/python.md and docs/evaluate.ipynb, run as they stand, with a tiny model in the place of the one they name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NAMED = 'model, videos = "Qwen/Qwen3-VL-8B-Instruct", "my_clips"'


def named(text: str, model: Path, clips: Path) -> str:
    """The text with the names of a model and a folder that are there."""
    assert text.count(NAMED) == 1
    return text.replace(NAMED, f"model, videos = {str(model)!r}, {str(clips)!r}")


@pytest.mark.engine
def test_the_page_runs(tiny_model: Path, clips: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / "python.md").read_text(), re.M | re.S)
    assert len(blocks) >= 7
    script = tmp_path / "page.py"
    script.write_text("if __name__ == '__main__':\n" + "\n".join(
        "    " + line for line in named("\n".join(blocks), tiny_model, clips).splitlines()
    ))  # fmt: skip
    environment = os.environ | {"VIUBENCH_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "answering 18 {'ok': 18}" in done.stdout


@pytest.mark.engine
def test_the_notebook_runs(tiny_model: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))
    notebook = nbformat.read(DOCS / "evaluate.ipynb", as_version=4)
    for cell in notebook.cells:
        if NAMED in cell.source:
            cell.source = named(cell.source, tiny_model, clips)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [out["data"]["text/html"] for cell in notebook.cells for out in cell.get("outputs", ()) if "data" in out]
    assert len(shown) == 5
    assert all("viubench_jigsaw_easy" in html for html in shown[:2])
    assert "exit code" in shown[-1]
