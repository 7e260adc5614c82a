"""Groups of four questions: what a broken chain, a missing question and a guess are worth."""

from __future__ import annotations

from itertools import product

import pytest

from evaluators import Question, Scored, get
from evaluators.grouped_choice import GroupedChoice, group_score

CHAIN, FORK, JOIN = "[1, 2, 3, 4]", "[1, [2, 3], 4]", "[[1, 2], 3, 4]"
ITEM = Question("B", tuple("abcdefgh"))


def members(right: str, kind: str = "logic", structure: str = CHAIN, cluster: str = "7") -> list[Scored]:
    about = {"group_type": kind, "group_structure": structure}
    return [
        Scored({"accuracy": float(mark)}, cluster, {**about, "place": str(place), "level": str(place)})
        for place, mark in enumerate(right, start=1)
        if mark != "-"
    ]


@pytest.mark.parametrize(
    ("structure", "right", "worth"),
    [
        (CHAIN, "1111", 1), (CHAIN, "0111", 0), (CHAIN, "1011", 1 / 16), (CHAIN, "1101", 4 / 16),
        (CHAIN, "1110", 9 / 16), (FORK, "1001", 1 / 12), (FORK, "1011", 4 / 12), (FORK, "1101", 4 / 12),
        (FORK, "1110", 7 / 12), (FORK, "0111", 0), (JOIN, "0111", 1 / 10), (JOIN, "1011", 1 / 10),
        (JOIN, "1101", 2 / 10), (JOIN, "1110", 5 / 10), (JOIN, "1111", 1),
    ],
)  # fmt: skip
def test_a_chain_is_worth_what_it_has_before_its_first_wrong_step(structure: str, right: str, worth: float) -> None:
    (unit,) = GroupedChoice().units(members(right, structure=structure))
    assert unit.scores == pytest.approx({"group_score": worth, "accuracy": right.count("1") / 4})


@pytest.mark.parametrize("right", ["".join(marks) for marks in product("01", repeat=4)])
def test_facets_are_worth_the_square_of_the_share(right: str) -> None:
    (unit,) = GroupedChoice().units(members(right, "relevance", "None"))
    assert unit.scores["group_score"] == (right.count("1") / 4) ** 2


def test_a_missing_question_is_wrong_and_the_last_one_s_groups_are_the_group_s() -> None:
    whole, part = GroupedChoice().units([*reversed(members("1111")), *members("1-11", cluster="8")])
    assert (whole.scores["group_score"], part.scores["group_score"]) == (1, 1 / 16)
    assert part.scores["accuracy"] == 1
    assert whole.groups == {"group_type": "logic", "group_structure": CHAIN, "level": "4"}


def test_a_group_that_does_not_say_what_it_is_is_an_error() -> None:
    for wrong in ({"kind": "chain"}, {"structure": "[1, 2, 3]"}):
        with pytest.raises(ValueError, match="group_"):
            GroupedChoice().units(members("1111", **wrong))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="place"):
        GroupedChoice().units([Scored({"accuracy": 1.0}, "7", {"group_type": "logic", "group_structure": CHAIN})])


def test_chance_is_the_mean_over_all_outcomes() -> None:
    evaluator = get("grouped_choice")
    assert (evaluator.unit_metric, evaluator.metric) == ("group_score", "accuracy")
    rows = [(ITEM, row.cluster, row.groups) for row in members("1111", "relevance", "None")]
    p = 1 / 8
    expected = (4 * p * (1 - p) + (4 * p) ** 2) / 16  # of (n / 4)^2, n binomial: variance and squared mean
    assert evaluator.chance_of(rows) == pytest.approx(expected)
    assert group_score([True, True, True, False], "logic", CHAIN) == 9 / 16
