"""Reading and scoring counts of shapes."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators import Answer, Question, get
from evaluators.shape_counts import likeliest_count

EASY = {"max_frames": 3, "max_instances": 3}
ITEM = Question(target=[3, 1, 4], params=EASY)
COUNTS = get("shape_counts")

STATED = [
    ("3,1,4", [3, 1, 4]),
    ("3, 1, 4", [3, 1, 4]),
    ("3 1 4", [3, 1, 4]),
    ("[3, 1, 4]", [3, 1, 4]),
    ("three, one, four", [3, 1, 4]),
    ("circles: 3, squares: 1, triangles: 4", [3, 1, 4]),
    ("3 circles, 1 square and 4 triangles", [3, 1, 4]),
    ("4 triangles, 3 circles and one square", [3, 1, 4]),
    ("three circles, one rectangle, four triangles", [3, 1, 4]),
    ("There are 3 circles, no squares and 4 triangles.", [3, 0, 4]),
    ("3 red circles, 1 small blue square and 4 triangles", [3, 1, 4]),
    ("three (3) circles, one (1) square, four (4) triangles", [3, 1, 4]),
    ('{"circles": 3, "squares": 1, "triangles": 4}', [3, 1, 4]),
    ('```json\n{\n  "triangles": 4,\n  "circles": 3,\n  "rectangles": 1\n}\n```', [3, 1, 4]),
    ("| circles | 3 |\n| squares | 1 |\n| triangles | 4 |", [3, 1, 4]),
    ("- **Circles:** 3\n- **Squares:** 1\n- **Triangles:** 4", [3, 1, 4]),
    ("circles 3, squares 1, triangles 4", [3, 1, 4]),
    ("Circles (3), squares (1), triangles (4)", [3, 1, 4]),
    ("Answer: 3 (circles), 1 (squares), 4 (triangles)", [3, 1, 4]),
    ("Number of circles: 3\nNumber of squares: 1\nNumber of triangles: 4", [3, 1, 4]),
    ("circles, squares, triangles: 3, 1, 4", [3, 1, 4]),
    ("triangles, circles, squares = 4, 3, 1", [3, 1, 4]),
    ("The numbers are 3, 1, and 4", [3, 1, 4]),
    ("<answer>3,1,4</answer>", [3, 1, 4]),
    (r"\boxed{3, 1, 4}", [3, 1, 4]),
    ("<think>9,9,9</think>3,1,4", [3, 1, 4]),
    ("The answer is 3,1,4.", [3, 1, 4]),
    ("I counted 2 circles, 1 square and 4 triangles. Wait, 3 circles, 1 square and 4 triangles.", [3, 1, 4]),
    ("Frame 1: 2 circles, 1 square, 1 triangle. Frame 2: 1 circle, 0 squares, 3 triangles. Total: 3,1,4", [3, 1, 4]),
]

NOT_STATED = [
    "",
    "many",
    "3,1",
    "3,1,4,5",
    "3.5,1,4",
    "-3,1,4",
    "-3 circles, 1 square, 4 triangles",
    "1,000,3,1",
    "3 circles and 1 square",
    "2 or 3 circles, 1 square, 4 triangles",
    "2-3 circles, 1 square, 4 triangles",
    "99999 circles, 1 square, 4 triangles",
    "several circles, a square and triangles",
    "Frame 1: 2 circles, 1 square. Frame 2: 1 circle, 3 triangles.",
    "Frame 1: 2 circles, 1 square, 1 triangle. Frame 2: 1 circle, 2 squares, 3 triangles.",
    "In the first frame colours 1, 2, 3 appear.",
    "<think>3,1,4",
    "<answer>circles,squares,triangles</answer>",
]


@pytest.mark.parametrize(("text", "counts"), STATED)
def test_reads_what_models_write(text: str, counts: list[int]) -> None:
    answer = COUNTS.parse(text, ITEM)
    assert answer is not None
    assert answer.value == counts
    assert 0 <= answer.span[0] < answer.span[1] <= len(text)


@pytest.mark.parametrize("text", NOT_STATED)
def test_invents_nothing(text: str) -> None:
    assert COUNTS.parse(text, ITEM) is None


counts3 = st.lists(st.integers(0, 16), min_size=3, max_size=3)
PARTS = ["{n} {name}s", "{name}s: {n}", "{name} = {n}", "**{name}s**: {n}"]


@given(
    counts3, st.permutations(["circle", "square", "triangle"]), st.sampled_from(PARTS), st.sampled_from([", ", "\n"])
)
def test_labelled_counts_in_any_order(counts: list[int], names: list[str], part: str, gap: str) -> None:
    by_name = dict(zip(("circle", "square", "triangle"), counts, strict=True))
    answer = COUNTS.parse(gap.join(part.format(n=by_name[name], name=name) for name in names), ITEM)
    assert answer is not None
    assert answer.value == counts


@given(counts3, st.sampled_from(["{}", "**{}**", "<answer>{}</answer>", "The answer is {}.", "<think>1,2,3</think>{}"]))
def test_canonical_gives_the_counts_back(counts: list[int], form: str) -> None:
    answer = COUNTS.parse(form.format(COUNTS.canonical(counts)), ITEM)
    assert answer is not None
    assert answer.value == counts == COUNTS.target(COUNTS.canonical(counts))
    assert COUNTS.reward(answer, Question(counts)) == pytest.approx(1.0, abs=1e-12)


def _answer(*counts: int) -> Answer:
    return Answer(list(counts), "test", (0, 1))


def test_scores_each_shape_on_its_own() -> None:
    scores = COUNTS.score(_answer(3, 2, 4), ITEM)
    assert scores == {
        "exact": pytest.approx(2 / 3), "all_three": 0.0, "circles": 1.0, "squares": 0.0, "triangles": 1.0
    }  # fmt: skip
    assert COUNTS.score(_answer(3, 1, 4), ITEM)["all_three"] == 1.0


def test_reward_is_nearness_per_shape() -> None:
    assert COUNTS.reward(_answer(3, 1, 4), ITEM) == 1.0
    assert COUNTS.reward(_answer(3, 1, 5), ITEM) == pytest.approx((1 + 1 + 0.75) / 3)
    assert COUNTS.reward(_answer(30, 10, 40), ITEM) == 0.0
    assert COUNTS.reward(_answer(0, 0, 0), Question([0, 0, 0])) == 1.0
    assert COUNTS.reward(_answer(1, 0, 0), Question([0, 0, 0])) == pytest.approx(2 / 3)
    assert COUNTS.reward(None, ITEM) == 0.0


@given(counts3, counts3)
def test_reward_is_bounded_and_full_only_for_the_truth(said: list[int], true: list[int]) -> None:
    reward = COUNTS.reward(_answer(*said), Question(true))
    assert 0.0 <= reward <= 1.0
    assert (reward == 1.0) == (said == true)


@pytest.mark.parametrize(("params", "chance"), [(EASY, 1 / 9), ({"max_frames": 4, "max_instances": 4}, 1 / 16)])
def test_chance_is_that_of_the_published_random_row(params: dict[str, int], chance: float) -> None:
    assert COUNTS.chance(Question([1, 2, 3], (), params)) == pytest.approx(chance)


def test_chance_is_what_guessing_gives() -> None:
    item = Question([2, 9, 12], (), EASY)  # 12 is never guessed
    rng = random.Random(3)
    scores = []
    for _ in range(3000):
        answer = COUNTS.parse(COUNTS.guess(item, rng), item)
        assert answer is not None
        scores.append(COUNTS.score(answer, item)["exact"])
    assert COUNTS.chance(item) == pytest.approx(2 / 27)
    assert sum(scores) / 3000 == pytest.approx(2 / 27, abs=0.015)


@pytest.mark.parametrize("least", [0, 1, 2])
@pytest.mark.parametrize(("frames", "instances"), [(2, 1), (2, 3), (3, 3), (3, 2)])
def test_likeliest_count_against_enumeration(frames: int, instances: int, least: int) -> None:
    odds: dict[int, float] = {}
    for used in range(least, frames + 1):
        for drawn in itertools.product(range(1, instances + 1), repeat=used):
            odds[sum(drawn)] = odds.get(sum(drawn), 0.0) + 1 / (frames - least + 1) / instances**used
    count, probability = likeliest_count(frames, instances, least)
    assert probability == pytest.approx(max(odds.values())) == pytest.approx(odds[count])


def test_blind_is_the_likeliest_count_of_each_distribution() -> None:
    (easy, easy_odds), (hard_count, hard_odds) = likeliest_count(3, 3), likeliest_count(4, 4)
    assert (easy, hard_count) == (3, 4)
    assert easy_odds == pytest.approx(0.1975, abs=5e-5)
    assert hard_odds == pytest.approx(0.122, abs=5e-4)
    hard = Question([4, 4, 4], (), {"max_frames": 4, "max_instances": 4})
    blind = COUNTS.blind([ITEM, hard])
    assert blind.texts == ("3,3,3", "4,4,4")
    assert "probability 0.198" in blind.statement
    assert "probability 0.122" in blind.statement


def test_blind_without_a_distribution_says_what_it_is_based_on() -> None:
    blind = COUNTS.blind([Question([2, 1, 5]), Question([2, 3, 5]), Question([1, 3, 4])])
    assert blind.texts == ("2,3,5",) * 3
    assert "most frequent counts of these 3 items" in blind.statement


def test_whole_string_takes_the_bare_answer_only() -> None:
    strict = get("shape_counts", parse="whole_string")
    answer = strict.parse("3,1,4", ITEM)
    assert answer is not None
    assert answer.value == [3, 1, 4]
    assert strict.parse("The answer is 3,1,4", ITEM) is None


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match="parse must be one of robust, whole_string"):
        get("shape_counts", parse="first_char")
    with pytest.raises(ValueError, match="max_frames"):
        COUNTS.chance(Question([1, 2, 3]))
    with pytest.raises(ValueError, match="circles, squares, triangles"):
        COUNTS.score(_answer(1, 2, 3), Question([1, 2]))
    with pytest.raises(ValueError, match="not three counts"):
        COUNTS.target("3,1")
