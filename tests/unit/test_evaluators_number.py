"""A number near the true one: what is read as the answer, and what an error costs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import Question, get
from evaluators.base import NotKnown
from evaluators.number import relative_accuracy

NUMBER = get("number")
ITEM = Question(10.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("There are 3 chairs.", 3), ("three", 3), ("**4**", 4), ("1,200", 1200), ("<answer>7</answer>", 7),
        ("About 2.5 meters", 2.5), ("12.5m²", 12.5), ("10 m^2", 10), ("The room has one chair", 1),
        ("Room 12 has 3 chairs", 3), ("Its size is 12 m", 12), ("4 x 5 = 20", 20),
        ("There are 2 tables and 3 chairs. So 5 in total.", 5), ("1.8 m (approximately 6 feet)", 1.8), ("-3", -3),
        ("First I thought 4. Actually no, it is 5.", 5), ("1. The chair\n2. The sofa\n\nTotal: 2", 2),
        ("3. Explanation: 2 left, 1 right.", 3), ("3个", 3), ("大约3.5米", 3.5), ("In frame 5 there are 3 chairs.", 3),
        ("At 0:05 there are 3 chairs.", 3), ("3.14159265358979", 3.14159265358979),
        ("thirty-five", 35), ("There are forty two lamps.", 42), ("treinta y cinco lámparas", 35), ("vingt et un", 21),
        ("2 at the door, 3 on the desk, 5 in total.", 5), ("5 (2 at the door and 3 on the desk)", 5),
        ("5 lamps: 2 lit, 3 dark", 5), ("Based on the 32 frames, there are 6 lamps.", 6),
        ("There is only one lamp.", 1),
        ("Der Abstand beträgt 2,5 Meter.", 2.5), ("La distance est de 2,5 mètres.", 2.5), ("Der Raum hat 2.5 m.", 2.5),
    ],
)  # fmt: skip
def test_the_number_that_a_response_stands_by(text: str, value: float) -> None:
    answer = NUMBER.parse(text, ITEM)
    assert answer is not None, text
    assert answer.value == value


@pytest.mark.parametrize(
    "text",
    ["", "I cannot tell.", "2-3", "between 2 and 3", "3 or 4", "2 tables and 3 chairs", "The one on the left is red.",
     "A man walks past.", "2024-05-01", "9" * 400, "1." * 5000,
     "2 1/2", "two and a half", "1.5 x 10^2", "minus 3", "at least 3", "More than 3 chairs", "3+", "≥3", "3 or more",
     "1. The chair\n2. The sofa", "mindestens 3",
     "two hundred", "two dozen lamps", "quatre-vingt-cinq", "Der Weg ist 1.200 Meter lang.", "6 lamps (2 lit, 3 dark)",
     "the only one on the left"],
)  # fmt: skip
def test_no_number_is_made_up(text: str) -> None:
    assert NUMBER.parse(text, ITEM) is None


@pytest.mark.parametrize(
    ("value", "share"), [(10, 1), (10.5, 1), (10.6, 0.9), (11, 0.9), (15, 0.1), (15.1, 0), (-10, 0)]
)
def test_the_share_of_tolerances_that_the_error_is_within(value: float, share: float) -> None:
    assert relative_accuracy(value, 10.0) == pytest.approx(share)
    assert relative_accuracy(value, 0.0) == 0


@given(st.floats(0.001, 1e5), st.floats(0.001, 1e5))
def test_nearer_is_never_worse_and_only_the_true_number_has_the_whole_reward(value: float, true: float) -> None:
    item = Question(true)
    near = (value + true) / 2
    assert relative_accuracy(near, true) >= relative_accuracy(value, true)
    answer = NUMBER.parse(f"{value:.6f}", item)
    assert answer is not None
    assert (NUMBER.reward(answer, item) == 1) == (answer.value == true)
    assert NUMBER.equal(true, value) == (relative_accuracy(value, true) == 1)


@given(st.integers(0, 999_999), st.integers(0, 999))
def test_a_true_number_is_written_as_it_is_read_and_has_the_constrained_form(whole: int, part: int) -> None:
    true = float(f"{whole}.{part:03}")
    text = NUMBER.canonical(true)
    assert NUMBER.target(text) == true
    form = NUMBER.constraint(ITEM)
    assert form is not None
    assert re.fullmatch(form.regex, text)


def test_the_best_constant_is_one_of_the_true_numbers_and_there_is_no_random_rule() -> None:
    assert NUMBER.blind([Question(value) for value in (2.0, 9.0, 2.05)]).texts == ("2",) * 3
    with pytest.raises(NotKnown):
        NUMBER.chance(ITEM)
