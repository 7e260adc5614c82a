"""Where more stops helping: the rule finds a plateau, holds its error rate, and says when it cannot decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from viubench.stats.estimates import Part
from viubench.stats.plateau import plateau


def parts(scores: NDArray[np.float64], a_video: int = 1) -> list[list[Part]]:
    """Settings of scores [K, N], so many units of each video."""
    videos = [str(k // a_video) for k in range(scores.shape[1])]
    return [[(1.0, own, videos)] for own in scores]


def answers(rng: np.random.Generator, shares: tuple[float, ...], n: int) -> NDArray[np.float64]:
    """Right or wrong [K, n]: what a larger share knows holds what a smaller one does; a tenth is drawn anew."""
    known = rng.random(n) < np.array(shares)[:, None]
    again = rng.random((len(shares), n)) < 0.1
    return np.where(again, rng.random((len(shares), n)) < np.array(shares)[:, None], known).astype(float)


def test_a_plateau_is_found_where_it_begins() -> None:
    scores = answers(np.random.default_rng(0), (0.3, 0.5, 0.6, 0.6, 0.6), 4000)
    found = plateau(parts(scores), margin=0.03)
    assert found.enough == 2
    assert found.bounds[1] < -0.05 < found.bounds[2]
    assert plateau(parts(scores), margin=0.15).enough == 1


def test_more_that_hurts_is_no_reference() -> None:
    scores = answers(np.random.default_rng(1), (0.4, 0.7, 0.4), 3000)
    assert plateau(parts(scores), margin=0.03).enough == 1  # by the last one alone the first would do


def test_few_questions_decide_nothing_and_say_how_many_would() -> None:
    scores = answers(np.random.default_rng(2), (0.6, 0.6, 0.6), 60)
    found = plateau(parts(scores), margin=0.02)
    assert found.enough is None
    assert found.units is not None
    assert 1_000 < found.units < 100_000
    assert plateau(parts(scores, 60), 0.02).units is None  # one video says nothing of others


def test_a_setting_that_loses_the_margin_is_seldom_named() -> None:
    rng = np.random.default_rng(3)
    trials = 150
    named = sum(plateau(parts(answers(rng, (0.55, 0.6, 0.6), 400)), margin=0.05).enough == 0 for _ in range(trials))
    assert named <= trials * 0.05 + 3 * (trials * 0.05 * 0.95) ** 0.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.floats(0.005, 0.2))
def test_a_wider_margin_is_met_no_later(seed: int, k: int, margin: float) -> None:
    scores = np.random.default_rng(seed).random((k, 40))
    narrow, wide = plateau(parts(scores), margin), plateau(parts(scores), 2 * margin)
    assert narrow.bounds == wide.bounds
    assert all(-1 <= bound <= 1 for bound in narrow.bounds)
    if narrow.enough is not None:
        assert wide.enough is not None
        assert wide.enough <= narrow.enough


def test_one_setting_has_no_plateau() -> None:
    with pytest.raises(ValueError, match="one setting alone"):
        plateau(parts(np.ones((1, 5))), 0.02)
