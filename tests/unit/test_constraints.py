"""The form of an answer: it holds every true answer, and what it allows is read as it was meant."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import Constraint, Evaluator, Question, get
from evaluators.base import Gradable

LETTERS = st.sampled_from([("A", "B"), tuple("ABCDE"), tuple("ABCDEFGHIJ"), ("yes", "no"), ("1", "2", "3")])
CHOICES = LETTERS.flatmap(
    lambda letters: st.builds(Question, st.sampled_from(letters), params=st.just({"letters": letters}))
)
COUNTS = st.builds(Question, st.lists(st.integers(0, 1000), min_size=3, max_size=3))
ORDERS = st.integers(1, 5).flatmap(lambda n: st.builds(Question, st.permutations(range(1, n + 1)).map(list)))
SECONDS = st.floats(0, 359_999).filter(lambda value: value == 0 or value > 1e-4) | st.integers(0, 3600).map(float)
SPANS = st.lists(SECONDS, min_size=2, max_size=2).map(sorted)
INTERVALS = st.builds(Question, SPANS | st.lists(SPANS, min_size=1, max_size=3))


def allowed(constraint: Constraint, text: str) -> bool:
    return text in constraint.choices or bool(constraint.regex and re.fullmatch(constraint.regex, text))


def texts(constraint: Constraint) -> st.SearchStrategy[str]:
    """Any text that a constraint allows."""
    if constraint.choices:
        return st.sampled_from(constraint.choices)
    return st.from_regex(re.compile(constraint.regex, re.ASCII), fullmatch=True)


@settings(max_examples=80, deadline=None)
@given(st.data())
@pytest.mark.parametrize(
    ("evaluator", "items"),
    [
        (get("choice"), CHOICES),
        (get("paired_choice"), CHOICES),
        (get("shape_counts"), COUNTS),
        (get("shape_counts", parse="whole_string"), COUNTS),
        (get("permutation"), ORDERS),
        (get("permutation", separator=","), ORDERS),
        (get("permutation", separator=" > "), ORDERS),
        (get("permutation", parse="whole_string"), ORDERS),
        (get("temporal_iou"), INTERVALS),
    ],
    ids=str.split("choice paired counts counts-whole orders orders-comma orders-arrow orders-whole intervals"),
)
def test_true_answers_have_the_form_and_all_that_has_it_is_read(
    evaluator: Evaluator, items: st.SearchStrategy[Gradable], data: st.DataObject
) -> None:
    item = data.draw(items)
    constraint = evaluator.constraint(item)
    assert constraint is not None
    assert bool(constraint.choices) != bool(constraint.regex)
    assert allowed(constraint, evaluator.canonical(item.target))
    text = data.draw(texts(constraint))
    answer = evaluator.parse(text, item)
    if evaluator.name == "temporal_iou":
        start, end = map(float, text.split("-"))
        assert (answer.value if answer else None) == ([start, end] if start <= end else None)
    else:
        assert answer is not None
        assert evaluator.canonical(answer.value) == text


def test_first_pair_reads_an_interval_of_its_form_with_the_ends_sorted() -> None:
    evaluator, item = get("temporal_iou", parse="first_pair"), Question([1.0, 2.0])
    constraint = evaluator.constraint(item)
    assert constraint is not None
    assert allowed(constraint, "8.123456789012-3.0")
    assert not allowed(constraint, "8.1234567890123-3.0")  # this rule would read it from its middle
    answer = evaluator.parse("8.123456789012-3.0", item)
    assert answer is not None
    assert answer.value == [3.0, 8.123456789012]


@pytest.mark.parametrize(("n", "choices"), [(2, 2), (5, 120), (6, 0), (8, 0)])
def test_orders_are_choices_while_they_are_few(n: int, choices: int) -> None:
    constraint = get("permutation").constraint(Question(list(range(1, n + 1))))
    assert constraint is not None
    assert len(constraint.choices) == choices


@settings(max_examples=60, deadline=None)
@given(st.integers(6, 8), st.sampled_from(["", ",", "."]), st.data())
def test_many_orders_are_one_regular_expression_of_orders_alone(n: int, separator: str, data: st.DataObject) -> None:
    constraint = get("permutation", separator=separator).constraint(Question(list(range(1, n + 1))))
    assert constraint is not None
    order = data.draw(st.permutations(range(1, n + 1)) | st.lists(st.integers(0, 9), min_size=n - 1, max_size=n + 1))
    assert allowed(constraint, separator.join(map(str, order))) == (sorted(order) == list(range(1, n + 1)))


def test_too_many_orders_have_no_constraint() -> None:
    assert get("permutation").constraint(Question(list(range(1, 10)))) is None
