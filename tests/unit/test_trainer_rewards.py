"""Rewards are the evaluators'; diagnostics tell learning from collapse; the constant baseline needs no video."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evaluators
from evaluators.permutation import Permutation
from trainer import rewards
from trainer.config import TrainConfig
from trainer.rewards import (
    AnswerGroup,
    AnswerHistory,
    Diagnostics,
    Reward,
    Rewarder,
    best_constant,
    constant_reward,
    diagnose,
    diagnose_tasks,
    shaped,
    top_share_limit,
)
from viubench.errors import ViubenchError
from viubench.schema import Clip, Sample


def sample(task: str, target: object, answer: str, at: int = 0, **params: object) -> Sample:
    return Sample(
        id=f"{task}-{at}", task=task, cluster="v", clips=(Clip(path="v.mp4"),), question="<video> what?", target=target,
        answer_text=answer, params=dict(params),
    )  # fmt: skip


GROUND = sample("ground", [3.0, 8.0], "3.0-8.0", times=[0.0, 10.0])
ORDER = sample("order", [1, 2, 3, 4], "1234", n=4)
COUNT = sample("count", [2, 1, 4], "2,1,4")
NAMES = {"ground": "temporal_iou", "order": "permutation", "count": "shape_counts"}


def rewarder(kind: str) -> Rewarder:
    return Rewarder(dict.fromkeys(NAMES, kind), {task: evaluators.get(name) for task, name in NAMES.items()})  # type: ignore[arg-type]


# --- rewards ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "text", "smooth", "strict"),
    [
        (GROUND, "3.0-8.0", 1, 1),
        (GROUND, "From 3 to 8 seconds.", 1, 1),
        (GROUND, "3.0-5.5", 0.5, 0),
        (GROUND, "no idea", 0, 0),
        (ORDER, "1234", 1, 1),
        (ORDER, "2134", 0.75, 0),
        (ORDER, "4321", 0, 0),
        (ORDER, "1134", 0, 0),
    ],
)
def test_smooth_and_strict(item: Sample, text: str, smooth: float, strict: float) -> None:
    near = rewarder("smooth")(item, text, "stop")
    exact = rewarder("strict")(item, text, "stop")
    assert near.value == pytest.approx(smooth)
    assert exact.value == near.strict == exact.strict == strict
    assert near.parsed == (text not in ("no idea", "1134"))


@pytest.mark.parametrize("item", [GROUND, ORDER, COUNT])
def test_the_truth_earns_one_of_either_kind(item: Sample) -> None:
    for kind in ("smooth", "strict"):
        assert rewarder(kind)(item, item.answer_text, "stop").value == 1


def test_two_of_three_counts_are_not_fully_right() -> None:
    """`exact` of the counting evaluator is a mean over shapes; the strict reward is all or nothing."""
    said = evaluators.get("shape_counts").canonical([2, 1, 3])
    seen = rewarder("smooth")(COUNT, said, "stop")
    assert seen.value == pytest.approx((1 + 1 + 0.75) / 3)
    assert seen.strict == 0


@given(st.floats(0, 1000), st.floats(0.1, 1000))
def test_the_same_interval_is_fully_right_whatever_rounding_does(start: float, length: float) -> None:
    start, end = round(start, 1), round(start + length, 1)
    item = sample("ground", [start, end], "", times=[0.0, 3000.0])
    assert rewarder("strict")(item, f"{start:.1f}-{end:.1f}", "stop").value == 1


def test_an_answer_cut_by_the_token_limit_earns_nothing() -> None:
    whole, cut = (rewarder("smooth")(GROUND, "It is 3.0-8", finish) for finish in ("stop", "length"))
    assert whole == Reward(1.0, 1.0, True, [3.0, 8.0])
    assert cut == Reward(0.0, 0.0, False, None)
    assert rewarder("smooth")(GROUND, "From 3.0 to 8.0 seconds, as the colours show", "length").value == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1.5, -0.1])
def test_a_reward_that_is_no_share_is_refused_by_name(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Permutation, "reward", lambda *_: bad)
    with pytest.raises(ViubenchError, match=f"'order' for sample 'order-0' is {bad}, not a number"):
        rewarder("smooth")(ORDER, "1234", "stop")


def test_a_random_reward_knows_its_turn_and_nothing_else() -> None:
    control = rewarder("random")
    turns = [(step, place, number) for step in range(10) for place in range(10) for number in range(10)]
    values = [control(ORDER, "1234", "stop", turn).value for turn in turns]
    assert len(set(values)) == len(values)
    assert all(0 <= value < 1 for value in values)
    assert sum(values) / len(values) == pytest.approx(0.5, abs=0.05)
    assert values == [control(GROUND, "no idea", "length", turn).value for turn in turns]
    assert control(ORDER, "1234", "stop", (0, 0, 0)).strict == 1
    other = Rewarder(control.kinds, control.evaluators, seed=1)
    assert other(ORDER, "1234", "stop", (0, 0, 0)).value != values[0]
    assert control(ORDER, "2134", "stop").value == 0.75, "outside a step there is no turn: the smooth reward"


def test_a_thousand_answers_earn_what_a_run_of_the_harness_scores() -> None:
    """Near and far answers, in words, cut and unreadable ones: the reward is the score of the graded answer."""
    from viubench.scoring.grade import grade

    draw, given = random.Random(0), rewarder("smooth")
    wholes = {"ground": "{:.1f}-{:.1f}", "order": "{}{}{}{}", "count": "{},{},{}"}
    values = []
    for _ in range(1000):
        item = draw.choice([GROUND, ORDER, COUNT])
        numbers = [draw.uniform(0, 10) if item is GROUND else draw.randint(1, 5) for _ in range(4)]
        text = draw.choice(["{}", "The answer is {}.", "<think>3.0-8.0 or 1234</think>{}", "{} or so", "no"])
        text = text.format(draw.choice([item.answer_text, wholes[item.task].format(*numbers)]))
        finish = draw.choice(["stop", "stop", "length"])
        evaluator = given.evaluators[item.task]
        graded = grade(text, finish, item, evaluator)
        expected = evaluator.reward(graded.answer, item)
        reward = given(item, text, finish)
        assert reward.value == expected
        assert reward.parsed == (graded.answer is not None)
        exact = {"ground": "r@0.7", "order": "exact", "count": "all_three"}[item.task]
        assert reward.strict <= graded.scores.get(exact, 0.0)
        if item is GROUND:
            assert reward.value == graded.scores.get("iou", 0.0), "of grounding the score itself"
        if item is not GROUND:
            assert reward.strict == graded.scores.get(exact, 0.0)
        values.append(reward.value)
    assert values.count(0.0) > 100
    assert values.count(1.0) > 100
    assert len(set(values)) > 50


# --- length -----------------------------------------------------------------------------------------------


def config(**more: object) -> TrainConfig:
    return TrainConfig.model_validate({"run_name": "t", "tasks": {"a": {}}, "max_steps": 1} | more)


def values(lengths: Sequence[int], **more: object) -> list[float]:
    """What answers of these lengths that earned 0.5 are trained on."""
    return shaped([Reward(0.5, 0.0, True, "a")] * len(lengths), lengths, config(max_completion_length=100, **more))


def test_the_length_of_an_answer_does_not_matter_unless_asked_for() -> None:
    assert values([1, 80, 100]) == [0.5] * 3


def test_an_answer_that_nears_the_limit_loses_up_to_one() -> None:
    """DAPO's equation 13: 0 up to the limit less the cache, then linear down to -1 at the limit."""
    assert values([1, 80, 85, 95, 100], soft_punish_cache=20) == pytest.approx([0.5, 0.5, 0.25, -0.25, -0.5])


