"""The benchmarks that reports of 2026 add, in lmms-eval's own scoring: the cases that `parity_cases` adds to its own.

Example:
    >>> sorted(cases_2026([], []))[:2]
    ['egoschema_subset', 'mlvu_test']

Nothing here asks a network: the corpora that NExT-QA's module would fetch when it is imported are for its open-ended
questions, and MMVU's judge is asked for those alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any
from unittest import mock

import parity_rows_2026 as rows_of
from parity_answers import number_answers
from parity_cases import Appeal, Case, Scorer, module
from parity_rows import Row


def cases_2026(texts: list[str], times: list[str]) -> dict[str, Case]:
    """Every case by lmms-eval's name; `texts` are answers to a choice, `times` ones that state an interval."""
    v2, vh, pt = module("videomme_v2"), module("video_holmes"), module("perceptiontest/val")
    mb, to, tv, ve, vs = map(module, ("motionbench", "tomato", "tvbench", "videoevalpro", "vsibench"))
    ego, ml = module("egoschema"), module("mlvu")

    def plain(name: str, rows: list[Row], *scorer: Any, task: str = "", answers: Sequence[str] = ()) -> Case:
        return Scorer(f"lmms-eval/{name}", *scorer).case(task or name, rows, list(answers) or texts)

    def field(name: str) -> Callable[[Any], float]:
        return lambda result: float(result[name])

    def mean(results: Sequence[Any], value: Callable[[Any], float] = float) -> float:
        return sum(map(value, results)) / len(results)

    def overall(results: Sequence[Any]) -> float:
        return ve.videoevalpro_mcq_aggregate_results(results)["overall"]

    def vsi(metric: str, aggregate: Callable[[Any], float] | None = None) -> tuple[Any, ...]:
        def process(doc: dict[str, Any], said: list[str]) -> Any:
            return vs.vsibench_process_results(dict(doc), said)  # which writes into the row

        whole = aggregate or (lambda results: mean(results, field(metric)))
        return process, "vsibench_overall", field(metric), whole, 1

    made = [
        plain("videomme_v2", rows_of.videomme_v2(), v2.videomme_v2_process_results, "videomme_v2_overall_score",
              field("score"), v2.videomme_v2_aggregate_overall_score),
        plain("mmvu_val", rows_of.mmvu(), module("mmvu").mmvu_process_results, "accuracy", field("correct"),
              module("mmvu").mmvu_aggregate_results_val),
        plain("motionbench_full", rows_of.motionbench(), mb.motionbench_process_results, "motionbench_acc",
              field("score"), mb.motionbench_aggregate_acc, 1),
        _with_dice("egoschema_subset", rows_of.egoschema(), ego, texts,
                   ego.egoschema_process_results_generation, "score",
                   lambda result: float(str(result["pred"]) == str(result["ground_truth"])),
                   lambda results: ego.egoschema_aggregate_score(results, None), 1),
        plain("perceptiontest_val_mc", rows_of.perceptiontest(), pt.perceptiontest_val_process_results_mc, "accuracy",
              field("correct"), lambda results: pt.perceptiontest_val_aggregate_accuracy(results, None), 1),
        _nextqa(texts, mean),
        plain("timelens", rows_of.timelens(), module("timelens").timelens_process_results, "timelens_mIOU",
              lambda result: module("timelens").timelens_aggregate_miou([result], None) / 100,
              lambda results: module("timelens").timelens_aggregate_miou(results, None),
              task="timelens_charades", answers=times),
        plain("tomato", rows_of.tomato(), to.tomato_process_results, "tomato_score", field("score"),
              to.tomato_aggregate_results, 1),
        plain("tvbench", rows_of.tvbench(), tv.tvbench_process_results, "tvbench_acc", float, mean, 1),
        plain("videoevalpro_mcq", rows_of.videoevalpro(), ve.videoevalpro_mcq_process_results,
              "videoevalpro_mcq_score", field("correct"), overall, 1),
        _with_dice("video_holmes", rows_of.video_holmes(), vh, texts, vh.video_holmes_process_results,
                   "video_holmes_accuracy", field("score"), vh.video_holmes_aggregate_accuracy),
        plain("vsibench", rows_of.vsibench("route"), *vsi("accuracy")),
        plain("vsibench_direction", rows_of.vsibench("direction"),
              *vsi("accuracy", vs.vsibench_aggregate_object_rel_direction_accuracy)),
        plain("vsibench_number", rows_of.vsibench("number"), *vsi("MRA:.5:.95:.05"),
              answers=number_answers(seed=3, n=len(texts))),
        plain("mlvu_test", rows_of.mlvu_test(), ml.mlvu_process_results, "mlvu_percetion_score",
              lambda result: float(result["pred_answer"] == result["answer"]), ml.mlvu_aggregate_results_test),
    ]  # fmt: skip
    return {case.task: case for case in made}


def _with_dice(task: str, rows: list[Row], lib: Any, texts: list[str], *scorer: Any) -> Case:
    """A task that gives a reply without a letter a random one."""
    appeal = Appeal()
    lib.random = SimpleNamespace(choice=appeal.draw)
    return Scorer(f"lmms-eval/{task}", *scorer, appeal=appeal, fault="random letter").case(task, rows, texts)


def _nextqa(texts: list[str], mean: Callable[[Sequence[Any]], float]) -> Case:
    with mock.patch("nltk.download") if find_spec("nltk") else mock.MagicMock():
        lib = module("nextqa")
    scorer = (lib.nextqa_mc_process_results, "exact_match", float, mean, 1)
    return _with_dice("nextqa_mc_test", rows_of.nextqa(), lib, texts, *scorer)
