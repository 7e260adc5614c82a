"""Every `bash` block of the documents is run by a test; what needs a GPU, a server or a download stands in `sh` blocks.

The pages here are run as they stand, one after the other in one folder, with an engine in the place of their models.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import inprocess
import pytest
from training_runs import write_training

ROOT = Path(__file__).parents[2]
HERE = "tests/e2e/test_docs_commands.py::test_the_pages_run"
RUN_BY = {
    "add-a-benchmark.md": "tests/unit/test_add_a_benchmark.py::test_the_page_s_task_is_validated_and_run",
    "compare.md": HERE,
    "exports.md": "tests/e2e/test_exports_docs.py::test_the_page_of_exports",
    "gate.md": HERE,  # its floors: tests/e2e/test_batch_docs.py::test_the_floors_of_the_page_of_the_gate
    "index.md": "tests/e2e/test_packages.py::test_the_wheel_works_by_itself",
    "leaderboard.md": HERE,
    "own-questions.md": "tests/unit/test_own_questions_page.py::test_the_page_runs",
    "slurm.md": "tests/e2e/test_batch_docs.py::test_the_page_of_slurm",
    "sweep.md": "tests/e2e/test_sweep_docs.py::test_the_page_runs",
}
NOT_RUN = {
    "frontier.md": "many rounds of questions to a model",
    "probe-data.md": "eight answers of a model to each item, and a training",
    "probes.md": "a run of a model for each probe",
}
ENGINES = {"checkpoints/base": "random", "checkpoints/step-200": "oracle"}
ENDS = {"gate": (0, 3)}
"""Exit codes of a command whose verdict depends on the runs."""


def blocks(page: str, kind: str = "bash") -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)


def test_every_page_with_commands_to_run_names_its_test() -> None:
    pages = {page.name for page in (ROOT / "docs").glob("*.md") if blocks(page.name)}
    assert RUN_BY.keys() <= pages
    assert pages <= RUN_BY.keys() | NOT_RUN.keys(), "run its commands in a test, or let the blocks begin with ```sh"
    assert "```bash" not in (ROOT / "README.md").read_text()
    for test in RUN_BY.values():
        file, _, name = test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.M), test


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))
    inprocess.viubench("clips", "--out", "my_clips", "--n", 2, "--seconds", 8, "--size", "64x64")
    inprocess.viubench("build", "--recipe", "viubench-mini", "--n", 2, "--videos", "my_clips", "--out", "items")
    return tmp_path


def commands(page: str) -> list[list[str]]:
    """The commands of a page, each model replaced by an engine; floors have a test of their own."""
    found = []
    for line in (line for block in blocks(page) for line in block.splitlines() if "--floor" not in line):
        words = shlex.split(line.partition(" # ")[0])[1:]
        if "--model" in words:
            at = words.index("--model")
            words[at : at + 2] = ["--engine", ENGINES[words[at + 1]]]
        found.append(
            [str(file) for word in words for file in sorted(Path().glob(word)) or [word]] if "*" in line else words
        )
    return found


def test_the_pages_run(place: Path) -> None:
    (settings,) = (block for block in blocks("gate.md", "yaml") if block.startswith("margins:"))
    there = [line for line in settings.splitlines() if not line.strip().startswith("long:")]  # no long videos here
    (place / "gate.yaml").write_text("\n".join(there))
    for page in ("compare.md", "gate.md", "leaderboard.md"):
        if page == "leaderboard.md":
            (place / "runs/step-200").rename(place / "runs/trained")
            write_training(place / "runs/train", steps=20)
        for words in commands(page):
            done = inprocess.command(*words)
            assert done.returncode in ENDS.get(words[0], (0,)), f"{page}: {words}: {done.stderr}"
    for name in ("leaderboard.html", "compare.html", "compare.json", "gate.json", "gate.md", "table.tex"):
        assert (place / name).stat().st_size > 500, name
