"""Reading and scoring multiple-choice answers."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import Question, choice, get
from evaluators.reading import read

ITEM = Question(target="B", options=("a blue car", "a red car", "a dog", "two men"))
TEN = Question(target="C", params={"letters": list("ABCDEFGHIJ")})
YES_NO = Question(target="yes", params={"letters": ["yes", "no"]})
CHOICE = get("choice")

STATED = [
    ("B", "B"),
    ("b", "B"),
    ("(B)", "B"),
    ("(b)", "B"),
    ("B)", "B"),
    ("B.", "B"),
    ("B:", "B"),
    ("**B**", "B"),
    ("`B`", "B"),
    ("B. red car", "B"),
    ("B. a red car", "B"),
    ("B - a red car", "B"),
    ("a red car", "B"),
    ("A red car.", "B"),
    ("Two men", "D"),
    ("B, not A", "B"),
    ("The answer is B, not A", "B"),
    ("Answer: (B)", "B"),
    ("Answer: two men", "D"),
    ("Answer: A\n\nExplanation: B shows a different car.", "A"),
    ("Best option:(B)", "B"),
    ("Option B", "B"),
    ("The best option is: **D. two men**", "D"),
    ("The answer is a red car.", "B"),
    ("I think C", "C"),
    ("I would choose option C.", "C"),
    ("C is correct.", "C"),
    ("The video shows a dog", "C"),
    ("B is the correct answer since A is wrong.", "B"),
    ("The correct answer based on the video is C.", "C"),
    ("So the answer is likely B", "B"),
    ("B\n\nBecause option A is wrong.", "B"),
    ("The answer is A. Wait, no, the answer is C.", "C"),
    ("A. a blue car\nB. a red car\nC. a dog\nD. two men\n\nAnswer: C", "C"),
    ("<think>A</think>B", "B"),
    ("<answer>C</answer>", "C"),
    ("<answer>B. a red car</answer>", "B"),
    (r"\boxed{\text{B}}", "B"),
    (r"Therefore, the final answer is: $\boxed{C}$.", "C"),
]

NOT_STATED = [
    "",
    " ",
    ")",
    "(",
    "A man walks in",
    "Answer: A man is walking",
    "As shown, the car stops.",
    "According to the video, both cars stop.",
    "A or B",
    "A, B",
    "B\nC",
    "The answer is A or B.",
    "The answer is not B",
    "It is not option A.",
    "Option A shows a man. Option B shows a dog.",
    "A. a blue car\nB. a red car\nC. a dog\nD. two men",
    "A. a blue car B. a red car C. a dog D. two men",
    "E",
    "Z",
    "<think>B",
]


@pytest.mark.parametrize(("text", "letter"), STATED)
def test_reads_what_models_write(text: str, letter: str) -> None:
    answer = CHOICE.parse(text, ITEM)
    assert answer is not None
    assert answer.value == letter
    assert 0 <= answer.span[0] < answer.span[1] <= len(text)


@pytest.mark.parametrize("text", NOT_STATED)
def test_invents_nothing(text: str) -> None:
    assert CHOICE.parse(text, ITEM) is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("I think C", "C"),
        ("I believe the answer is E", "E"),
        ("I would say D.", "D"),
        ("I", "I"),
        ("(I)", "I"),
        ("I. the last one", "I"),
        ("I think the man leaves", None),
        ("I don't know", None),
        ("I'm not certain", None),
        ("I would guess nothing", None),
    ],
)
def test_the_pronoun_is_not_the_ninth_option(text: str, letter: str | None) -> None:
    assert getattr(CHOICE.parse(text, TEN), "value", None) == letter


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Yes", "yes"),
        ("**No**", "no"),
        ("No, the man leaves.", "no"),
        ("Yes, no one is there.", "yes"),
        ("Yes it is", "yes"),
        ("The answer is no.", "no"),
        ("<answer>YES</answer>", "yes"),
        ("yes or no", None),
        ("No one is walking", None),
        ("Not sure", None),
        ("Both videos show it", None),
    ],
)
def test_yes_and_no(text: str, word: str | None) -> None:
    assert getattr(CHOICE.parse(text, YES_NO), "value", None) == word


def test_letters_follow_the_item() -> None:
    three = Question(target="A", options=("x", "y", "z"))
    assert CHOICE.parse("D", three) is None
    assert CHOICE.chance(three) == pytest.approx(1 / 3)
    assert CHOICE.chance(Question("A")) == 0.25
    assert CHOICE.chance(YES_NO) == 0.5


def test_options_that_bring_their_letters_or_repeat_a_text() -> None:
    lettered = Question(target="B", options=("A. red", "B. green", "C. red"))
    assert getattr(CHOICE.parse("green", lettered), "value", None) == "B"
    assert CHOICE.parse("red", lettered) is None


FORMS = ["{}", "({})", "{}.", "**{}**", "Answer: {}", "The answer is ({}).", "<answer>{}</answer>", "\\boxed{{{}}}",
         "<think>A or B</think>{}", "Not sure. Final answer: **{}**"]  # fmt: skip


@given(st.sampled_from("ABCDEFGHIJ"), st.sampled_from(FORMS))
def test_any_surface_form_gives_the_letter_back(letter: str, form: str) -> None:
    item = Question(letter, (), {"letters": list("ABCDEFGHIJ")})
    answer = CHOICE.parse(form.format(CHOICE.canonical(letter)), item)
    assert answer is not None
    assert answer.value == letter == CHOICE.target(CHOICE.canonical(letter))
    assert CHOICE.score(answer, item) == {"accuracy": 1.0}
    assert CHOICE.reward(answer, item) == 1.0


def test_a_wrong_letter_scores_nothing() -> None:
    answer = CHOICE.parse("C", ITEM)
    assert answer is not None
    assert CHOICE.score(answer, ITEM) == {"accuracy": 0.0}


def test_first_char_reproduces_the_published_script() -> None:
    published = get("choice", parse="first_char")
    values = [
        getattr(published.parse(text, ITEM), "value", None)
        for text in ("B. red", "A man", "The answer is B", "(B)", "")
    ]
    assert values == ["B", "A", None, None, None]
    assert published.parse("Yes", YES_NO) is None


def test_guesses_are_uniform_over_the_items_letters() -> None:
    rng = random.Random(2)
    drawn = [CHOICE.guess(ITEM, rng) for _ in range(1200)]
    assert sorted(set(drawn)) == list("ABCD")
    assert all(abs(drawn.count(letter) - 300) < 75 for letter in "ABCD")


def test_blind_is_the_most_frequent_letter_an_item_offers() -> None:
    items = [Question("D"), Question("D"), Question("B"), Question("A", ("x", "y", "z"))]
    blind = CHOICE.blind(items)
    assert blind.texts == ("D", "D", "D", "A")
    assert "always D" in blind.statement
    assert "50.0% of 4 items" in blind.statement


@pytest.mark.parametrize("text", ["", "A B", "(", "yes, indeed"])
def test_target_refuses_what_is_no_letter(text: str) -> None:
    with pytest.raises(ValueError, match="not an option letter"):
        CHOICE.target(text)


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match="parse must be one of robust, first_char"):
        get("choice", parse="any")
    with pytest.raises(ValueError, match="do not name"):
        CHOICE.parse("A", Question("A", (), {"letters": ["A"]}))
    with pytest.raises(ValueError, match="do not name"):
        CHOICE.parse("A", Question("A", ("x", "y", "z"), {"letters": ["A", "B"]}))


@given(
    text=st.sampled_from(["A", "b", "(C)", "[D]", "D.", "b)", " A ", "3", "E", "(a", "a."]),
    options=st.lists(
        st.sampled_from(
            ["a blue car", "A", "the a", "b", "(B)", "an A.", "3", "12", "C. a dog", "the", "是", "option d", "A or B"]
        ),
        min_size=4, max_size=4,
    ),
)  # fmt: skip
def test_a_bare_letter_is_read_as_it_is_with_all_options(text: str, options: list[str]) -> None:
    letters = ("A", "B", "C", "D")
    item = Question(target="A", options=tuple(options))
    assert CHOICE.parse(text, item) == read._read(text, choice._choices(letters, tuple(options)).find, "choice")


def test_a_caller_may_change_an_answer_that_is_remembered() -> None:
    item = Question(target=[2, 1])
    first = get("permutation").parse("2, 1", item)
    assert first is not None
    first.value.reverse()
    again = get("permutation").parse("2, 1", item)
    assert again is not None
    assert again.value == [2, 1]
