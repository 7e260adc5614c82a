"""Drawn shapes are found again in the pixels: each visible, unhidden, inside the frame, and counted once."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from block_videos import moving, wrap
from hypothesis import given, settings
from hypothesis import strategies as st

from viubench.pretext.generate import Drawn, Rejected, apply, draw
from viubench.pretext.rng import Rng
from viubench.pretext.shapes import choose_frames, patch, spread
from viubench.schema import KINDS, CountSpec, Kind, Shape
from viubench.video.frames import Pixels, VideoInput

EASY = CountSpec.model_validate({"params": {"max_frames": 3, "max_instances": 3}})
HARD = CountSpec.model_validate({"params": {"max_frames": 4, "max_instances": 4}})
DIM = moving(height=192, width=320, high=40)
"""Darker than any drawn colour, so that every drawn pixel differs from its source."""


def mask(shape: Shape, size: tuple[int, int], canvas: tuple[int, int], grow: float = 0.0) -> np.ndarray:
    """`patch` as a whole frame: bool [H, W]."""
    rows, columns, inside = patch(shape, size, canvas, grow)
    filled = np.zeros(size, np.bool_)
    filled[rows, columns] = inside
    return filled


def drawn(spec: CountSpec, seed: int, video: VideoInput = DIM) -> Drawn:
    result = draw(spec, seed, [video])
    assert isinstance(result, Drawn), result
    return result


def found(source: Pixels, shown: Pixels) -> list[list[Kind]]:
    """The kinds of shape on each frame, read from the changed pixels alone: by the share of its circle each fills."""
    kinds: list[list[Kind]] = []
    for before, after in zip(source, shown, strict=True):
        changed = (before != after).any(axis=-1).astype(np.uint8)
        contours, _ = cv2.findContours(changed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        kinds.append([])
        for contour in contours:
            _, radius = cv2.minEnclosingCircle(contour)
            share = cv2.contourArea(contour) / (math.pi * radius * radius)
            # A circle fills its circle, a square 2 / pi of it, an equilateral triangle 0.41.
            kinds[-1].append("circle" if share > 0.8 else "square" if share > 0.52 else "triangle")
    return kinds


@pytest.mark.parametrize("spec", [EASY, HARD])
def test_every_shape_is_found_again_and_counted_once(spec: CountSpec) -> None:
    for seed in range(25):
        question = drawn(spec, seed)
        (shown,) = apply(question.params, seed, [DIM])
        kinds = found(DIM.pixels, shown.pixels)
        total = Counter(kind for frame in kinds for kind in frame)
        assert ",".join(str(total[kind]) for kind in KINDS) == question.answer
        assert all(len(set(frame)) <= 1 for frame in kinds), "one kind of shape on a frame"
        for kind in KINDS:
            on = [k for k, frame in enumerate(kinds) if kind in frame]
            assert 1 <= len(on) <= spec.params.max_frames
            assert all(later - earlier > 8 for earlier, later in pairwise(on))
            assert all(len(kinds[k]) <= spec.params.max_instances for k in on)


def test_shapes_are_found_again_at_other_frame_sizes() -> None:
    """Evaluation looks at other sizes than the build: neither may push shapes together or out of the picture."""
    for height, width in ((96, 160), (384, 672), (480, 640)):
        other = moving(height=height, width=width, high=40)
        for seed in range(3):
            question = drawn(HARD, seed)
            (shown,) = apply(question.params, seed, [other])
            on = sorted({shape.frame for shape in question.params.shapes})
            changed = (shown.pixels[on] != other.pixels[on]).any(axis=-1)
            pieces = [cv2.connectedComponents(frame.astype(np.uint8))[0] - 1 for frame in changed]
            assert sum(pieces) == len(question.params.shapes)
            assert not changed[:, [0, -1]].any()
            assert not changed[:, :, [0, -1]].any()


def test_drawn_sizes_places_and_colours_stay_within_their_limits() -> None:
    shapes = [shape for seed in range(30) for shape in drawn(HARD, seed).params.shapes]
    assert all(0.2 <= shape.size <= 0.4 for shape in shapes)
    assert all(abs(shape.y) <= 0.35 and abs(shape.x) <= 0.35 * 320 / 192 for shape in shapes)
    assert all(50 <= channel <= 255 for shape in shapes for channel in shape.color)
    assert len({shape.angle for shape in shapes if shape.shape != "circle"}) > 100
    for shape in shapes:
        inside = mask(shape, (192, 320), (192, 320))
        side = shape.size * 192
        nominal = {"circle": math.pi / 4, "square": 1, "triangle": math.sqrt(3) / 4}[shape.shape] * side * side
        assert inside.sum() == pytest.approx(nominal, rel=0.04), shape  # nothing is cut off


def test_shapes_stand_out_from_busy_pictures() -> None:
    """Fault 9 of the published scripts: shapes may vanish in the background."""
    video = moving(height=192, width=320)
    for seed in range(10):
        question = drawn(HARD, seed, video)
        for shape in question.params.shapes:
            source = video.pixels[shape.frame].astype(int)
            behind = mask(shape, (192, 320), (192, 320))
            ring = mask(shape, (192, 320), (192, 320), grow=0.03) & ~behind
            for region in (behind, ring):
                gap = np.abs(source[region] - shape.color)
                assert ((gap.max(axis=1) >= 80) | ((gap @ [77, 150, 29]) // 256 >= 20)).mean() > 0.85


def test_a_picture_that_no_colour_stands_out_from_is_rejected() -> None:
    narrow = CountSpec.model_validate({"params": {"color": [100, 110]}})
    grey = wrap(np.full((48, 96, 160, 3), 105, np.uint8))
    result = draw(narrow, 0, [grey])
    assert isinstance(result, Rejected)
    assert result.cause == "no_place_for_shapes"


def test_counts_follow_the_distribution_that_the_blind_answer_assumes() -> None:
    """1..3 frames, 1..3 shapes on each, uniform: geometry is redrawn on failure, counts never."""
    answers = [list(map(int, drawn(EASY, seed, moving(height=96, width=128)).answer.split(","))) for seed in range(300)]
    counts = Counter(count for answer in answers for count in answer)
    weights = dict.fromkeys(range(1, 10), 0.0)
    ways = {0: 1.0}
    for _ in range(3):
        ways = {
            total: sum(ways.get(total - one, 0) / 3 for one in (1, 2, 3))
            for total in range(1, max(ways) + 4)
        }  # fmt: skip
        for total, chance in ways.items():
            weights[total] += chance / 3
    for total, weight in weights.items():
        spread_of = 5 * math.sqrt(900 * weight * (1 - weight))
        assert abs(counts[total] - 900 * weight) < spread_of + 1, total


@pytest.mark.parametrize("kinds", [["circle"], ["triangle", "square"]])
def test_kinds_that_are_not_drawn_count_0(kinds: list[Any]) -> None:
    question = drawn(CountSpec.model_validate({"params": {"shapes": kinds}}), 2)
    counts = dict(zip(KINDS, map(int, question.answer.split(",")), strict=True))
    assert {kind for kind, count in counts.items() if count} == set(kinds)


@settings(max_examples=100)
@given(st.integers(1, 60), st.integers(1, 6), st.integers(0, 12), st.integers(0, 2**32))
def test_spread_keeps_its_gap_or_says_that_it_cannot(total: int, count: int, gap: int, seed: int) -> None:
    if count + (count - 1) * gap > total:
        with pytest.raises(ValueError, match="do not fit"):
            spread(total, count, gap, Rng(seed))
        return
    chosen = spread(total, count, gap, Rng(seed))
    assert len(chosen) == count
    assert chosen[0] >= 0
    assert chosen[-1] < total
    assert all(later - earlier > gap for earlier, later in pairwise(chosen))


def test_spread_reaches_every_choice() -> None:
    chosen = Counter(tuple(spread(6, 2, 2, Rng(seed))) for seed in range(600))
    assert set(chosen) == {(0, 3), (0, 4), (0, 5), (1, 4), (1, 5), (2, 5)}
    assert max(chosen.values()) < 2 * min(chosen.values())


def test_frames_that_cannot_be_kept_apart_are_not_invented() -> None:
    assert choose_frames(10, [1, 1, 1], 8, Rng(0)) is not None
    assert choose_frames(2, [1, 1, 1], 0, Rng(0)) is None
