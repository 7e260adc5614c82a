"""Groups of rewards: counted as they are, left out where an answer failed, and recipes where they vary most."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import viubench
from reports.ci.reward_groups import text
from reports.pages import reward_groups_page
from viubench.cli import app
from viubench.errors import ViubenchError
from viubench.reward_groups.groups import RewardGroup
from viubench.reward_groups.proposal import propose
from viubench.reward_groups.summary import group_set
from viubench.schema import Sample
from viubench.schema.reward_groups import RewardGroups
from viubench.tasks.registry import Catalogue
from viubench.video import synthetic

REWARDS = st.sampled_from([0.0, 0.25, 0.5, 1.0])


def group(place: int, smooth: list[float]) -> RewardGroup:
    sample = Sample(f"i{place}", "t", f"video{place % 3}", (), "q", None, "")
    return RewardGroup(sample, tuple(smooth), tuple(float(one == 1) for one in smooth))


@settings(max_examples=60)
@given(rewards=st.lists(st.lists(REWARDS, min_size=4, max_size=4), min_size=1, max_size=20))
def test_every_group_is_counted_once(rewards: list[list[float]]) -> None:
    found = group_set([group(place, own) for place, own in enumerate(rewards)])
    n = len(rewards)
    assert found.groups == n
    for kind, values in (("smooth", rewards), ("strict", [[float(x == 1) for x in own] for own in rewards])):
        spread = getattr(found, kind)
        assert spread.mixed.value + spread.zero_std.value == pytest.approx(1, abs=1e-6)
        assert spread.zero_std.value * n == pytest.approx(sum(len(set(own)) == 1 for own in values), abs=1e-3)
        assert spread.all_right.value * n == pytest.approx(sum(set(own) == {1.0} for own in values), abs=1e-3)
        assert spread.all_wrong.value * n == pytest.approx(sum(set(own) == {0.0} for own in values), abs=1e-3)
        assert spread.std.value * n == pytest.approx(sum(map(stdev, values)), abs=1e-3)
        for name in type(spread).model_fields:
            measure = getattr(spread, name)
            assert 0 <= measure.ci[0] <= measure.value <= measure.ci[1] <= 1
    strict = found.strict
    assert strict.all_right.value + strict.all_wrong.value == pytest.approx(strict.zero_std.value, abs=1e-6)
    assert found.smooth.zero_std.value <= strict.zero_std.value + 1e-9


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items of the recipe tiny, probed by the random engine: `clips`, `items`, `probe`."""
    folder = tmp_path_factory.mktemp("world")
    synthetic.draw(folder / "clips", 3, 0, seconds=8, size=(64, 64), fps=4, dusk=True)
    cache = {"frame_cache": folder / "frames"}
    viubench.build_items("tiny", folder / "clips", folder / "items", n=12, workers=1, **cache)
    viubench.probe_data(engine="random", items=folder / "items", samples=4, out=folder / "probe", **cache)
    return folder


def groups_of(world: Path) -> RewardGroups:
    return RewardGroups.model_validate_json((world / "probe" / "reward-groups.json").read_bytes())


def test_a_probe_is_a_run_with_its_groups_beside_it(world: Path) -> None:
    found = groups_of(world)
    assert (found.samples, found.temperature, found.engine) == (4, 1.0, "random")
    assert {task: one.groups for task, one in found.tasks.items()} == dict.fromkeys(
        ("tiny_ground", "tiny_jigsaw", "tiny_count"), 12
    )
    assert sum(cell.groups for cell in found.cells) == found.total.groups == 36
    assert found.total.clusters == 3
    assert {one.parameter for one in found.levels if one.task == "tiny_ground"} >= {"perturb", "length"}
    for task, one in found.tasks.items():
        cells = [cell for cell in found.cells if cell.task == task]
        assert sum(cell.groups * cell.mixed for cell in cells) == pytest.approx(12 * one.smooth.mixed.value, abs=1e-3)
    assert viubench.load_run(world / "probe").results.tasks["tiny_count"].n == 12
    frame = found.to_frame()
    assert len(frame) == 3 + len(found.levels)
    assert frame["found.smooth.std.value"].between(0, 1).all()


