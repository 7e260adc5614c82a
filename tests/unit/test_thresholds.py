"""Adaptive thresholds: simulated models of several shapes are found, in fewer questions than a grid takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.simulation.thresholds import SHAPES, ask_grid, search
from viubench.stats.thresholds import Posterior

GUESS = [0.5, 0.17, 0.04, 0.01, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", SHAPES)
def test_known_thresholds_are_in_the_interval_and_in_fewer_questions_than_a_grid_takes(shape: str) -> None:
    rng = np.random.default_rng(3)
    held, asked = 0, 0
    for place in np.linspace(1.2, 5.8, 12):
        found = search(SHAPES[shape](float(place)), GUESS, rng)
        held += found.threshold.low <= place <= found.threshold.high
        asked += found.questions
    grid = np.mean([ask_grid(SHAPES[shape](place), GUESS, rng, read="posterior") for place in (1.8, 3.4, 4.6)])
    assert held >= 10
    assert asked / 12 < grid


def test_scores_between_0_and_1_give_the_same_threshold() -> None:
    found = Posterior([0.3] * 9)
    for _ in range(12):
        for level in range(9):
            found.add(level, 0.3 + 0.7 / (1 + np.exp(2.0 * (level - 3.6))))
    known = found.estimate()
    assert abs(known.value - 3.6) < 0.2
    assert known.low < 3.6 < known.high


@pytest.mark.parametrize(("score", "beyond"), [(1.0, "above"), (0.0, "below")])
def test_a_threshold_outside_the_levels_is_said_to_be_there(score: float, beyond: str) -> None:
    found = Posterior(GUESS)
    for _ in range(6):
        for level in found.next([99] * 8, 4):
            found.add(level, score)
    known = found.estimate()
    assert known.beyond == beyond
    assert max(known.outside) > 0.9


def test_a_ceiling_below_one_does_not_move_the_threshold() -> None:
    """Half way to all right, not to the model's own ceiling: 0.9 c(x) is half at 3.5, c itself at 3.72."""
    found = Posterior([0.0] * 8)
    for level in [*range(8)] * 40:
        found.add(level, 0.9 / (1 + np.exp(2.0 * (level - 3.5) - np.log(1.25))))
    assert abs(found.estimate().value - 3.5) < 0.1


@settings(max_examples=15)
@given(room=st.lists(st.integers(0, 2), min_size=3, max_size=5), count=st.integers(0, 9))
def test_no_level_is_asked_more_than_it_has(room: list[int], count: int) -> None:
    chosen = Posterior([0.2] * len(room)).next(room, count)
    assert len(chosen) == min(count, sum(room))
    assert all(chosen.count(level) <= has for level, has in enumerate(room))


def test_the_curve_falls_within_its_interval() -> None:
    found = Posterior(GUESS)
    for level in [0, 1, 2, 3, 4, 5] * 4:
        found.add(level, float(level < 3))
    curve = found.curve(np.linspace(0, 7, 15).tolist())
    assert (np.diff(curve[:, 0]) <= 1e-9).all()
    assert (curve[:, 1] - 1e-9 <= curve[:, 0]).all()
    assert (curve[:, 0] <= curve[:, 2] + 1e-9).all()


@pytest.mark.parametrize("guess", [[0.5], [0.2, 1.0], [-0.1, 0.2]])
def test_guesses_that_leave_nothing_to_find_are_refused(guess: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two levels"):
        Posterior(guess)


def test_a_score_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="a score of"):
        Posterior(GUESS).add(0, 1.5)
