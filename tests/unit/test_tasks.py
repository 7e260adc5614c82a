"""The catalogue, and `tasks validate` on tasks that must be refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from viubench.cli import app
from viubench.errors import ViubenchError
from viubench.tasks.registry import BUILT_IN, Catalogue, load_task

NINE = 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a copy of one good task."""
    text = (BUILT_IN / "viubench" / "viubench_count_easy.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("viubench_count_easy", "mine"))
    return tmp_path


def edit(folder: Path, old: str, new: str) -> Path:
    path = folder / "mine.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_suites_and_recipes_agree() -> None:
    catalogue = Catalogue()
    for name, size in (("viubench", 300), ("viubench-mini", 10)):
        selection = catalogue.resolve(name)
        assert [task.task for task in selection.tasks] == catalogue.suites[name].tasks
        assert [entry.n for entry in selection.recipe.items] == [size] * NINE
        grouped = [task for tasks in catalogue.suites[name].groups.values() for task in tasks]
        assert sorted(grouped) == sorted(catalogue.suites[name].tasks)
    assert sum(entry.n for entry in catalogue.recipes["videossr-30k"].items) == 30_000


def test_published_averages_are_the_means_of_the_published_types() -> None:
    """The table was copied right: each row's averages follow from its nine types, to the rounding of the print."""
    catalogue = Catalogue()
    suite = catalogue.suites["viubench"]
    for row in (row for row in catalogue.references if "viubench" in row.values):
        mean = sum(row.values[task] for task in suite.tasks) / NINE
        assert row.values["viubench"] == pytest.approx(mean, abs=0.0011), row.model
        for group, tasks in suite.groups.items():
            mean = sum(row.values[task] for task in tasks) / len(tasks)
            if (row.model, group) == ("Seed1.5-VL", "counting"):  # printed as 62.6, though its types give 62.15
                continue
            assert row.values[f"viubench/{group}"] == pytest.approx(mean, abs=0.0011), (row.model, group)


def test_an_unknown_name_is_met_with_the_probable_one() -> None:
    with pytest.raises(ViubenchError, match="viubench-mimi") as caught:
        Catalogue().resolve("viubench-mimi")
    assert caught.value.hint == "did you mean viubench-mini?"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("VideoMME", "videomme or videomme_interleaved or videomme_subtitles"),
        ("Video-MME", "videomme"),
        ("MVBench", "mvbench"),
        ("Charades STA", "charades_sta"),
        ("VIUBench_Mini", "viubench-mini"),
    ],
)
def test_a_benchmark_by_the_name_of_its_paper_is_near(name: str, meant: str) -> None:
    with pytest.raises(ViubenchError) as caught:
        Catalogue().resolve(name)
    assert caught.value.hint == f"did you mean {meant}?"


def test_a_task_is_named_as_its_file(folder: Path) -> None:
    with pytest.raises(ViubenchError, match="but its file"):
        load_task(edit(folder, "task: mine", "task: other"))


def test_an_include_stays_in_its_folder(folder: Path) -> None:
    (folder / "mine.yaml").write_text("include: ../secret.yaml\ntask: mine\n")
    with pytest.raises(ViubenchError, match="outside"):
        load_task(folder / "mine.yaml")


def test_a_recipe_with_its_own_difficulty_needs_its_own_name() -> None:
    catalogue = Catalogue()
    recipe = catalogue.recipes["viubench"]
    entry = recipe.items[0].model_copy(update={"params": {"max_frames": 2}})
    with pytest.raises(ViubenchError, match="its published name"):
        catalogue.tasks_of(recipe.model_copy(update={"items": [entry]}))
    named = entry.model_copy(update={"task": "count_two", "base": entry.task})
    task = catalogue.tasks_of(recipe.model_copy(update={"items": [named]}))["count_two"]
    assert task.pretext is not None
    assert task.pretext.model_dump() == {"kind": "count", "params": {"max_frames": 2, "max_instances": 3}}


def test_the_whole_catalogue_is_valid() -> None:
    result = CliRunner().invoke(app, ["tasks", "validate"])
    assert result.exit_code == 0, result.output
    assert result.output.count("ok  viubench_") == NINE
    assert len(re.findall(r"^  ok  ", result.output, re.M)) == len(Catalogue().task_files)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("metric: exact", "metric: exact\ncolour: red", "unknown key 'colour'"),
        ("metric: exact", "metric: exact\nmetric: exact", "appears twice"),
        ("name: shape_counts", "name: shape_count", "did you mean shape_counts"),
        ("name: shape_counts", "name: permutation", "is none of permutation"),
        ("metric: exact", "metric: miou", "metric 'miou' is not what"),
        ("max_frames: 3", "max_frame: 3", "max_frame"),
    ],
)
def test_a_bad_task_is_refused_with_a_sentence(folder: Path, old: str, new: str, sentence: str) -> None:
    path = edit(folder, old, new)
    result = CliRunner().invoke(app, ["tasks", "validate", str(path)])
    assert result.exit_code == 1
    assert sentence in result.output
