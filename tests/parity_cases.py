"""lmms-eval's own scoring beside our rule of the same name, on the same rows and answers.

Example:
    >>> comparison = compare(cases()["mvbench"])
    >>> comparison.unexplained, comparison.totals[0]
    ([], Total(rule='lmms-eval/mvbench', theirs=..., ours=...))

lmms-eval's modules are loaded by their path, one by one. Two things in them are replaced: the judge that TempCompass
asks over the network, and the dice of LongVideoBench. Both then answer with the truth, so that it shows wherever they
decide; over whole tasks they never help.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import parity_rows as rows_of
from parity_answers import letter_answers, tempcompass_answers, time_answers
from parity_rows import Row

from evaluators.published import RuleVerdict, get_rule

ANSWERS = 320
ROUNDS = 12
"""How many whole tasks are aggregated, every row with another answer each time."""
PAIRS = 24
"""How many of Vinoground's 500 pairs are tried with every answer."""

FAULTS = {
    "judge": "TempCompass: what no rule matches goes to a GPT-3.5 judge; our rule counts it as wrong, as the official "
    "script does without its judge",
    "random letter": "LongVideoBench, EgoSchema, NExT-QA, Video-Holmes: a reply in which no letter is found is given a "
    "random one; our rule counts it as wrong",
    "empty answer": "Vinoground: the aggregation indexes the first character, so an empty answer stops the run; our "
    "rule counts it as wrong",
    "open-ended": "Video-MMMU: the one question without a type is scored as open-ended, and an empty reply to it "
    "leaves the denominator; our rule reads the letter of the choice it is",
    "collapsed rows": "Charades-STA: results are keyed by video, query and time, so that equal rows count once; our "
    "rule counts each",
    "absent type": "MLVU: a task type without any row counts as 0 in the mean of seven; our rule averages those there "
    "are",
}
"""Named differences: which side does what. All but the last two are looked for in every answer."""


@dataclass(frozen=True)
class Outcome:
    """What lmms-eval makes of one answer: its value (None: left out), or the named fault that decided."""

    value: float | None
    fault: str = ""


@dataclass(frozen=True)
class Case:
    """One lmms-eval task: `each` gives the outcome of one answer on every row, `total` the score of a whole task
    (one answer per row) by the name of our rule, in [0, 1]."""

    task: str
    rule: str
    rows: list[Row]
    answers: list[str]
    each: Callable[[str], Iterator[tuple[Row, Outcome]]]
    total: Callable[[Sequence[tuple[Row, str]]], dict[str, float]]


@dataclass(frozen=True)
class Total:
    rule: str
    theirs: float
    ours: float | None


@dataclass
class Comparison:
    """What `compare` found; `unexplained` holds (row, answer, theirs, ours) and must be empty."""

    case: Case
    equal: int = 0
    named: Counter[str] = field(default_factory=Counter)
    unexplained: list[tuple[Any, str, Outcome, float | None]] = field(default_factory=list)
    totals: list[Total] = field(default_factory=list)


def compare(case: Case) -> Comparison:
    """Every answer on every row, then `ROUNDS` whole tasks."""
    found, rule = Comparison(case), get_rule(case.rule)
    for text in case.answers:
        for row, theirs in case.each(text):
            ours = rule.verdict(text, row.item)
            equal = ours == theirs.value or (None not in (ours, theirs.value) and abs(ours - theirs.value) < 1e-9)
            if row.apart and not equal:
                found.named[row.apart] += 1
            elif theirs.fault and not equal and ours == 0:
                found.named[theirs.fault] += 1
            elif equal and not theirs.fault:
                found.equal += 1
            else:
                found.unexplained.append((row.doc, text, theirs, ours))
    whole = [row for row in case.rows if not row.apart]
    texts = [text for text in case.answers if text] if "empty answer" in found.named else case.answers
    for k in range(ROUNDS):
        said = [(row, texts[(7 * n + 13 * k) % len(texts)]) for n, row in enumerate(whole)]
        for name, theirs_total in case.total(said).items():
            found.totals.append(Total(name, theirs_total, ours_total(name, said)))
    return found


def ours_total(rule: str, said: Sequence[tuple[Row, str]]) -> float | None:
    made = get_rule(rule)
    return made.aggregate([RuleVerdict(made.verdict(text, row.item), row.cluster, row.groups) for row, text in said])


# --- lmms-eval's side -----------------------------------------------------------------------------------------