def test_the_length_penalty_is_a_share_of_the_limit() -> None:
    assert values([0, 25, 100], length_penalty=0.2) == pytest.approx([0.5, 0.45, 0.3])
    both = values([90], length_penalty=0.2, soft_punish_cache=20)
    assert both == pytest.approx([0.5 - 0.5 - 0.18])


# --- diagnostics ------------------------------------------------------------------------------------------


def group(values: Sequence[float], answers: Sequence[object], task: str = "t", length: int = 4) -> AnswerGroup:
    pairs = zip(values, answers, strict=True)
    return AnswerGroup(task, [Reward(v, float(v == 1), a is not None, a) for v, a in pairs], [length] * len(values))


def seen(answers: Sequence[object]) -> Diagnostics:
    return diagnose([group([0.5], [answer]) for answer in answers])


def test_a_step_counted_by_hand() -> None:
    seen = diagnose(
        [
            group([1.0, 0.5, 0.5, 0.0], ["a", "b", "b", None], length=2),  # main answer b
            group([0.5] * 4, ["b", "b", "c", "d"], length=4),  # b, and nothing to learn
            group([0.0] * 4, [None] * 4, length=6),  # none, and nothing to learn
            group([1.0, 1.0, 1.0, 0.0], [[1, 2], [1, 2], [1, 2], "a"], length=8),
        ]
    )
    assert seen == Diagnostics(
        reward=pytest.approx(7 / 16), strict=4 / 16, parsed=11 / 16, zero_advantage=2 / 4, distinct=2 / 4, top=2 / 4,
        length=5.0, answers=('"b"', '"b"', None, "[1,2]"),
    )  # fmt: skip


