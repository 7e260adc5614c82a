"""Choices as publishers write them, and the letter that their own answers mean."""

from __future__ import annotations

from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.datasets.choices import Choices, of, split_inline

WORD = st.sampled_from(["red", "blue", "lid", "kite", "3", "A", "man's", "dog"])
WORDS = st.lists(WORD, min_size=2, max_size=4).map(" ".join)
TEXTS = st.lists(WORDS.map(lambda words: f"x{words}"), min_size=2, max_size=10, unique=True)


@given(TEXTS, st.sampled_from(["{}. {}", "({}) {}", "{}: {}", "{}) {}"]))
def test_own_letters_are_taken_off_and_given_anew(texts: list[str], form: str) -> None:
    lettered = [form.format(letter, text) for letter, text in zip(ascii_uppercase, texts, strict=False)]
    assert of(lettered) == of(texts) == Choices(tuple(ascii_uppercase[: len(texts)]), tuple(texts))


@given(TEXTS, st.sampled_from(["{}. {}", "({}) {}", "Option {}: {}", "Sentence {}: {}", "  {}) {}"]), st.booleans())
def test_inline_options_are_split_off_and_the_instruction_dropped(texts: list[str], form: str, numbers: bool) -> None:
    marks = [str(n + 1) for n in range(len(texts))] if numbers and form.startswith("Option") else ascii_uppercase
    lines = [form.format(mark, text) for mark, text in zip(marks, texts, strict=False)]
    stem, options = split_inline("\n".join(["Which of these?", *lines, "Please select one letter."]))
    assert stem == "Which of these?"
    assert options == Choices(tuple(marks[: len(texts)]), tuple(texts))
    for letter, text, line in zip(options.letters, texts, lines, strict=True):
        assert options.letter(letter) == options.letter(text) == options.letter(line) == letter


def test_the_last_list_is_the_options() -> None:
    text = "A. is the name of a band.\nWho plays?\nA. the cat\nB. the dog\n  and its pup\nC. nobody"
    stem, options = split_inline(text)
    assert stem == "A. is the name of a band.\nWho plays?"
    assert options.texts == ("the cat", "the dog and its pup", "nobody")


def test_one_text_that_holds_all_options_is_split() -> None:
    assert of(["A. up B. down C. in a box D. out"]).texts == ("up", "down", "in a box", "out")
    assert of(["A. up\nB. down"]).texts == ("up", "down")


def test_repeated_letters_are_given_by_place() -> None:
    assert of(["A. one", "B. two", "B. three", "B. four"]).letters == ("A", "B", "C", "D")


def test_yes_and_no_without_letters_are_answered_as_such() -> None:
    options = of(["Yes.", "No."])
    assert options.letters == ("yes", "no")
    assert options.lines() == ""
    assert [options.letter(text) for text in ("Yes", "no", "No.", "A", "B")] == ["yes", "no", "no", "yes", "no"]
    assert of(["A. Yes.", "B. No."]).letters == ("A", "B")
    assert of(["A. Yes.", "B. No."]).lines() == "A. Yes.\nB. No."


def test_an_option_that_only_begins_like_a_letter_keeps_its_text() -> None:
    assert of(["A man.", "B movies.", "C major."]).texts == ("A man.", "B movies.", "C major.")
    assert of(["A. Smith", "nobody"]).texts == ("A. Smith", "nobody")


@pytest.mark.parametrize("value", [[], ["one"], ["A. only"], [str(n) for n in range(27)]])
def test_what_is_no_choice_is_refused(value: list[str]) -> None:
    with pytest.raises(ValueError, match="options"):
        of(value)


@pytest.mark.parametrize("answer", ["", "E", "a bird", "B. a cat", "Answer", "yes"])
def test_an_answer_that_is_no_option_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match="none of the options"):
        of(["a cat", "a dog"]).letter(answer)


def test_a_question_without_options_is_refused() -> None:
    with pytest.raises(ValueError, match="no lettered options"):
        split_inline("Why?\nA. Because.")
