"""Paired questions: what makes a pair right, what a missing member costs, and what chance is."""

from __future__ import annotations

from itertools import product

import pytest

from evaluators import Question, Scored, get
from evaluators.paired_choice import PairedChoice

ITEM = Question("B", ("first", "second"), {"letters": ["A", "B"]})


def pair(text: tuple[float, ...], video: tuple[float, ...], cluster: str = "7") -> list[Scored]:
    kinds = [("text", score) for score in text] + [("video", score) for score in video]
    return [Scored({"accuracy": score}, cluster, {"question": kind, "major": "action"}) for kind, score in kinds]


def test_registered_and_its_headline_follows_primary() -> None:
    for primary in ("text", "video", "group"):
        evaluator = get("paired_choice", primary=primary)
        assert evaluator.unit_metric == evaluator.task_metric == f"{primary}_score"
        assert evaluator.metric == "accuracy"
    with pytest.raises(ValueError, match="primary must be one of text, video, group"):
        get("paired_choice", primary="both")


def test_a_question_is_read_and_scored_as_a_choice() -> None:
    evaluator = get("paired_choice")
    answer = evaluator.parse("(B)", ITEM)
    assert answer is not None
    assert evaluator.score(answer, ITEM) == {"accuracy": 1.0}
    assert evaluator.parse("A or B", ITEM) is None


@pytest.mark.parametrize("right", list(product((0.0, 1.0), repeat=4)))
def test_a_pair_is_right_when_both_of_a_kind_are(right: tuple[float, ...]) -> None:
    (unit,) = PairedChoice().units(pair(right[:2], right[2:]))
    text, video = float(right[:2] == (1.0, 1.0)), float(right[2:] == (1.0, 1.0))
    assert unit.scores == {
        "text_score": text,
        "video_score": video,
        "group_score": text * video,
        "accuracy": sum(right) / 4,
        "text_accuracy": sum(right[:2]) / 2,
        "video_accuracy": sum(right[2:]) / 2,
    }


@pytest.mark.parametrize(
    ("text", "video", "scores"),
    [
        ((1.0, 1.0), (), (1.0, 0.0, 0.0)),
        ((1.0,), (1.0, 1.0), (0.0, 1.0, 0.0)),
        ((1.0,), (1.0,), (0.0, 0.0, 0.0)),
        ((1.0, 1.0, 1.0), (1.0, 1.0), (0.0, 1.0, 0.0)),
    ],
)
def test_a_missing_or_surplus_member_makes_the_pair_wrong(
    text: tuple[float, ...], video: tuple[float, ...], scores: tuple[float, ...]
) -> None:
    (unit,) = PairedChoice().units(pair(text, video))
    assert tuple(unit.scores[f"{name}_score"] for name in ("text", "video", "group")) == scores


def test_an_unanswered_member_counts_as_wrong() -> None:
    rows = pair((1.0, 1.0), (1.0, 1.0))
    rows[1] = Scored({}, "7", {"question": "text"})
    (unit,) = PairedChoice().units(rows)
    assert (unit.scores["text_score"], unit.scores["video_score"], unit.scores["accuracy"]) == (0.0, 1.0, 0.75)


def test_units_keep_their_order_and_the_groups_all_members_share() -> None:
    rows = [*pair((1.0, 1.0), (), "b"), *pair((0.0, 1.0), (), "a")]
    rows = [Scored(r.scores, r.cluster, {**r.groups, "minor": ("x", "y"), "place": str(k)}) for k, r in enumerate(rows)]
    units = PairedChoice().units([rows[0], rows[2], rows[1], rows[3]])
    assert [unit.cluster for unit in units] == ["b", "a"]
    assert [unit.groups for unit in units] == [{"major": "action", "minor": ("x", "y")}] * 2
    assert PairedChoice().aggregate([unit.scores for unit in units])["text_score"] == 0.5


@pytest.mark.parametrize(("primary", "chance"), [("text", 1 / 4), ("video", 1 / 4), ("group", 1 / 16)])
def test_chance_is_that_all_members_are_guessed(primary: str, chance: float) -> None:
    rows = [(ITEM, row.cluster, row.groups) for k in "12" for row in pair((0.0, 0.0), (0.0, 0.0), k)]
    assert PairedChoice(primary=primary).chance_of(rows) == pytest.approx(chance)
    assert PairedChoice(primary=primary).chance_of(rows[:4] + rows[4:5]) == pytest.approx(chance / 2)


def test_an_unknown_kind_of_question_is_refused() -> None:
    with pytest.raises(ValueError, match="must say text or video, not None"):
        PairedChoice().units([Scored({"accuracy": 1.0}, "7", {})])
    with pytest.raises(ValueError, match="task without samples"):
        PairedChoice().chance_of([])


def test_other_evaluators_count_each_sample() -> None:
    rows = pair((1.0, 0.0), (), "7")
    choice = get("choice")
    assert choice.units(rows) == rows
    assert choice.unit_metric == "accuracy"
    assert choice.chance_of([(ITEM, "7", {}), (Question("A"), "8", {})]) == pytest.approx((0.5 + 0.25) / 2)
    with pytest.raises(ValueError, match="task without samples"):
        choice.chance_of([])
