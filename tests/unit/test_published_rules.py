"""Published rules do what their sources do, faults included; our own evaluators have none of these faults."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import Question, Scored, get
from evaluators.plugins import registered
from evaluators.published import Rule, RuleVerdict, get_rule

LETTERS = ["A", "B", "C", "D"]
ITEM = Question("B", ("a lamp", "a cup", "a globe", "a tent"), {"letters": LETTERS, "gold": "B. a cup"})
TEN = Question("C", tuple(f"thing {k}" for k in range(10)), {"letters": list("ABCDEFGHIJ")})
YES_NO = Question("no", ("Yes.", "No."), {"letters": ["yes", "no"], "gold": "No"})
CAPTION = Question("1", ("he sits", "he stands: up"), {"letters": ["1", "2"], "gold": "Option 1: he sits"})
ORDER = Question([2, 1, 3])
WINDOW = Question([3.0, 8.0], (), {"times": [0.0, 10.0]})

ITEM_OF = {
    "lmms-eval/tempcompass_yes_no": (YES_NO, "no"),
    "lmms-eval/tempcompass_caption_matching": (CAPTION, "Option 1"),
    "lmms-eval/temporal_grounding_charades": (WINDOW, "3.0 - 8.0"),
    **{
        f"{where}/vcrbench{part}": (ORDER, "2, 1, 3")
        for where in ("official", "lmms-eval")
        for part in ("", "_step", "_weighted")
    },
    "videossr/vtg": (WINDOW, "3.0-8.0"),
    "lmms-eval/timelens": (WINDOW, "3.0 - 8.0"),
    "lmms-eval/vsibench_number": (Question(3.0), "3"),
}
PIECES = [*"ABab0139.,:-()'\" \n", "yes", "no", "to", "```json", '{"result": ', "start"]
HOSTILE = [
    "1",
    "1 ",
    "1-",
    "9:",
    ".",
    "(",
    ") ",
    "A.",
    "A. \n",
    "a",
    "\n",
    "s - ",
    "```json",
    "[",
    "答",
    "Best answer:",
]
TRAPS: list[tuple[str, Question, list[tuple[str, float | None]]]] = [
    ("lmms-eval/mvbench", Question("A", ITEM.options), [("He lifts a cup", 1), ("", None), (")", 0), ("a lamp", 1)]),
    ("lmms-eval/mvbench", ITEM, [("b. a cup", 1), ("b", 1), ("a cup", 0), ("(B) a cup", 1), (" ", 0), ("x.b", 0)]),
    ("lmms-eval/videomme", ITEM, [("A man drinks. B", 0), ("B, not A", 1), ("b", 0), ("", 0), ("The answer is B", 1)]),
    ("lmms-eval/videomme", ITEM, [("The answer is B, not A. Sure", 0), ("A or (B)", 0), ("It shows Bob", 1)]),
    ("lmms-eval/cgbench", TEN, [("I think C is right", 0), ("C", 1), ("Option C.", 1)]),
    ("lmms-eval/video_mmmu", TEN, [("I think C is right", 0), ("(C)", 1), ("K", 0)]),
    ("lmms-eval/longvideobench_val_v", ITEM, [("Both", 1), ("nothing", 0)]),
    ("lmms-eval/longvideobench_val_v", ITEM, [("The best answer is B", 1), ("Best answer: D", 0)]),
    ("lmms-eval/videott_single_mc", ITEM, [("Both", 1), ("", 0), ("E", 0), ("b", 0)]),
    ("lmms-eval/tempcompass_multi_choice", ITEM, [("B. a cup", 1), ("B", 1), ("B) x", 1)]),
    ("lmms-eval/tempcompass_multi_choice", ITEM, [("(B)", 0), ("B: x", 0), ("A", 0)]),
    ("lmms-eval/tempcompass_yes_no", YES_NO, [("Nothing moves", 1), ("No.", 1), ("yes", 0), ("It is no", 0)]),
    ("lmms-eval/tempcompass_caption_matching", CAPTION, [("1", 1), ("1.", 1), ("he sits", 1)]),
    ("lmms-eval/tempcompass_caption_matching", CAPTION, [("x) he sits", 1), ("2", 0)]),
    ("lmms-eval/tempcompass_caption_matching", CAPTION, [("Option 1.", 1), ("He sits", 0)]),
    ("lmms-eval/tempcompass_caption_matching", CAPTION, [("Option 2: he stands: up", 0)]),
    ("lmms-eval/vinoground", ITEM, [("b", 1), ("But A", 1), ("The answer is B", 0), ("", 0)]),
    ("lmms-eval/temporal_grounding_charades", WINDOW, [("3 to 8", 1), ("8 - 3", 1)]),
    ("lmms-eval/temporal_grounding_charades", WINDOW, [("00:03 - 00:08", 1), ("It is 3.", 0)]),
    ("lmms-eval/temporal_grounding_charades", WINDOW, [("1 - 2\nstarts at 3 - 8", 1), ("3s - 8s", 1)]),
    ("lmms-eval/temporal_grounding_charades", WINDOW, [("", 0), ("3 - 5.5", 0.5)]),
    ("official/mvbench", ITEM, [("", 1), (")", 1), ("(", 1), ("B", 1)]),
    ("official/mvbench", ITEM, [("(B) a cup", 1), ("A", 0), ("The answer is B", 0)]),
    ("official/videomme", ITEM, [("Best answer: C", 1), ("b", None), ("", None)]),
    ("official/videomme", ITEM, [("According to it, B", 0), ("x B", 1)]),
    ("official/lvbench", ITEM, [("(B) a cup", 1), ("B) a cup", 1), ("Both (A)", 0)]),
    ("official/lvbench", ITEM, [("Because", 1), ("", 0), ("x (B", 1)]),
    ("official/cgbench", ITEM, [("A, B or C", 1), ("A", 0), ("none", None), ("", None), ("Bob", None)]),
    ("official/cgbench", ITEM, [('```json\n{"result": "B"}\n```', 1), ("```json\n{\"result\": B}\n```", 1)]),
    ("official/cgbench", ITEM, [('```json\n{"result": "A"}\n``` B', 0), ("```json\n{oops\n``` B", 1)]),
    ("official/cgbench", ITEM, [("```json B", 1)]),
    ("official/vcrbench", ORDER, [("2, 1, 3", 1), ("1, 2, 3", 0), ("2 -> 1 -> 3", 0), ("2 1 3", 0), ("", 0)]),
    ("official/vcrbench", ORDER, [("Clips 1, 2, 3.\nCorrect order: 2, 1, 3", 0), ("**Correct order:** 2, 1, 3", 1)]),
    ("official/vcrbench", ORDER, [("Clip 2, Clip 1, Clip 3", 1), ("First. 2, 1, 3!", 1), ("2, 1, 3, 3", 0)]),
    ("official/vcrbench", ORDER, [("<answer>2, 1, 3</answer>", 1), ("1, 2, 3. \\boxed{2, 1, 3}", 0)]),
    ("lmms-eval/vcrbench", ORDER, [("1, 2, 3.\n<answer>Clip 2, 1, 3</answer>", 1)]),
    ("lmms-eval/vcrbench", ORDER, [("1, 2, 3\n\\boxed{2, \\text{1}, 3}", 1), ("\\boxed{", 0)]),
    ("lmms-eval/vcrbench", ORDER, [("\\boxed{2, 1}\n2, 1, 3", 1)]),
    ("lmms-eval/vcrbench", ORDER, [("<think>2, 1, 3</think>1, 2, 3", 0), ("<thinking>1, 2, 3</thinking>2, 1, 3", 1)]),
    ("lmms-eval/vcrbench", ORDER, [("<answer>no idea</answer>\n2, 1, 3", 1)]),
    ("official/vcrbench_step", ORDER, [("2, 3, 1", 1 / 3), ("2, 1", 0), ("", 0)]),
    ("official/cvbench", YES_NO, [("No.", 0), ("According to both, no", 0), ("It is not", 0)]),
    ("official/cvbench", YES_NO, [("", 0), ("No", 0), ("NO", 0)]),
    ("official/cvbench", ITEM, [("both", 1), ("The answer is B", 1), ("Options: B", 1), ("The x b", 1), ("cube", 0)]),
    ("official/cvbench", ITEM, [("it is b " + "word " * 12, 0), ("it is b or not " + "Word " * 12, 0), ("b " * 12, 0)]),
    ("lmms-eval/mlvu_test", Question("E", tuple("abcdef")), [("E", 0), ("The answer is E", 0)]),
    ("lmms-eval/perceptiontest_val_mc", ITEM, [("It is B", 1), ("b", 0), ("A or B", 0), ("Both", 0)]),
    ("lmms-eval/nextqa_mc_test", ITEM, [("(A) or (B)", 1), ("B. a cup", 1), ("b", 0), ("He is seen with a cup", 1)]),
    ("lmms-eval/egoschema_subset", ITEM, [("(B) not A ", 1), ("(A) or (B)", 0), ("B", 1), ("", 0)]),
    ("lmms-eval/tomato", ITEM, [("Both", 1), ("A man holds (B)", 1), ("not A but B", 0), ("", 0)]),
    ("lmms-eval/motionbench_full", ITEM, [("A</think>b", 1), ("a cup", 0), ("both", 1), ("answer: b", 1), ("", 0)]),
    ("lmms-eval/tvbench", ITEM, [("a cup", 0), ("cup; both", 0), ("I saw a cup", 1), ("(B", 1), ("", 0)]),
    ("lmms-eval/mmvu_val", ITEM, [("A or B", 1), ("neither a nor b", 1), ("the cup is big", 1), ("(A)", 0), ("", 0)]),
    ("lmms-eval/videomme_v2", ITEM, [("a\nb", 1), ("Answer: a, option: b", 1), ("**b.** so", 1), ("A cup", 1)]),
    ("lmms-eval/vsibench", ITEM, [("b.", 1), ("B. a cup", 1), ("B, a cup", 0), ("The answer is B", 0), (" B", 0)]),
    ("lmms-eval/vsibench_number", Question(3.0), [("three chairs, not 9", 1), ("room 3 has 9", 1), ("9", 0), ("", 0)]),
    ("lmms-eval/timelens", WINDOW, [("8 - 3", 0), ("from 3 to 8", 1), ("0:03, 0:08", 1), ("3 and 5.5", 0.5), ("3", 0)]),
    ("official/aotbench", ITEM, [("B", 1), ("Because", 1), ("The answer is B", 0), ("b", 0), ("", None)]),
    ("official/vinoground", ITEM, [("b", 1), ("", 0)]),
    ("videossr/vqa", ITEM, [("B. a cup", 1), ("b", 0), (" B", 0), ("The answer is B", 0), ("", None)]),
    ("videossr/vqa", YES_NO, [("No", 0), ("N", 0)]),
    ("videossr/vtg", WINDOW, [("8.0 - 3.0 s", 1), ("at 3-5.5 or 3-8", 0.5), ("3 to 8", None), ("", None), ("9-10", 0)]),
]  # fmt: skip


def small(item: Question) -> Question:
    """The same question with its data's own answer; for rules that read a letter."""
    return Question("B", item.options, {**item.params, "gold": "B"}) if item is ITEM else item


