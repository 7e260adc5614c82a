"""Live item sets: every id is new, no true answer is wrong, and what sets two sets apart is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import viubench
from viubench.cli import app
from viubench.errors import ViubenchError
from viubench.video import synthetic

RECIPE = """recipe: mine
sampling: {kind: even, frames: 16, middle: 0.9}
check: {max_pixels: 4096, min_pixels: 1024, multiple: 32}
items:
  - {task: mine_ground, base: viubench_ground_mirror, n: 30, params: {length: [3, %d]}}
  - {task: mine_jigsaw, base: viubench_jigsaw_easy, n: 20, params: {n: 4}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    synthetic.draw(folder / "clips", 3, 0, seconds=5, size=(96, 64), fps=8)
    for name, longest in {"a": 6, "b": 6, "longer": 11}.items():
        (folder / "mine.yaml").write_text(RECIPE % longest)
        build(folder, name)
    return folder


def build(folder: Path, name: str, **more: object) -> None:
    given = {"live": True, "workers": 1, "frame_cache": folder / "cache", **more}
    viubench.build_items(folder / "mine.yaml", folder / "clips", folder / name, **given)  # type: ignore[arg-type]


def test_two_live_sets_share_no_id_and_are_alike(folder: Path) -> None:
    found = viubench.equate(folder / "a", folder / "b")
    assert found.shared == 0
    assert found.oracle == (1.0, 1.0)
    assert found.items == (50, 50)
    assert None not in found.seeds
    assert found.seeds[0] != found.seeds[1]
    assert {check.what for check in found.checks} >= {"length", "place", "place of the first clip"}
    assert {(row.task, row.row) for row in found.baselines} >= {("mine_ground", "blind"), ("mine_jigsaw", "chance")}
    assert all(0 <= check.p <= check.holm <= 1 for check in found.checks)


def test_the_seed_of_a_live_set_makes_it_again(folder: Path) -> None:
    (folder / "mine.yaml").write_text(RECIPE % 6)
    seed = json.loads((folder / "a" / "build.json").read_bytes())["seed"]
    build(folder, "again", live=False, seed=seed)
    assert (folder / "again" / "items.jsonl").read_bytes() == (folder / "a" / "items.jsonl").read_bytes()


def test_one_set_twice_is_told(folder: Path) -> None:
    found = viubench.equate(folder / "a", folder / "a")
    assert found.shared == 50
    assert found.reasons == ["50 ids are in both"]


def test_another_recipe_is_refused(folder: Path) -> None:
    with pytest.raises(ViubenchError, match="mine_ground is another task in each set"):
        viubench.equate(folder / "a", folder / "longer")


def test_another_distribution_is_found(folder: Path) -> None:
    """The items of the longer set, said to be of the recipe of a."""
    told = json.loads((folder / "longer" / "build.json").read_bytes())
    told["tasks"] = json.loads((folder / "a" / "build.json").read_bytes())["tasks"]
    (folder / "longer" / "build.json").write_text(json.dumps(told))
    done = CliRunner().invoke(app, ["equate", str(folder / "a"), str(folder / "longer")], catch_exceptions=False)
    assert done.exit_code == 1
    assert "mine_ground: length differs" in done.output


def test_a_wrong_true_answer_is_found(folder: Path) -> None:
    build(folder, "wrong")
    lines = (folder / "wrong" / "items.jsonl").read_text().splitlines()
    item = json.loads(lines[0])
    item["answer"] = "0.0-0.1"
    (folder / "wrong" / "items.jsonl").write_text("\n".join([json.dumps(item), *lines[1:]]) + "\n")
    found = viubench.equate(folder / "a", folder / "wrong")
    assert found.oracle[0] == 1
    assert 0.9 < found.oracle[1] < 1
    assert any("true answers score 98.0%" in reason for reason in found.reasons)


def test_common_models_link_the_sets(folder: Path) -> None:
    runs = []
    for name in ("a", "b"):
        for engine in ("random", "blind"):
            runs.append(folder / f"{engine}-{name}")
            viubench.evaluate(tasks=str(folder / name), engine=engine, out=runs[-1], frame_cache=folder / "cache")
    found = viubench.equate(folder / "a", folder / "b", runs)
    assert {(row.task, row.model) for row in found.models} == {
        (task, model) for task in ("mine_ground", "mine_jigsaw") for model in ("random", "blind")
    }
    for link in found.links:
        assert link.models == 2
        assert link.ci[0] <= link.shift <= link.ci[1]
    with pytest.raises(ViubenchError, match="blind has a run of one set only"):
        viubench.equate(folder / "a", folder / "b", runs[:-1])
    with pytest.raises(ViubenchError, match="is a run of neither set"):
        viubench.equate(folder / "a", folder / "again", runs)


def test_a_live_set_is_not_overwritten_and_takes_no_seed(folder: Path) -> None:
    with pytest.raises(ViubenchError, match="holds a set already"):
        build(folder, "a")
    with pytest.raises(ViubenchError, match="draws its seed itself"):
        build(folder, "new", seed=3)
