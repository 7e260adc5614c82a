"""Kappa and alpha against published values, a library, and what must hold of any raters."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from viubench.stats.agreement import accuracy, alpha, interval, kappa

N = None
OBSERVERS = [  # the worked example of Krippendorff (2011), part C
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
UNITS = [list(unit) for unit in zip(*OBSERVERS, strict=True)]
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


def test_alpha_is_the_published_one() -> None:
    assert alpha(UNITS) == pytest.approx(0.743, abs=5e-4)
    assert alpha(UNITS, interval) == pytest.approx(0.849, abs=5e-4)


@given(PAIRS, st.booleans())
def test_kappa_is_that_of_statsmodels(pairs: list[tuple[int, int]], weighted: bool) -> None:
    table = np.zeros((4, 4))
    for a, b in pairs:
        table[a, b] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cohens_kappa(table, wt="fc" if weighted else None).kappa
    ours = kappa(pairs, interval) if weighted else kappa(pairs)
    if ours is None:
        assert math.isnan(theirs)
    else:
        assert ours == pytest.approx(theirs)


@given(PAIRS)
def test_full_agreement_is_1_and_nothing_is_above(pairs: list[tuple[int, int]]) -> None:
    same = [(a, a) for a, _ in pairs]
    assert kappa(same) in (None, 1.0)
    assert alpha(same) in (None, pytest.approx(1.0))
    found = alpha(pairs)
    assert found is None or found <= 1 + 1e-9
    assert 0 <= (accuracy(pairs) or 0.0) <= 1


def test_nothing_to_compare_is_no_number() -> None:
    assert kappa([]) is accuracy([]) is alpha([]) is alpha([[1, None], [None, 2]]) is None
    assert kappa([(1, 1), (1, 1)]) is alpha([[1, 1], [1, 1]]) is None