@pytest.mark.parametrize(("name", "item", "made"), TRAPS, ids=[f"{name}-{k}" for k, (name, *_) in enumerate(TRAPS)])
def test_a_rule_keeps_the_faults_of_its_source(name: str, item: Question, made: list[tuple[str, float | None]]) -> None:
    item = small(item) if name == "official/cvbench" else item
    assert [(text, get_rule(name).verdict(text, item)) for text, _ in made] == made


@pytest.mark.parametrize("name", sorted(registered("viubench.rules")))
def test_every_rule_is_named_as_registered_and_knows_the_true_answer(name: str) -> None:
    rule = get_rule(name)
    item, text = ITEM_OF.get(name, (small(ITEM) if name == "official/cvbench" else ITEM, "B"))
    assert rule.name == name
    assert rule.verdict(text, item) == 1.0
    groups = {"task_type": "plotQA", "goal": "tea", "steps": "4", "group_type": "relevance", "difficulty": "easy"}
    rows = [
        RuleVerdict(1.0, "7", {**groups, "question": kind, "place": str(place)})
        for place, kind in enumerate(("text", "text", "video", "video"), start=1)
    ]
    assert rule.aggregate(rows) == 1.0
    assert rule.aggregate([]) is None
    assert rule.aggregate([RuleVerdict(0.0, row.cluster, row.groups) for row in rows]) == 0.0


