"""Cells of difficulty: every item is in one, ranges hold about as many, and a recipe can make items of a cell."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.pretext import generate
from viubench.pretext.difficulty import Cell, cells_of, difficulty, levels_of, params_at, strength
from viubench.runner.trials import drawn_clip
from viubench.schema import CountParams, CountSpec, GroundParams, GroundSpec, JigsawSpec, PretextSpec, Sample

CLIP = drawn_clip(0)
GROUND = GroundSpec(params=GroundParams(perturb=("mirror", "zoom_out", "channel_swap"), length=(8, 16)))
COUNT = CountSpec(params=CountParams(min_frames=0, max_frames=2, max_instances=2, min_gap=1))


def drawn(spec: PretextSpec, n: int, task: str = "t") -> list[Sample]:
    samples: list[Sample] = []
    for seed in range(40 * n):
        found = generate.draw(spec, seed, [CLIP])
        if isinstance(found, generate.Drawn):
            samples.append(
                Sample(f"{task}{seed}", task, "c", (), "q", None, found.answer, pretext=found.params, seed=seed)
            )
        if len(samples) == n:
            break
    return samples


@given(values=st.lists(st.integers(0, 30), min_size=1, max_size=200), most=st.integers(1, 5))
def test_every_value_is_in_one_range(values: list[int], most: int) -> None:
    level_of = levels_of(values, most)
    assert set(level_of) == set(values)
    assert len(set(level_of.values())) <= most
    for value, level in level_of.items():
        assert not isinstance(level, str)
        assert level[0] <= value <= level[1]
    ranges = sorted(set(level_of.values()))  # type: ignore[type-var]
    assert all(one[1] < other[0] for one, other in pairwise(ranges))  # type: ignore[operator]


def test_ranges_hold_about_as_many() -> None:
    level_of = levels_of([length for length in range(8, 17) for _ in range(10)], 3)
    assert Counter(level_of.values()) == {(8, 10): 3, (11, 13): 3, (14, 16): 3}


def test_what_an_item_was_drawn_at() -> None:
    (ground, *_), (count, *_) = drawn(GROUND, 3), drawn(COUNT, 3)
    assert ground.pretext is not None
    assert count.pretext is not None
    assert set(difficulty(ground.pretext)) == {"perturb", "length"}
    assert max(difficulty(one.pretext)["instances"] for one in drawn(COUNT, 12) if one.pretext) == 2
    named = [strength(one.pretext) for one in drawn(GROUND, 12) if one.pretext]
    assert {"zoom_out scale"} == {one[0] for one in named if one}
    assert None in named


def test_cells_leave_out_what_never_changes() -> None:
    samples = [*drawn(GROUND, 40, "ground"), *drawn(JigsawSpec(), 5, "jigsaw")]
    samples.append(replace(samples[0], id="other", task="none", pretext=None))
    cells = cells_of(samples)
    assert set(cells) == {sample.id for sample in samples}
    assert {cell.name for cell in cells.values() if cell.task == "jigsaw"} == {"jigsaw"}
    assert cells["other"] == Cell("none", ())
    assert len({cell for cell in cells.values() if cell.task == "ground"}) == 9


@pytest.mark.parametrize("spec", [GROUND, COUNT])
def test_a_recipe_makes_items_of_a_cell(spec: PretextSpec) -> None:
    for cell in set(cells_of(drawn(spec, 60)).values()):
        if (params := params_at(cell, spec)) is None:
            continue
        ranges = dict(cell.levels)
        for sample in drawn(spec.with_params(params), 10):
            assert sample.pretext is not None
            for name, value in difficulty(sample.pretext).items():
                level = ranges.get(name, value)
                if isinstance(level, str) or isinstance(value, str):
                    assert value == level
                elif isinstance(level, tuple):
                    low = 0 if spec is COUNT else level[0]
                    assert low <= value <= max(level[1], 1)


def test_a_cell_of_one_answer_is_none_to_build() -> None:
    spec = CountSpec(params=CountParams(min_frames=1, max_frames=3, max_instances=3))
    assert params_at(Cell("t", (("frames", (1, 1)), ("instances", (1, 1)))), spec) is None
    assert params_at(Cell("t", (("frames", (1, 1)), ("instances", (2, 2)))), spec) == {
        "max_frames": 1, "max_instances": 2,
    }  # fmt: skip
    assert params_at(Cell("t", ()), spec) == {}