def test_a_question_of_which_an_answer_failed_is_left_out(world: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for path in ("manifest.json", "results.json"):
        (run / path).write_bytes((world / "probe" / path).read_bytes())
    lines = [json.loads(line) for line in (world / "probe" / "records.jsonl").read_text().splitlines()]
    lines[0] |= {"status": "media_error", "response": None, "answer": None, "scores": {}}
    (run / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = viubench.group_rewards(run, world / "items", frame_cache=world / "frames")
    assert found.left_out == {lines[0]["task"]: 1}
    assert found.total.groups == 35


def test_text_and_page_say_the_same(world: Path) -> None:
    found = groups_of(world)
    said, page = text(found), reward_groups_page.render(found)
    assert "36 questions of 3 videos, 4 answers to each at temperature 1" in said
    assert "tiny_count, frames" in said
    assert page == reward_groups_page.render(found)
    assert "36 questions of 3 videos" in page
    assert page.count("<figure>") == len({(one.task, one.parameter) for one in found.levels})
    hostile = found.model_copy(update={"model": "<script>alert(1)</script>"})
    assert "<script>alert" not in reward_groups_page.render(hostile)


def proposed(world: Path, variances: dict[str, float], recipe: str = "tiny", **levels: Any) -> Any:
    """The proposal where all cells of each task have these variances, and those of a level in `levels` others."""
    found = groups_of(world)
    cells = [
        cell.model_copy(
            update={"groups": 40, "variance": next((levels[str(v)] for _, v in cell.levels if str(v) in levels),
                                                   variances[cell.task])}
        )
        for cell in found.cells
    ]  # fmt: skip
    catalogue = Catalogue()
    chosen = catalogue.recipe(recipe)
    return propose(chosen, catalogue.tasks_of(chosen), found.model_copy(update={"cells": cells}))


def test_items_go_where_groups_vary(world: Path) -> None:
    flat = {"tiny_ground": 0.05, "tiny_jigsaw": 0.05, "tiny_count": 0.05}
    even = proposed(world, flat)
    assert sum(entry.n for entry in even.recipe.items) == 3 * 512
    assert {part.cell.split()[0]: part.n for part in even.parts}["tiny_jigsaw"] == 512
    done = proposed(world, flat | {"tiny_jigsaw": 0.0}, zoom_out=0.2)
    by_cell = {part.cell: part.n for part in done.parts}
    assert sum(by_cell.values()) == 3 * 512
    assert 51 <= by_cell["tiny_jigsaw"] <= 52  # what is kept of a third
    zoomed = [n for cell, n in by_cell.items() if "zoom_out" in cell]
    others = [n for cell, n in by_cell.items() if "tiny_ground" in cell and "zoom_out" not in cell]
    assert min(zoomed) > 2 * max(others)
    before, after = done.expected
    assert after > 1.3 * before
    names = [entry.task for entry in done.recipe.items]
    assert len(set(names)) == len(names)
    assert all(entry.base or entry.task == "tiny_jigsaw" for entry in done.recipe.items)


def test_a_build_follows_the_run_and_says_so(world: Path, tmp_path: Path) -> None:
    args = ["build", "--recipe", "tiny", "--videos", str(world / "clips"), "--n", "8", "--workers", "1", "--quiet"]
    args += ["--frame-cache", str(world / "frames"), "--difficulty", "auto", "--for", str(world / "probe")]
    done = CliRunner().invoke(app, [*args, "--out", str(tmp_path / "one")])
    assert done.exit_code == 0, done.output
    assert "variance to expect within a group" in done.output
    assert CliRunner().invoke(app, [*args, "--out", str(tmp_path / "two")]).exit_code == 0
    assert (tmp_path / "one" / "items.jsonl").read_bytes() == (tmp_path / "two" / "items.jsonl").read_bytes()
    about = json.loads((tmp_path / "one" / "build.json").read_bytes())
    assert about["recipe"]["recipe"] == "tiny-auto"
    assert about["difficulty"]["for"]["samples"] == 4
    assert sum(cell["n"] for cell in about["difficulty"]["cells"]) == 24
    assert sum(entry["n"] for entry in about["recipe"]["items"]) == 24


def test_a_run_that_says_nothing_of_it_is_refused(world: Path, tmp_path: Path) -> None:
    def refused(recipe: str, run: Path) -> ViubenchError:
        with pytest.raises(ViubenchError) as caught:
            viubench.build_items(recipe, world / "clips", tmp_path / "items", fitted_to=run)
        return caught.value

    assert "no answers to viubench_count_easy" in refused("viubench-mini", world / "probe").message
    one = viubench.evaluate(
        engine="random", tasks=world / "items", out=tmp_path / "one", limit=2, frame_cache=world / "frames"
    )
    assert "one answer to each question" in refused("tiny", one.path).message
    two = viubench.evaluate(
        engine="random",
        tasks=world / "items",
        out=tmp_path / "two",
        limit=2,
        samples=2,
        temperature=1.0,
        frame_cache=world / "frames",
    )
    assert "were not measured" in refused("tiny", two.path).message
    earlier = groups_of(world).model_copy(update={"started": "earlier"})
    (two.path / "reward-groups.json").write_text(earlier.model_dump_json(by_alias=True))
    assert "of an earlier run" in refused("tiny", two.path).message
    with pytest.raises(ViubenchError, match="none of the items"):
        viubench.group_rewards(world / "probe", _fewer(world, tmp_path), frame_cache=world / "frames")
    alone = CliRunner().invoke(
        app, ["build", "--recipe", "tiny", "--videos", "v", "--out", "o", "--difficulty", "auto"]
    )
    assert isinstance(alone.exception, ViubenchError)
    assert "come together" in alone.exception.message


def _fewer(world: Path, to: Path) -> Path:
    """The build without its last item."""
    folder = to / "fewer"
    folder.mkdir()
    about = json.loads((world / "items" / "build.json").read_bytes())
    (folder / "build.json").write_text(json.dumps(about | {"videos_root": str(world / "clips")}))
    lines = (world / "items" / "items.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "items.jsonl").write_bytes(b"".join(lines[:-1]))
    return folder
