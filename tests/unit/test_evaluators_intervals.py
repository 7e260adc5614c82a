"""Reading and scoring a time interval."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evaluators import Question, get
from evaluators.interval_overlap import best_frames, overlap

ITEM = Question(target=[3.2, 8.1], params={"times": [0.0, 5.0, 10.0]})
IOU = get("temporal_iou")

STATED = [
    ("3.2-8.1", [3.2, 8.1]),
    ("from 3.2s to 8.1 s", [3.2, 8.1]),
    ("00:12 - 00:19", [12.0, 19.0]),
    ("0:01:12.5 to 1:14", [72.5, 74.0]),
    ("14.5–26.2 seconds", [14.5, 26.2]),
    ("12.5 seconds … 14 seconds", [12.5, 14.0]),
    ("12.5 seconds and 14 seconds", [12.5, 14.0]),
    ("starts at 3.2 and ends at 8.1", [3.2, 8.1]),
    ("between 3 and 8", [3.0, 8.0]),
    ("Between 00:03 and 00:08, I think.", [3.0, 8.0]),
    ('{"start": 3.2, "end": 8.1}', [3.2, 8.1]),
    ('```json\n{\n  "start_time": "00:03.2",\n  "end_time": "00:08.1"\n}\n```', [3.2, 8.1]),
    ("[3.2, 8.1]", [3.2, 8.1]),
    ("3.2, 8.1", [3.2, 8.1]),
    ("**3.2s** - **8.1s**", [3.2, 8.1]),
    ("3.2 → 8.1", [3.2, 8.1]),
    ("1 minute 12 seconds to 1 minute 20 seconds", [72.0, 80.0]),
    ("1m12s-1m20s", [72.0, 80.0]),
    ("1.5 to 2 minutes", [90.0, 120.0]),
    ("from 00:00:12,500 to 00:00:14,000", [12.5, 14.0]),
    ("From the 3.2 second mark to the 8.1 second mark", [3.2, 8.1]),
    ("from second 3 to second 8", [3.0, 8.0]),
    ("Start time: 3.2 seconds\nEnd time: 8.1 seconds", [3.2, 8.1]),
    ("The change appears at 12.5 seconds and disappears at 14 seconds.", [12.5, 14.0]),
    ("The anomaly lasts from 3.2 s to 8.1 s, 4.9 seconds in total.", [3.2, 8.1]),
    ("The segment runs from 3.2 to 8.1 (frames 10-30)", [3.2, 8.1]),
    ("<answer>3.2-8.1</answer>", [3.2, 8.1]),
    ("<answer>\n3.2 - 8.1 seconds\n</answer> I am 90-95 percent sure.", [3.2, 8.1]),
    (r"The final answer is: $\boxed{3.2 \text{ to } 8.1}$.", [3.2, 8.1]),
    ("<|begin_of_box|>3.2-8.1<|end_of_box|>", [3.2, 8.1]),
    ("<think>maybe 1.0-2.0</think>\n\n3.2-8.1", [3.2, 8.1]),
    ("perhaps 1.0-2.0 seconds</think>3.2-8.1", [3.2, 8.1]),
    ("◁think▷1.0-2.0◁/think▷3.2-8.1", [3.2, 8.1]),
    ("**Answer:** 3.2s to 8.1s", [3.2, 8.1]),
    ("Answer:\n\n**3.2–8.1 s**", [3.2, 8.1]),
    ("The answer is 3.2-8.1. The whole video runs from 0.0 to 60.0 seconds.", [3.2, 8.1]),
    ("I first thought 1.0-2.0. Actually, it is 3.2-8.1.", [3.2, 8.1]),
    ("<answer>1.0-2.0</answer> Wait, <answer>3.2-8.1</answer>", [3.2, 8.1]),
    ("3.2-8.1 seconds\n\nFrom 1.0 to 2.0 seconds the colours are normal.", [3.2, 8.1]),
    ("From 1.0 to 2.0 seconds nothing happens; from 2.0 to 3.2 neither.\n3.2-8.1", [3.2, 8.1]),
    ("It runs from 0.0 to 9.0 s. The flip is seen from 3.2 to 8.1 s, so 3.2-8.1.", [3.2, 8.1]),
]

NOT_STATED = [
    "",
    "I cannot tell.",
    "3.2",
    "from 12s",
    "3 4 5",
    "3-4-5",
    "2023-05-07",
    "3,8",  # perhaps 3.8
    "8.1-3.2",
    "It starts at 8.1 s and ends at 3.2 s.",
    "The answer is 3.2-8.1. Actually, 9.0-5.0.",
    "-3-5",
    "from -3 to 5",
    "from 3 to -5",
    "nan-inf",
    "1e5-2e9",
    "5-99999999",
    "50%-60%",
    "1:02 to 1:75",
    "1,234.5-1,300.2",
    "frames 10-30",
    "There are 3 - 5 people",
    "It moves from 3 tables to 8.",
    "Room 12-14 is empty.",
    "At 10 seconds, 12.5 seconds and 14 seconds it blinks.",
    "<3.2 seconds> <3.7 seconds> <4.2 seconds> <4.7 seconds>",
    "0.0-0.5, 0.5-1.0, 1.0-1.5",
    "0.0-0.5\n0.5-1.0\n1.0-1.5",
    "The segment is 3.2-8.1 and 12.0-15.0",
    "A man enters from 1.0s to 2.0s. A dog leaves from 5.0s to 7.0s.",
    "<think>it must be 3.2-8.1",
    "<answer>start-end</answer> for example",
    r"From 3.2 to 8.1. \boxed{unknown}",
]


@pytest.mark.parametrize(("text", "interval"), STATED)
def test_reads_what_models_write(text: str, interval: list[float]) -> None:
    answer = IOU.parse(text, ITEM)
    assert answer is not None
    assert answer.value == pytest.approx(interval)
    assert 0 <= answer.span[0] < answer.span[1] <= len(text)


@pytest.mark.parametrize("text", NOT_STATED)
def test_invents_nothing(text: str) -> None:
    assert IOU.parse(text, ITEM) is None


def test_span_is_in_the_response_as_given() -> None:
    text = "<think>1.0-2.0</think>\n**Answer:** `3.2`s – **8.1 s** as seen"
    answer = IOU.parse(text, ITEM)
    assert answer is not None
    assert text[slice(*answer.span)] == "3.2`s – **8.1 s"
    assert answer.rule == "phrase/seconds"


tenths = st.integers(0, 36_000).map(lambda tenth: tenth / 10)
intervals = st.tuples(tenths, tenths).map(sorted)
FORMS = [
    "{a}-{b}", "{a} - {b}", "{a}s to {b}s", "from {a} to {b} seconds", "between {a}s and {b}s", "[{a}, {b}]",
    '{{"start": {a}, "end": {b}}}', "It starts at {a} seconds and ends at {b} seconds.", "**{a} s – {b} s**",
    "<think>from 1.0 to 99.5 s</think>{a}-{b}", "<answer>{a}-{b}</answer>", "\\boxed{{{a}-{b}}}",
    "Not 0.1-0.2. The answer is {a}-{b}.",
]  # fmt: skip


@given(intervals, st.sampled_from(FORMS))
def test_any_surface_form_gives_the_interval_back(interval: list[float], form: str) -> None:
    written = form.format(a=f"{interval[0]:.1f}", b=f"{interval[1]:.1f}")
    answer = IOU.parse(written, ITEM)
    assert answer is not None
    assert answer.value == interval


@given(intervals)
def test_clock_gives_the_interval_back(interval: list[float]) -> None:
    a, b = (f"{int(t // 60):02d}:{t % 60:04.1f}" for t in interval)
    answer = IOU.parse(f"From {a} to {b}.", ITEM)
    assert answer is not None
    assert answer.value == pytest.approx(interval)


@given(st.tuples(st.floats(1e-3, 1e5), st.floats(1e-3, 1e5)).map(sorted))
def test_canonical_states_the_target_exactly(target: list[float]) -> None:
    written = IOU.canonical(target)
    assert IOU.target(written) == target
    answer = IOU.parse(written, ITEM)
    assert answer is not None
    assert IOU.score(answer, Question(target))["iou"] == 1.0


def test_canonical_has_one_decimal() -> None:
    assert IOU.canonical([3.2, 8.1]) == "3.2-8.1"
    assert IOU.canonical([20, 34]) == "20.0-34.0"
    assert IOU.target("3.2-8.1") == [3.2, 8.1]


@pytest.mark.parametrize("text", ["", "8.1-3.2", "3.2", "-1-5", "3.2-8.1 s", "nan-nan"])
def test_target_refuses_what_is_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match="not an interval"):
        IOU.target(text)


def test_scores_and_thresholds_that_are_just_reached() -> None:
    answer = IOU.parse("0.0-5.1", ITEM)
    assert answer is not None
    assert IOU.score(answer, Question([0.0, 10.2])) == {"iou": 0.5, "r@0.3": 1.0, "r@0.5": 1.0, "r@0.7": 0.0}
    assert IOU.score(answer, Question([6.0, 10.2]))["iou"] == 0.0
    assert IOU.reward(answer, Question([0.0, 10.2])) == 0.5
    assert IOU.reward(None, ITEM) == 0.0


def test_several_windows() -> None:
    item = Question([[0, 10], [20, 40]])
    scores = {}
    for windows in ("best", "first", "union"):
        evaluator = get("temporal_iou", windows=windows)
        answer = evaluator.parse("20-40", item)
        assert answer is not None
        scores[windows] = evaluator.score(answer, item)["iou"]
    assert scores == {"best": 1.0, "first": 0.0, "union": pytest.approx(20 / 30)}


def test_overlapping_windows_count_once_in_their_union() -> None:
    assert overlap(0, 10, [[0, 6], [4, 10]], "union") == 1.0


@given(intervals, intervals)
def test_overlap_is_symmetric_bounded_and_full_only_on_the_truth(one: list[float], other: list[float]) -> None:
    iou = float(overlap(one[0], one[1], [other], "best"))
    assert 0.0 <= iou <= 1.0
    assert iou == pytest.approx(float(overlap(other[0], other[1], [one], "best")))
    assert (iou == 1.0) == (one == other)


def test_first_pair_reproduces_the_published_script() -> None:
    published = get("temporal_iou", parse="first_pair")
    values = [
        getattr(published.parse(text, ITEM), "value", None) for text in ("8.1 - 3.2", "1-2, no: 3.2-8.1", "3 to 8")
    ]
    assert values == [[3.2, 8.1], [1.0, 2.0], None]


def test_guess_is_the_whole_video_and_chance_its_overlap() -> None:
    guess = IOU.guess(ITEM, random.Random(0))
    assert guess == "0.0-10.0"
    answer = IOU.parse(guess, ITEM)
    assert answer is not None
    assert IOU.chance(ITEM) == IOU.score(answer, ITEM)["iou"] == pytest.approx(0.49)


def _expected_by_counting(a: int, b: int, frames: int, shortest: int, longest: int) -> float:
    means = []
    for length in range(shortest, longest + 1):
        shared = [max(0, min(b, s + length) - max(a, s)) for s in range(frames - length + 1)]
        means.append(sum(x / (b - a + length - x) for x in shared) / len(shared))
    return sum(means) / len(means)


@pytest.mark.parametrize(("frames", "shortest", "longest"), [(12, 2, 4), (9, 1, 9), (5, 5, 5), (20, 3, 3)])
def test_best_constant_interval_against_plain_counting(frames: int, shortest: int, longest: int) -> None:
    pairs = itertools.combinations(range(frames + 1), 2)
    best = max(_expected_by_counting(*pair, frames, shortest, longest) for pair in pairs)
    a, b, expected = best_frames(frames, shortest, longest)
    assert expected == pytest.approx(best)
    assert _expected_by_counting(a, b, frames, shortest, longest) == pytest.approx(best)


def test_best_constant_interval_of_the_benchmark() -> None:
    assert _expected_by_counting(10, 38, 48, 8, 16) == pytest.approx(0.306, abs=5e-4)
    a, b, expected = best_frames(48, 8, 16)
    assert (a, b) == (10, 38)
    assert expected == pytest.approx(_expected_by_counting(10, 38, 48, 8, 16))


def test_blind_maps_frames_to_each_items_own_seconds() -> None:
    params = {"frames": 48, "length": [8, 16]}
    slow = Question([0.0, 9.0], (), {**params, "times": [float(t) for t in range(49)]})
    fast = Question([0.0, 9.0], (), {**params, "times": [5 + t / 2 for t in range(49)]})
    other = Question([0.0, 2.0], (), {"frames": 4, "length": [2, 2], "times": [0.0, 1.0, 2.0, 3.0, 4.0]})
    blind = IOU.blind([slow, fast, other])
    assert blind.texts[:2] == ("10.0-38.0", "10.0-24.0")
    assert "frames 10 to 38 of 48" in blind.statement
    assert "of 4" in blind.statement


def test_blind_without_a_distribution_is_fitted_and_says_so() -> None:
    items = [Question([2.0 * k, 6.0 * k], (), {"times": [0.0, 10.0 * k]}) for k in (1, 2, 3)]
    blind = IOU.blind(items)
    assert blind.texts == ("2.0-6.0", "4.0-12.0", "6.0-18.0")
    assert "fitted on the true intervals of these 3 items" in blind.statement


def test_blind_beats_the_whole_video_on_drawn_segments() -> None:
    rng = random.Random(1)
    items = []
    for _ in range(300):
        length = rng.randint(8, 16)
        start = rng.randint(0, 48 - length)
        params = {"frames": 48, "length": [8, 16], "times": [float(t) for t in range(49)]}
        items.append(Question([float(start), float(start + length)], (), params))
    answers = [IOU.parse(text, item) for text, item in zip(IOU.blind(items).texts, items, strict=True)]
    mean = sum(IOU.reward(answer, item) for answer, item in zip(answers, items, strict=True)) / 300
    assert mean == pytest.approx(0.306, abs=0.03)
    assert mean > sum(map(IOU.chance, items)) / 300


@pytest.mark.parametrize(
    ("params", "message"),
    [({}, "times"), ({"times": [0.0]}, "times"), ({"times": [0.0, 1.0], "frames": 4, "length": [1, 2]}, "5 edges")],
)
def test_missing_or_wrong_params_are_named(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IOU.blind([Question([0.0, 1.0], (), params)])


@pytest.mark.parametrize("target", [[5.0, 3.0], [float("nan"), 1.0], [0.0, float("inf")]])
def test_a_target_that_is_no_interval_is_refused(target: list[float]) -> None:
    answer = IOU.parse("1-2", ITEM)
    assert answer is not None
    with pytest.raises(ValueError, match="not an interval"):
        IOU.score(answer, Question(target))


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="windows must be one of best, first, union, not 'any'"):
        get("temporal_iou", windows="any")
    with pytest.raises(TypeError, match="threshold"):
        get("temporal_iou", threshold=0.5)


@given(st.lists(st.tuples(tenths, tenths).map(sorted), min_size=2, max_size=6, unique_by=tuple))
def test_several_undeclared_intervals_are_ambiguous(pairs: list[list[float]]) -> None:
    assume(all(a < b for a, b in pairs))
    assert IOU.parse("I see it " + ", also ".join(f"from {a} to {b} s" for a, b in pairs) + ".", ITEM) is None
