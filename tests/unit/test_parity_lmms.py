"""Our rules against lmms-eval's own scoring: equal item by item and over whole tasks, but for the named differences.

The table of named differences is `parity_cases.FAULTS`; `python -m tests.bench parity` prints how often each occurs.
"""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if importlib.util.find_spec("lmms_eval") is None:
    pytest.skip("lmms_eval is not installed", allow_module_level=True)

import parity_cases
import parity_rows
from parity_cases import FAULTS, cases, compare, module, ours_total

from evaluators import Question
from evaluators.published import RuleVerdict, vcrbench

# lmms-eval counts Vinoground's categories in eight bits; the scores themselves are means and do not overflow.
pytestmark = [
    pytest.mark.xdist_group("lmms_eval"),
    pytest.mark.filterwarnings("ignore:overflow encountered in scalar add:RuntimeWarning"),
]

NAMED = {
    "tempcompass_multi_choice": {"judge"},
    "tempcompass_yes_no": {"judge"},
    "tempcompass_caption_matching": {"judge"},
    "vinoground": {"empty answer"},
    "longvideobench_val_v": {"random letter"},
    "video_mmmu_adaptation": {"open-ended"},
    "egoschema_subset": {"random letter"},
    "nextqa_mc_test": {"random letter"},
    "video_holmes": {"random letter"},
}
"""The differences there are, by task; a task that is not here has none."""
TASKS = (
    "mvbench", "tempcompass_multi_choice", "tempcompass_yes_no", "tempcompass_caption_matching", "vinoground",
    "videomme", "lvbench", "longvideobench_val_v", "cgbench", "temporal_grounding_charades", "video_mmmu_perception",
    "video_mmmu_comprehension", "video_mmmu_adaptation", "videott_single_mc", "mlvu_dev", "videomme_v2", "mmvu_val",
    "motionbench_full", "egoschema_subset", "perceptiontest_val_mc", "nextqa_mc_test", "timelens_charades", "tomato",
    "tvbench", "videoevalpro_mcq", "video_holmes", "vsibench", "vsibench_direction", "vsibench_number", "mlvu_test",
)  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_our_rule_is_lmms_evals(task: str) -> None:
    case = cases()[task]
    assert len(case.rows) >= 12
    assert len(set(case.answers)) >= 200
    found = compare(case)
    assert not found.unexplained, found.unexplained[:5]
    assert set(found.named) == NAMED.get(task, set()) <= set(FAULTS)
    assert found.equal > 100, "the answers must reach the rule, not only its faults"
    for total in found.totals:
        assert total.ours == pytest.approx(total.theirs, abs=6e-6), total  # some are printed with five decimals
    assert any(total.theirs > 0 for total in found.totals)


@pytest.mark.parametrize("task", TASKS)
def test_the_true_answers_score_full_on_both_sides(task: str) -> None:
    case = cases()[task]
    said = [(row, true_answer(row)) for row in case.rows if not row.apart]
    for name, theirs in case.total(said).items():
        assert theirs == pytest.approx(1.0)
        assert ours_total(name, said) == pytest.approx(1.0)


def true_answer(row: parity_rows.Row) -> str:
    if isinstance(row.item.target, str):
        return row.item.target
    if isinstance(row.item.target, float):
        return f"{row.item.target:g}"
    start, end = row.item.target if isinstance(row.item.target[0], float) else row.item.target[0]
    return f"{start} - {end}"


@pytest.mark.parametrize("metric", [3, 5, 7])
def test_recall_at_a_threshold_follows_from_the_verdicts(metric: int) -> None:
    case, lib = cases()["temporal_grounding_charades"], module("charades_sta")
    rule = parity_cases.get_rule(case.rule)
    for k in range(10):
        texts = [case.answers[(5 * n + 17 * k) % len(case.answers)] for n in range(len(case.rows))]
        results = [
            lib.temporal_grounding_process_results_generation(row.doc, [text])[f"charades_sta_IOU@{metric}"]
            for row, text in zip(case.rows, texts, strict=True)
        ]
        ours = [rule.verdict(text, row.item) for row, text in zip(case.rows, texts, strict=True)]
        share = sum(value >= metric / 10 for value in ours if value is not None) / len(ours)
        assert getattr(lib, f"temporal_grounding_aggregate_iou{metric}")(results, None) / 100 == pytest.approx(share)


def test_equal_rows_of_charades_collapse_there_and_count_here() -> None:
    case = cases()["temporal_grounding_charades"]
    row = case.rows[0]
    said = [(row, true_answer(row)), (row, "I cannot tell.")]
    assert case.total(said) == {case.rule: 0.0}  # the later answer replaced the earlier
    assert ours_total(case.rule, said) == pytest.approx(0.5)


def test_an_absent_task_type_of_mlvu_counts_there_as_nothing_right() -> None:
    case = cases()["mlvu_dev"]
    said = [(row, row.item.target) for row in case.rows if row.groups["task_type"] != "ego"]
    assert case.total(said)[case.rule] == pytest.approx(6 / 7)
    assert ours_total(case.rule, said) == pytest.approx(1.0)


def test_an_empty_reply_to_the_untyped_question_leaves_the_denominator_there() -> None:
    case = cases()["video_mmmu_adaptation"]
    said = [(row, "" if row.apart else row.item.target) for row in case.rows]
    assert case.total(said)[case.rule] == pytest.approx(1.0)
    assert ours_total(case.rule, said) == pytest.approx(1 - 1 / len(said))


PIECES = [
    "1",
    "2",
    "3",
    "4",
    "12",
    ", ",
    ",",
    ". ",
    "\n",
    "*",
    " -> ",
    "Clip ",
    "Correct order: ",
    "<think>",
    "</think>",
    "<thinking>",
    "</thinking>",
    "<answer>",
    "</answer>",
    "\\boxed{",
    "{",
    "}",
    "2, 1, 3",
    "3, 4, 1, 2",
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.integers(3, 4))
def test_vcrbench_orders_are_read_as_there(text: str, n: int) -> None:
    theirs = module("vcrbench").extract_predicted_order(text, n)
    assert (vcrbench.lmms_order(text, n) or [0] * n) == theirs


def test_vcrbench_numbers_over_all_items_are_those_there() -> None:
    lib = module("vcrbench")
    docs = [{"qid": str(k), "goal": "ab"[k % 2], "ground_truth": [2, 0, 1, 3][: 3 + k % 2]} for k in range(6)]
    docs = [doc | {"ground_truth": [2, 0, 1] if len(doc["ground_truth"]) == 3 else [2, 0, 1, 3]} for doc in docs]
    texts = ["3, 1, 2", "3, 1, 2, 4", "1, 2, 3", "3, 1, 4, 2", "", "4, 3, 2, 1"]
    results = [lib.vcrbench_process_results(doc, [text]) for doc, text in zip(docs, texts, strict=True)]
    for name, aggregate in (("", "accuracy"), ("_step", "step_accuracy"), ("_weighted", "weighted_accuracy")):
        theirs = getattr(lib, f"vcrbench_aggregate_{aggregate}")([result["vcrbench_accuracy"] for result in results])
        rule = parity_cases.get_rule(f"lmms-eval/vcrbench{name}")
        rows = [
            RuleVerdict(
                rule.verdict(text, Question([step + 1 for step in doc["ground_truth"]])),
                doc["qid"],
                {"goal": doc["goal"], "steps": str(len(doc["ground_truth"]))},
            )
            for doc, text in zip(docs, texts, strict=True)
        ]
        assert rule.aggregate(rows) == pytest.approx(theirs / 100)
