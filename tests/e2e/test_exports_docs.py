"""docs/exports.md and the tables of docs/leaderboard.md, run as they stand in a folder that has what they name."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import inprocess
import pytest
from example_rows import EXAMPLES
from exported_runs import on_board, videomme

ROOT = Path(__file__).parents[2]
ENDS = {"gate": (0, 1, 3)}
"""Exit codes of a command whose verdict depends on the runs."""


def commands(page: str, *named: str) -> list[list[str]]:
    """The commands in the page's code blocks, those with one of these words alone where any is given."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    assert all(line.startswith("viubench ") for line in lines)
    return [shlex.split(line)[1:] for line in lines if not named or any(word in line for word in named)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the runs, the data and the checkpoints that the pages name."""
    folder = tmp_path_factory.mktemp("docs")
    on_board(videomme(folder / "runs/qwen3-vl-8b"))
    for name in ("base", "trained"):
        videomme(folder / "runs" / name, model=name)
    shutil.copytree(EXAMPLES / "videomme", folder / "my_data/videomme")
    (folder / "checkpoints").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def ended(words: list[str]) -> None:
    done = inprocess.command(*words)
    assert done.returncode in ENDS.get(words[0], (0,)), f"{words}: {done.stderr}"


def test_the_page_of_exports(place: Path) -> None:
    found = commands("exports.md")
    assert len(found) >= 8
    for words in found:
        if words[:2] == ["export", "inspect"] and find_spec("inspect_ai") is None:
            continue
        ended(words)
    for name in ("my_model/README.md", "my_model/.eval_results/videomme.yaml", "runs/blind/tracking/blind"):
        assert (place / name).exists(), name
    assert len([*place.glob("eee/data/Video-MME/*/*/*_samples.jsonl")]) == 1
    assert len([*place.glob("logs/*/*_samples_videomme.jsonl")]) == 1


def test_the_tables(place: Path) -> None:
    for words in commands("leaderboard.md", "--format", "--out table"):
        ended(words)
    for name in ("table.tex", "leaderboard.html", "leaderboard.tex", "leaderboard.csv"):
        assert (place / name).stat().st_size > 100, name