def collapse_reason(looks: Sequence[Diagnostics], top_share: float = rewards.TOP_SHARE) -> str | None:
    history = AnswerHistory()
    for one in looks:
        history.add(one.answers)
    return history.collapse_reason(top_share)


def test_rollouts_that_agree_on_their_question_are_no_collapse() -> None:
    groups = [group([1.0] * 8, [at] * 8) for at in range(64)]
    seen = diagnose(groups)
    assert (seen.distinct, seen.top) == (1, 1 / 64)
    assert collapse_reason([diagnose([group([0.5] * 8, range(8 * at, 8 * at + 8)) for at in range(64)]), seen]) is None


def test_each_task_is_seen_by_itself() -> None:
    seen = diagnose_tasks([group([1.0], ["a"], "y"), group([0.0], ["b"], "x"), group([0.5], ["c"], "y")])
    assert list(seen) == ["x", "y"]
    assert (seen["x"].reward, seen["y"].reward, len(seen["y"].answers)) == (0.0, 0.75, 2)
    assert seen["y"].numbers() == {
        "reward": 0.75, "strict": 0.5, "parsed": 1.0, "zero_advantage": 1.0, "distinct": 1.0, "top": 0.5, "length": 4.0,
    }  # fmt: skip


def test_a_constant_answer_raises_the_alarm() -> None:
    healthy = seen(range(64))
    assert collapse_reason([healthy]) is None
    assert '"1.0-4.0" answers 100% of the last 64 questions' in str(collapse_reason([healthy, seen(["1.0-4.0"] * 64)]))


def test_the_share_of_the_top_answer_is_a_stated_limit() -> None:
    answers = ["top"] * 13 + list(range(51))  # 13 / 64 = 20.3 %
    assert collapse_reason([seen(answers)])
    assert not collapse_reason([seen(answers)], top_share=0.25)
    assert not collapse_reason([seen(["top"] * 12 + list(range(52)))])


def test_answers_that_fall_by_half_raise_the_alarm() -> None:
    first = seen(range(64))
    assert collapse_reason([first, seen([at % 33 for at in range(64)])]) is None
    assert "fell from 64 in the first 64 questions to 32" in str(
        collapse_reason([first, seen([at % 32 for at in range(64)])])
    )


def test_small_steps_are_pooled_before_the_alarm_judges() -> None:
    """Five questions of one answer are no evidence; sixty-four are."""
    constant = [seen(["a"] * 5) for _ in range(13)]
    assert collapse_reason(constant[:12]) is None
    assert collapse_reason([]) is None
    assert collapse_reason(constant)
    assert collapse_reason([seen(range(5 * at, 5 * at + 5)) for at in range(40)]) is None


def test_a_policy_that_cannot_be_read_yet_has_not_collapsed_but_one_that_no_longer_can_has() -> None:
    silent, healthy = seen([None] * 64), seen(range(64))
    assert silent.distinct == silent.top == 0
    assert collapse_reason([silent, silent]) is None
    assert collapse_reason([silent, healthy]) is None
    assert "to 0 in the last" in str(collapse_reason([healthy, silent]))


LETTERS = st.sampled_from("abcdefgh")


