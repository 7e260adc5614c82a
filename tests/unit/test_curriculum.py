"""The curriculum: shares follow the variance within groups, no cell dies, draws are exact, and its state is all."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viubench.reward_groups.curriculum import VarianceCurriculum, expected, quotas, weighted

CELLS = {f"item{n}": f"cell{n % 4}" for n in range(40)}
PRIOR = {"cell0": 1.0, "cell1": 1.0, "cell2": 2.0, "cell3": 0.5}

batches = st.lists(
    st.lists(st.tuples(st.sampled_from(sorted(CELLS)), st.floats(0, 0.25)), max_size=12), min_size=1, max_size=8
)


@settings(max_examples=60)
@given(seen=batches, floor=st.floats(0.01, 1), start=st.floats(0, 0.999), n=st.integers(1, 64))
def test_shares_are_whole_and_every_cell_keeps_its_floor(
    seen: list[list[tuple[str, float]]], floor: float, start: float, n: int
) -> None:
    curriculum = VarianceCurriculum(CELLS, PRIOR, floor)
    for groups in seen:
        curriculum.update(groups)
    shares, total = curriculum.weights(), sum(PRIOR.values())
    assert sum(shares.values()) == pytest.approx(1)
    assert all(shares[cell] >= floor * prior / total - 1e-9 for cell, prior in PRIOR.items())
    turns = curriculum.turns(n, start)
    assert len(turns) == n
    drawn = Counter(cell for cell, _ in turns)
    assert all(abs(drawn[cell] - n * share) < 1 + 1e-6 for cell, share in shares.items())
    assert curriculum.turns(n, start) == turns


@settings(max_examples=30)
@given(shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=9), n=st.integers(0, 100), start=st.floats(0, 0.999))
def test_draws_are_as_many_as_asked_for(shares: list[float], n: int, start: float) -> None:
    named = {k: share / sum(shares) for k, share in enumerate(shares)}
    due = quotas(named, n, start)
    assert sum(due.values()) == n
    assert all(abs(due[k] - n * share) < 1 + 1e-6 for k, share in named.items())


def test_where_rewards_vary_more_is_asked() -> None:
    curriculum = VarianceCurriculum(CELLS, PRIOR)
    before = curriculum.weights()
    assert before == pytest.approx({cell: prior / 4.5 for cell, prior in PRIOR.items()})
    for _ in range(10):
        curriculum.update([("item0", 0.0), ("item1", 0.2), ("item2", 0.05), ("item3", 0.05)])
    after = curriculum.weights()
    assert after["cell1"] > before["cell1"]
    assert after["cell0"] < before["cell0"]
    assert after["cell0"] >= 0.2 * before["cell0"]
    for _ in range(60):  # what it has learned by now counts no more
        curriculum.update([("item0", 0.2), ("item1", 0.0), ("item2", 0.05), ("item3", 0.05)])
    assert curriculum.weights()["cell0"] > curriculum.weights()["cell1"]


def test_few_groups_say_little() -> None:
    found = expected({"a": 0.2, "b": 0.2 * 50, "c": 0.0}, {"a": 1, "b": 50, "c": 49})
    assert 0.1 < found["a"] < 0.15
    assert found["b"] > 0.19
    assert expected({"a": 0.0}, {"a": 0.0}) == {"a": 0.0}
    assert weighted({"a": 3.0, "b": 1.0}, {"a": 0.0, "b": 0.0}, 0.2) == {"a": 0.75, "b": 0.25}


@settings(max_examples=20)
@given(seen=batches, more=batches)
def test_a_restored_one_goes_on_as_one_never_stopped(
    seen: list[list[tuple[str, float]]], more: list[list[tuple[str, float]]]
) -> None:
    one, other = VarianceCurriculum(CELLS, PRIOR), VarianceCurriculum(CELLS, PRIOR)
    for groups in seen:
        one.update(groups)
    other.restore(json.loads(json.dumps(one.state())))
    for groups in more:
        assert one.turns(7, 0.3) == other.turns(7, 0.3)
        one.update(groups)
        other.update(groups)
    assert one.state() == other.state()


def test_no_question_of_a_cell_comes_twice_before_all_have_come() -> None:
    curriculum = VarianceCurriculum({"x": "a", "y": "a"}, {"a": 1.0})
    first = curriculum.turns(3, 0.5)
    assert first == [("a", 0), ("a", 1), ("a", 2)]
    curriculum.update([("x", 0.1), ("y", 0.1), ("x", 0.1)])
    assert curriculum.turns(2, 0.5) == [("a", 3), ("a", 4)]
