"""What every evaluator promises, whatever the text."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import Question, get, names

ITEMS = {
    "temporal_iou": Question([3.2, 8.1], (), {"times": [0.0, 10.0]}),
    "shape_counts": Question([3, 1, 4], (), {"max_frames": 3, "max_instances": 3}),
    "permutation": Question([3, 4, 1, 5, 6, 2]),
    "choice": Question("B", ("a blue car", "a red car", "a dog", "two men")),
    "number": Question(4.5),
}
WRONG = {
    "temporal_iou": [1.0, 2.0], "shape_counts": [1, 2, 3], "permutation": [1, 2, 3, 4, 5, 6], "choice": "C",
    "number": 7.0,
}  # fmt: skip
PUBLISHED = {
    "temporal_iou": "first_pair", "shape_counts": "whole_string", "permutation": "whole_string", "choice": "first_char"
}  # fmt: skip
PIECES = [
    "3.2", "-", " to ", "8.1 s", ",", ":", "00:12", "\n", "**", "`", "<think>", "</think>", "<answer>", "</answer>",
    "\\boxed{", "}", "{", "The answer is ", "Actually, ", "so ", "clip 3", "3 circles", "squares: 1", "triangles", "A",
    "B.", "(C)", "or", "Option ", "no", "from ", "between ", "and ", "341562", "1 minute ", "−", "…", "\u00a0", "İ",
    "٣", "𝟛", "Ⅷ", "\x00", "\ud800", "start", "end ", "I think ", "|", "$", "５",
]  # fmt: skip
HOSTILE = [
    "1", "1 ", "1,", "1-", "1:", "1.", ": ", "A ", "A\n", "(", "*", " ", "\n", "<think>", "</think>", "<answer>",
    "</answer>", "\\boxed{", "{", "answer is ", "answer x ", "answer (", "wait, ", "so ", "start 1 ", "from ", "end ",
    "3.2s, ", "3.2-8.1\n", "1 hour 1 min ", "circle ", "1 small red ", "circle 1 ", "clip 1 then ", "first the ",
    "option ", "A is the most ", "I think the ", "\\to", "<a", "\x00", "no ", "between 1 and ",
]  # fmt: skip


@pytest.mark.parametrize("name", ITEMS)
def test_registered_and_true_answer_full_wrong_less_junk_none(name: str) -> None:
    evaluator, item = get(name), ITEMS[name]
    assert name in names()
    assert evaluator.name == name
    true = evaluator.parse(evaluator.canonical(item.target), item)
    assert true is not None
    assert true.value == item.target
    scores = evaluator.score(true, item)
    assert scores[evaluator.metric] == 1.0
    assert all(0.0 <= score <= 1.0 for score in scores.values())
    assert evaluator.reward(true, item) == pytest.approx(1.0)
    wrong = evaluator.parse(evaluator.canonical(WRONG[name]), item)
    assert wrong is not None
    assert evaluator.score(wrong, item)[evaluator.metric] < 1.0
    assert evaluator.reward(wrong, item) < 1.0
    assert evaluator.parse("I am sorry, I cannot see a video.", item) is None


@pytest.mark.parametrize("name", PUBLISHED)
def test_guess_and_blind_parse_and_chance_is_a_share(name: str) -> None:
    evaluator, item = get(name), ITEMS[name]
    assert 0.0 <= evaluator.chance(item) <= 1.0
    blind = evaluator.blind([item, item])
    assert blind.statement
    assert len(blind.texts) == 2
    for text in (*blind.texts, evaluator.guess(item, random.Random(0))):
        assert evaluator.parse(text, item) is not None
    assert evaluator.guess(item, random.Random(7)) == evaluator.guess(item, random.Random(7))


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)))
def test_any_text_is_read_without_an_error_and_the_span_lies_inside(text: str) -> None:
    for name, item in ITEMS.items():
        for rule in ("robust", PUBLISHED[name]) if name in PUBLISHED else ("robust",):
            evaluator = get(name, parse=rule) if name in PUBLISHED else get(name)
            answer = evaluator.parse(text, item)
            if answer is not None:
                assert 0 <= answer.span[0] < answer.span[1] <= len(text)
                assert all(0.0 <= score <= 1.0 for score in evaluator.score(answer, item).values())
                assert 0.0 <= evaluator.reward(answer, item) <= 1.0
            if answer is not None and rule == "robust":
                again = evaluator.parse(evaluator.canonical(answer.value), item)
                assert again is not None
                assert again.value == answer.value


@pytest.mark.parametrize("name", ITEMS)
def test_hostile_repetition_is_read_in_one_pass(name: str) -> None:
    """A pattern that backtracks more than linearly would not come back from these."""
    evaluator, item = get(name), ITEMS[name]
    for piece in HOSTILE:
        for text in (piece * (10_000 // len(piece)), "answer: " + piece * (10_000 // len(piece)) + "?"):
            answer = evaluator.parse(text, item)
            assert answer is None or len(text[slice(*answer.span)]) < 1000


def test_a_flood_of_numbers_is_no_answer() -> None:
    for name, item in ITEMS.items():
        assert get(name).parse("12.5 seconds, 3 of 4; clip 2 " * 10_000, item) is None


def test_unknown_evaluator_says_what_was_meant() -> None:
    with pytest.raises(LookupError, match="did you mean permutation"):
        get("permutatoin")