@cache
def module(folder: str) -> ModuleType:
    """`lmms_eval/tasks/<folder>/utils.py`, silenced."""
    from loguru import logger

    logger.disable("parity_lmms")
    root = importlib.util.find_spec("lmms_eval").submodule_search_locations[0]  # type: ignore[union-attr, index]
    spec = importlib.util.spec_from_file_location(f"parity_lmms.{folder}", Path(root) / "tasks" / folder / "utils.py")
    loaded = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    home = os.environ.get("HF_HOME")
    os.environ["HF_HOME"] = home or str(Path("~/.cache/huggingface").expanduser())  # some read it when imported
    try:
        spec.loader.exec_module(loaded)  # type: ignore[union-attr]
    finally:
        if home is None:
            del os.environ["HF_HOME"]
    return loaded


class Appeal:
    """Stands in for a judge or for dice: knows the truth of the row at hand, or nothing, and whether it was asked."""

    def __init__(self) -> None:
        self.truth: Any = None
        self.asked = False

    def about(self, truth: Any) -> None:
        self.truth, self.asked = truth, False

    def judge(self, *_: Any) -> tuple[str | None, int]:
        self.asked = True
        return ("Correct", 1) if self.truth else (None, 0)

    def draw(self, _: Sequence[str]) -> str:
        self.asked = True
        return self.truth or "?"


@dataclass(frozen=True)
class Scorer:
    """A task's `process_results` and aggregation, and how to read an item's verdict off what the first returns."""

    rule: str
    process: Callable[[dict[str, Any], list[str]], dict[str, Any]]
    metric: str
    verdict: Callable[[Any], float | None]
    aggregate: Callable[[list[Any]], float]
    scale: float = 100.0
    appeal: Appeal = field(default_factory=Appeal)
    fault: str = ""

    def case(self, task: str, rows: list[Row], answers: list[str]) -> Case:
        def each(text: str) -> Iterator[tuple[Row, Outcome]]:
            for row in rows:
                self.appeal.about(row.item.target)
                value = self.verdict(self.process(row.doc, [text])[self.metric])
                yield row, Outcome(value, self.fault if self.appeal.asked else "")

        def total(said: Sequence[tuple[Row, str]]) -> dict[str, float]:
            self.appeal.about(None)
            results = [self.process(row.doc, [text])[self.metric] for row, text in said]
            with redirect_stdout(io.StringIO()):
                return {self.rule: self.aggregate(results) / self.scale}

        return Case(task, self.rule, rows, answers, each, total)


def said_equals_gold(result: dict[str, Any]) -> float:
    return float(result["pred_answer"] == result["answer"])


@cache
def tempcompass_judge() -> Appeal:
    appeal = Appeal()
    module("tempcompass").get_eval_result = appeal.judge  # type: ignore[attr-defined]
    return appeal


def tempcompass(kind: str) -> Case:
    lib, rows = module("tempcompass"), getattr(rows_of, f"tempcompass_{kind}")()
    scorer = Scorer(
        f"lmms-eval/tempcompass_{kind}", getattr(lib, f"tempcompass_process_results_{kind}"), "avg_accuracy",
        lambda result: float(result["rating"]), lambda results: lib.tempcompass_aggregate_rating(results, None),
        appeal=tempcompass_judge(), fault="judge",
    )  # fmt: skip
    return scorer.case(f"tempcompass_{kind}", rows, tempcompass_answers(rows, ANSWERS))


def longvideobench(answers: list[str]) -> Case:
    lib, appeal = module("longvideobench"), Appeal()
    lib.random = SimpleNamespace(choice=appeal.draw)  # type: ignore[attr-defined]
    scorer = Scorer(
        "lmms-eval/longvideobench_val_v", lib.longvideobench_process_results, "lvb_acc",
        lambda result: float(result["parsed_pred"] == result["answer"]), lib.longvideobench_aggregate_results,
        scale=1, appeal=appeal, fault="random letter",
    )  # fmt: skip
    return scorer.case("longvideobench_val_v", rows_of.longvideobench(), answers)


def video_mmmu(track: str, answers: list[str]) -> Case:
    lib = module("videommmu")

    def verdict(result: dict[str, Any]) -> float | None:
        if result["parsed_pred"] == "API Error":
            return None
        return lib.evaluate_videommmu([result])[1]["acc"]

    scorer = Scorer(
        "lmms-eval/video_mmmu", lib.videommmu_process_results, "mmmu_acc", verdict, lib.videommmu_aggregate_results, 1
    )
    return scorer.case(f"video_mmmu_{track}", rows_of.video_mmmu(track), answers)