def test_the_registry_says_what_was_meant() -> None:
    with pytest.raises(LookupError, match="did you mean lmms-eval/mvbench"):
        get_rule("lmms-eval/mvbnech")
    assert isinstance(get_rule("official/lvbench"), Rule)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(PIECES), max_size=20).map("".join)))
def test_any_text_gets_a_share_or_nothing(text: str) -> None:
    for name in sorted(registered("viubench.rules")):
        item = ITEM_OF.get(name, (ITEM, ""))[0]
        value = get_rule(name).verdict(text, item)
        assert value is None or 0.0 <= value <= 1.0


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_repetition_is_read_in_one_pass(piece: str) -> None:
    """A pattern that backtracks more than linearly would not come back from these."""
    text = piece * (100_000 // len(piece))
    for name in sorted(registered("viubench.rules")):
        get_rule(name).verdict(text, ITEM_OF.get(name, (ITEM, ""))[0])
        get_rule(name).verdict("```json" + text + "```", ITEM_OF.get(name, (ITEM, ""))[0])


def test_what_leaves_the_denominator_leaves_the_mean() -> None:
    rows = [RuleVerdict(1.0), RuleVerdict(None), RuleVerdict(0.0), RuleVerdict(None)]
    assert get_rule("videossr/vqa").aggregate(rows) == 0.5
    assert get_rule("videossr/vtg").aggregate([RuleVerdict(None)]) is None


def test_pairs_are_scored_by_kind_and_a_missing_member_is_wrong() -> None:
    def row(cluster: str, kind: str, value: float) -> RuleVerdict:
        return RuleVerdict(value, cluster, {"question": kind})

    rows = [row("1", "text", 1), row("1", "text", 1), row("1", "video", 1), row("1", "video", 0)]
    rows += [row("2", "text", 1), row("2", "video", 1), row("2", "video", 1)]
    for where in ("lmms-eval", "official"):
        assert get_rule(f"{where}/vinoground").aggregate(rows) == 0.5
        assert get_rule(f"{where}/vinoground_video").aggregate(rows) == 0.5
        assert get_rule(f"{where}/vinoground_group").aggregate(rows) == 0.0


def test_mlvu_averages_its_task_types() -> None:
    rows = [RuleVerdict(1.0, "", {"task_type": "ego"})] * 3 + [RuleVerdict(0.0, "", {"task_type": "count"})]
    assert get_rule("lmms-eval/mlvu_dev").aggregate(rows) == 0.5
    with pytest.raises(ValueError, match="averages over the group 'task_type'"):
        get_rule("lmms-eval/mlvu_dev").aggregate([RuleVerdict(1.0)])


def test_caption_matching_says_that_it_needs_the_datas_own_answer() -> None:
    with pytest.raises(ValueError, match=r"params\['gold'\] must be an option such as"):
        get_rule("lmms-eval/tempcompass_caption_matching").verdict(
            "A", Question("A", ("x", "y"), {"letters": ["A", "B"]})
        )


# --- our own evaluators on the same traps ---------------------------------------------------------------------


def read(name: str, text: str, item: Question, **params: Any) -> Any:
    return getattr(get(name, **params).parse(text, item), "value", None)


@pytest.mark.parametrize("text", ["", ")", "(", " ", "\n"])
def test_an_empty_reply_and_a_bracket_are_no_answer(text: str) -> None:
    for name in ("choice", "paired_choice"):
        for item in (ITEM, TEN, YES_NO, CAPTION):
            assert read(name, text, item) is None
    assert read("temporal_iou", text, WINDOW) is None
    assert read("permutation", text, ORDER) is None


def test_a_man_is_not_option_a() -> None:
    for text in ("A man lifts the lid.", "A man", "a man walks in", "A cup of tea stands there"):
        assert read("choice", text, ITEM) is None
        assert read("paired_choice", text, ITEM) is None


def test_b_not_a_is_b_and_i_think_c_is_c() -> None:
    for text in ("B, not A", "The answer is B, not A"):
        assert read("choice", text, ITEM) == "B"
    for text in ("I think C", "I believe it's C", "I choose C."):
        assert read("choice", text, TEN) == "C"
    assert read("choice", "I think so", TEN) is None


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("2, 1, 3", [2, 1, 3]),
        ("1, 2, 3", [1, 2, 3]),
        ("Correct order: 2, 1, 3", [2, 1, 3]),
        ("**Correct order: Clip 2, Clip 1, Clip 3**", [2, 1, 3]),
        ("There are clips 1, 2, 3.\nCorrect order: 2, 1, 3", [2, 1, 3]),
        ("2 -> 1 -> 3", [2, 1, 3]),
        ("2 1 3", [2, 1, 3]),
        ("2, 1", None),
        ("2, 2, 3", None),
        ("0, 1, 2", None),
    ],
)
def test_orders_of_clips(text: str, order: list[int] | None) -> None:
    assert read("permutation", text, ORDER) == order
    if order:
        evaluator = get("permutation")
        answer = evaluator.parse(text, ORDER)
        assert answer is not None
        scores = evaluator.score(answer, ORDER)
        assert scores == ({"exact": 1.0, "step": 1.0} if order == [2, 1, 3] else {"exact": 0.0, "step": 1 / 3})