@given(
    st.one_of(
        st.lists(st.lists(LETTERS, min_size=1, max_size=8), max_size=20),
        st.lists(st.lists(LETTERS, min_size=20, max_size=20), max_size=6),
    ),
    st.integers(8, 30),
)
def test_the_ends_of_a_history_raise_the_alarm_of_the_whole(history: list[list[str]], size: int) -> None:
    """At every step, though only the first and the last answers are kept."""
    kept, whole = AnswerHistory(size), list[str]()
    for answers in history:
        kept.add(answers)
        whole += answers
        size = kept.size
        last = whole[-size:]
        often = max(last.count(answer) for answer in last) > 0.2 * size
        fell = len(whole) >= 2 * size and len(set(whole[:size])) >= 2 * len(set(last))
        assert (kept.collapse_reason(0.2) is not None) == (len(whole) >= size and (often or fell))


def test_a_choice_among_few_answers_may_have_a_frequent_one() -> None:
    """Half the answers are `1234`: three quarters of them may be; of 24 even orders, a fifth."""
    from itertools import permutations

    evaluator = evaluators.get("permutation")
    even = [sample("order", list(p), "".join(map(str, p)), at) for at, p in enumerate(permutations(range(1, 5)))]
    assert top_share_limit(even, evaluator) == pytest.approx(0.2)
    assert top_share_limit([*even, *[even[0]] * 22], evaluator) == pytest.approx(0.75)
    assert top_share_limit([*even[:6], even[0]], evaluator) == pytest.approx(4 / 7)


# --- the constant baseline ------------------------------------------------------------------------------------------


def test_the_best_constant_is_found_among_the_true_answers() -> None:
    windows = [[0.0, 4.0], [1.0, 4.0], [1.0, 5.0], [7.0, 9.0]]
    items = [sample("ground", w, f"{w[0]}-{w[1]}", at, times=[0.0, 10.0]) for at, w in enumerate(windows)]
    evaluator = evaluators.get("temporal_iou")
    best = best_constant(items, evaluator)
    assert best == "1.0-4.0"
    assert constant_reward(best, items, evaluator) == pytest.approx((3 / 4 + 1 + 3 / 4 + 0) / 4)
    assert constant_reward(best, items[3:], evaluator) == 0


def test_an_order_earns_its_known_baseline() -> None:
    """Over all 4! orders every constant earns 1 - 5 / 8: the mean displacement is (n^2 - 1) / 3 = 5 of 8."""
    from itertools import permutations

    items = [sample("order", list(p), "".join(map(str, p)), at) for at, p in enumerate(permutations(range(1, 5)))]
    evaluator = evaluators.get("permutation")
    assert constant_reward(best_constant(items, evaluator), items, evaluator) == pytest.approx(0.375)


def test_the_baseline_of_a_strict_reward_is_the_most_frequent_answer() -> None:
    orders = ("1234", "1243", "2134", "4321", "4321")
    items = [sample("order", list(map(int, order)), order, at) for at, order in enumerate(orders)]
    evaluator = evaluators.get("permutation")
    smooth, strict = best_constant(items, evaluator), best_constant(items, evaluator, "strict")
    assert (smooth, strict, constant_reward(strict, items, evaluator, "strict")) == ("1234", "4321", 2 / 5)
    assert constant_reward("1234", items, evaluator, "strict") == 1 / 5
    assert best_constant(items, evaluator, "random") == smooth


def test_a_blind_answer_that_no_item_has_is_tried_too() -> None:
    """The order as shown is one swap from each of these orders, which are two swaps from each other."""
    orders = ("2134", "1243", "1324")
    items = [sample("order", list(map(int, order)), order, at) for at, order in enumerate(orders)]
    evaluator = evaluators.get("permutation")
    assert best_constant(items, evaluator) == "1234"
    assert constant_reward("1234", items, evaluator) == pytest.approx(0.75)


def test_a_large_set_is_searched_in_part_and_scored_whole() -> None:
    items = [sample("order", [2, 1, 3] if at % 3 else [1, 2, 3], "213" if at % 3 else "123", at) for at in range(900)]
    evaluator = evaluators.get("permutation")
    assert best_constant(items, evaluator) == "213"
    assert constant_reward("213", items, evaluator) == pytest.approx((600 + 300 * 0.5) / 900)