def charades(answers: list[str]) -> Case:
    lib, metric = module("charades_sta"), "charades_sta_mIOU"
    scorer = Scorer(
        "lmms-eval/temporal_grounding_charades", lib.temporal_grounding_process_results_generation, metric,
        lambda result: lib.temporal_grounding_aggregate_miou([result], None) / 100,
        lambda results: lib.temporal_grounding_aggregate_miou(results, None),
    )  # fmt: skip
    return scorer.case("temporal_grounding_charades", rows_of.charades(), answers)


PAIR = re.compile(r"pair (\d+): text: ([\d.]+)%, video: ([\d.]+)%, group: ([\d.]+)%")


def vinoground(answers: list[str]) -> Case:
    """lmms-eval scores pairs only. In each of the first pairs another one of the four questions gets the answer, the
    rest the truth: the pair's logged score is then that question's."""
    lib, rows, logged = module("vinoground"), rows_of.vinoground(), []
    keys = {kind: {r.doc["index"].rsplit("_", 1)[0]: {"GT": r.item.target} for r in rows} for kind in ("text", "video")}
    lib.prep_data = lambda: (keys["text"], keys["video"])  # type: ignore[attr-defined]
    lib.eval_logger = SimpleNamespace(info=logged.append)  # type: ignore[attr-defined]
    names = [f"lmms-eval/vinoground{end}" for end in ("", "_video", "_group")]
    tested = {4 * k + k % 4: rows[4 * k + k % 4] for k in range(PAIRS)}

    def result(row: Row, text: str) -> dict[str, Any]:
        return lib.vinoground_process_results(row.doc, [text])["vinoground_score"]

    truth = [result(row, row.item.target) for row in rows]

    def each(text: str) -> Iterator[tuple[Row, Outcome]]:
        logged.clear()
        said = [result(row, text) if (row := tested.get(n)) else right for n, right in enumerate(truth)]
        try:
            lib.vinoground_aggregate_results(said)
        except IndexError:
            yield from ((row, Outcome(None, "empty answer")) for row in tested.values())
            return
        scores = {int(pair): both for pair, *both in PAIR.findall(logged[0])}
        for n, row in tested.items():
            of_text, of_video, _ = scores[n // 4]
            yield row, Outcome(float(of_text if row.groups["question"] == "text" else of_video) / 100)

    def total(said: Sequence[tuple[Row, str]]) -> dict[str, float]:
        values = lib.vinoground_aggregate_results([result(row, text) for row, text in said])
        return {name: float(value) / 100 for name, value in zip(names, values, strict=True)}

    return Case("vinoground", names[0], rows, answers, each, total)


@cache
def cases() -> dict[str, Case]:
    """Every task that is compared, by lmms-eval's name."""
    from parity_cases_2026 import cases_2026  # which is built on this module

    texts, times = letter_answers(seed=1, n=ANSWERS), time_answers(seed=2, n=ANSWERS)
    mv, vm, lv, cg, tt, ml = map(module, ("mvbench", "videomme", "lvbench", "cgbench", "video-tt", "mlvu"))

    def answered(result: dict[str, Any]) -> float | None:
        return None if result["pred_answer"] == "" else float(result["score"])

    def mean(results: list[float]) -> float:
        return sum(results) / len(results)

    def plain(task: str, rows: list[Row], *scorer: Any) -> Case:
        return Scorer(f"lmms-eval/{task}", *scorer).case(task, rows, texts)

    made = [
        plain("mvbench", rows_of.mvbench(), mv.mvbench_process_results, "mvbench_accuracy", answered,
              mv.mvbench_aggregate_results),
        *map(tempcompass, ("multi_choice", "yes_no", "caption_matching")),
        vinoground(texts),
        plain("videomme", rows_of.videomme(), vm.videomme_process_results, "videomme_perception_score",
              said_equals_gold, vm.videomme_aggregate_results),
        plain("lvbench", rows_of.lvbench(), lv.lvbench_process_results, "lvbench_score", float, mean, 1),
        longvideobench(texts),
        plain("cgbench", rows_of.cgbench(), cg.cgbench_process_results, "cgbench_accuracy",
              lambda result: result["score"], cg.cgbench_aggregate_results),
        charades(times),
        *(video_mmmu(track, texts) for track in ("perception", "comprehension", "adaptation")),
        plain("videott_single_mc", rows_of.videott(), tt.videott_process_results, "videott_perception_score",
              said_equals_gold, tt.videott_aggregate_results),
        plain("mlvu_dev", rows_of.mlvu(), ml.mlvu_process_results, "mlvu_percetion_score", said_equals_gold,
              ml.mlvu_aggregate_results_dev),
    ]  # fmt: skip
    return {case.task: case for case in made} | cases_2026(texts, times)
