"""Reading and scoring the order of clips."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import Answer, Question, get

ORDER = [3, 4, 1, 5, 6, 2]
ITEM = Question(target=ORDER)
PERMUTATION = get("permutation")

STATED = [
    "341562",
    "**341562**",
    "3, 4, 1, 5, 6, 2",
    "3 4 1 5 6 2",
    "3-4-1-5-6-2",
    "3 > 4 > 1 > 5 > 6 > 2",
    "3 -> 4 -> 1 -> 5 -> 6 -> 2",
    r"$3 \rightarrow 4 \to 1 \to 5 \to 6 \to 2$",
    "3\n4\n1\n5\n6\n2",
    "[3, 4, 1, 5, 6, 2]",
    '{"order": [3, 4, 1, 5, 6, 2]}',
    "clip 3 then clip 4 then clip 1 then clip 5 then clip 6 then clip 2",
    "Clip 3, Clip 4, Clip 1, Clip 5, Clip 6, Clip 2",
    "Clips 3, 4, 1, 5, 6 and 2",
    "Video 3, followed by video 4, then video 1, video 5, video 6, and finally video 2.",
    "First clip 3, second clip 4, third clip 1, fourth clip 5, fifth clip 6, last clip 2",
    "1. Clip 3\n2. Clip 4\n3. Clip 1\n4. Clip 5\n5. Clip 6\n6. Clip 2",
    "The order is:\n1. **Clip 3**: a\n2. **Clip 4**: b\n3. Clip 1: c\n4. Clip 5: d\n5. Clip 6: e\n6. Clip 2: f",
    "<answer>341562</answer>",
    r"The final answer is \boxed{341562}.",
    "<think>It begins with 123456.</think>\n341562",
    "Correct order: 3, 4, 1, 5, 6, 2",
    "Clips 1, 2, 3, 4, 5 and 6 show a kitchen. The order is 3, 4, 1, 5, 6, 2.",
    "I think 431562. Actually, 341562.",
    "Probably 123456 at first sight, therefore 341562.",
]

NOT_STATED = [
    "",
    "no idea",
    "34156",
    "3415621",
    "341566",
    "3,4,1,5,6",
    "3,4,1,5,6,6",
    "3,4,1,5,6,7",
    "3,4,1,5,6,2,1",
    "The order is 341562. Actually, 341566.",
    "Clips 1, 2, 3, 4, 5 and 6 show a kitchen.",
    "At 10, 20, 30, 40, 50, 60 seconds",
    "It costs 341562 dollars",
    "3.4.1.5.6.2",
    "Either 341562 or 431562",
    "<think>341562",
]


@pytest.mark.parametrize("text", STATED)
def test_reads_what_models_write(text: str) -> None:
    answer = PERMUTATION.parse(text, ITEM)
    assert answer is not None
    assert answer.value == ORDER
    assert 0 <= answer.span[0] < answer.span[1] <= len(text)


@pytest.mark.parametrize("text", NOT_STATED)
def test_invents_nothing(text: str) -> None:
    assert PERMUTATION.parse(text, ITEM) is None


def test_short_orders_are_not_quantities() -> None:
    item = Question([2, 1])
    assert PERMUTATION.parse("The video is 12 seconds long", item) is None
    answer = PERMUTATION.parse("The answer is 21.", item)
    assert answer is not None
    assert answer.value == [2, 1]


@pytest.mark.parametrize(
    ("text", "value"), [("2, 1, 3", [2, 1, 3]), ("1, 2, 3", [1, 2, 3]), ("Correct order: 2,1,3", [2, 1, 3])]
)
def test_three_clips(text: str, value: list[int]) -> None:
    answer = PERMUTATION.parse(text, Question([2, 1, 3]))
    assert answer is not None
    assert answer.value == value


orders = st.integers(2, 14).flatmap(lambda n: st.permutations(range(1, n + 1)))
SEPARATORS = [", ", ",", " ", "-", " > ", " -> ", " → ", "\n", "; "]


@given(orders, st.sampled_from(SEPARATORS), st.sampled_from(["{}", "The correct order is: {}", "<answer>{}</answer>"]))
def test_any_separator_gives_the_order_back(order: list[int], separator: str, form: str) -> None:
    answer = PERMUTATION.parse(form.format(separator.join(map(str, order))), Question(order))
    assert answer is not None
    assert answer.value == order


@given(orders, st.sampled_from([", ", " then ", ", then ", " → ", "\n"]))
def test_named_clips_give_the_order_back(order: list[int], separator: str) -> None:
    answer = PERMUTATION.parse("Order: " + separator.join(f"clip {clip}" for clip in order), Question(order))
    assert answer is not None
    assert answer.value == order


@given(orders)
def test_canonical_gives_the_order_back(order: list[int]) -> None:
    written = PERMUTATION.canonical(order)
    assert PERMUTATION.target(written) == order
    for evaluator in (PERMUTATION, get("permutation", parse="whole_string")):
        answer = evaluator.parse(written, Question(order))
        assert answer is not None
        assert evaluator.score(answer, Question(order)) == {"exact": 1.0, "step": 1.0}


def test_ten_clips_need_separators() -> None:
    order = [3, 10, 1, 2, 4, 5, 6, 7, 8, 9]
    assert PERMUTATION.canonical(order) == "3,10,1,2,4,5,6,7,8,9"
    assert PERMUTATION.canonical(ORDER) == "341562"
    assert PERMUTATION.parse("31012456789", Question(order)) is None


def _reward(said: list[int], true: list[int]) -> float:
    return PERMUTATION.reward(Answer(said, "test", (0, 1)), Question(true))


def test_reward_is_displacement_against_the_reversed_order() -> None:
    assert _reward([1, 2, 3, 4], [1, 2, 3, 4]) == 1.0
    assert _reward([4, 3, 2, 1], [1, 2, 3, 4]) == 0.0
    assert _reward([2, 1, 3, 4], [1, 2, 3, 4]) == pytest.approx(1 - 2 / 8)
    # Places of clips, not values at places: here clips 1, 2, 3 stand 1, 1 and 2 places off.
    assert _reward([3, 1, 2, 4], [1, 2, 3, 4]) == pytest.approx(1 - 4 / 8)
    assert _reward([2, 4, 1, 3], [4, 1, 2, 3]) == pytest.approx(1 - (2 + 1 + 1 + 0) / 8)
    assert PERMUTATION.reward(None, ITEM) == 0.0


@given(orders, st.randoms(use_true_random=False))
def test_reward_is_bounded_and_full_only_for_the_truth(order: list[int], rng: random.Random) -> None:
    said = rng.sample(order, len(order))
    assert 0.0 <= _reward(said, order) <= 1.0
    assert (_reward(said, order) == 1.0) == (said == order)
    assert _reward(order[::-1], order) == 0.0


def test_scores() -> None:
    answer = PERMUTATION.parse("341526", ITEM)
    assert answer is not None
    assert PERMUTATION.score(answer, ITEM) == {"exact": 0.0, "step": pytest.approx(4 / 6)}


@pytest.mark.parametrize("n", [3, 6, 8])
def test_chance_is_one_in_n_factorial(n: int) -> None:
    item = Question(list(range(n, 0, -1)))
    assert PERMUTATION.chance(item) == 1 / math.factorial(n)
    answer = PERMUTATION.parse(PERMUTATION.guess(item, random.Random(1)), item)
    assert answer is not None
    assert sorted(answer.value) == list(range(1, n + 1))


def test_guesses_are_uniform() -> None:
    rng = random.Random(5)
    drawn = [PERMUTATION.guess(Question([1, 2, 3]), rng) for _ in range(1200)]
    assert sorted(set(drawn)) == ["123", "132", "213", "231", "312", "321"]
    assert all(abs(drawn.count(order) - 200) < 60 for order in set(drawn))


def test_blind_is_the_shown_order_and_states_its_odds() -> None:
    blind = PERMUTATION.blind([ITEM, Question([2, 1, 3, 4, 5, 6, 7, 8])])
    assert blind.texts == ("123456", "12345678")
    assert "1/6!" in blind.statement
    assert "1/8!" in blind.statement


def test_whole_string_takes_the_bare_answer_only() -> None:
    strict = get("permutation", parse="whole_string")
    values = [
        getattr(strict.parse(text, ITEM), "value", None) for text in ("341562", "Order: 341562", "34156", "341566")
    ]
    assert values == [ORDER, None, None, None]


@pytest.mark.parametrize("text", ["", "a", "133", "013", "1,,2", "²1"])
def test_target_refuses_what_is_no_order(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        PERMUTATION.target(text)


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="parse must be one of robust, whole_string"):
        get("permutation", parse="loose")