def test_equal_rows_count_each() -> None:
    rows = [Scored({"iou": 1.0}, "a.mp4"), Scored({"iou": 0.0}, "a.mp4"), Scored({"iou": 0.5}, "a.mp4")]
    evaluator = get("temporal_iou")
    assert evaluator.aggregate([unit.scores for unit in evaluator.units(rows)]) == {"iou": 0.5}
    assert (
        get_rule("lmms-eval/temporal_grounding_charades").aggregate([RuleVerdict(1.0, "a"), RuleVerdict(0.0, "a")])
        == 0.5
    )


def test_trivial_answers_are_answers_of_the_item() -> None:
    items = [ITEM, TEN, YES_NO]
    trivial = get("choice").trivial(items)
    assert list(trivial) == ["always A", "always B", "always C", "always D", "always E"]
    assert trivial["always D"] == ("D", "D", "yes")
    assert get("choice").trivial([YES_NO]) == {"always yes": ("yes",), "always no": ("no",)}
    assert get("temporal_iou").trivial([WINDOW]) == {"whole video": ("0.0-10.0",)}
    assert get("permutation").trivial([ORDER]) == {}
    for texts in trivial.values():
        assert [read("choice", text, item) for text, item in zip(texts, items, strict=True)] == list(texts)


def test_step_accuracy_pools_the_steps_of_all_items() -> None:
    """A long item weighs more than a short one."""
    rows = [RuleVerdict(1.0, "a", {"steps": "3", "goal": "tea"}), RuleVerdict(0.0, "b", {"steps": "7", "goal": "tea"})]
    for where in ("official", "lmms-eval"):
        assert get_rule(f"{where}/vcrbench_step").aggregate(rows) == 0.3
        assert get_rule(f"{where}/vcrbench").aggregate(rows) == 0.5
    three = [*rows, RuleVerdict(1.0, "c", {"steps": "3", "goal": "soup"})]
    assert get_rule("official/vcrbench_weighted").aggregate(three) == 0.75
