"""Floors: the test and its plan, runs of main and files of other harnesses, and a gate that fails at random."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paired_runs import Row, rows, write
from scipy import stats

import viubench
from reports.ci.floors import plan_text
from reports.ci.gate import markdown, text
from reports.ci.junit import junit
from tests.bench.simulation.experiment import simulate
from tests.bench.simulation.floors import experiments as simulated
from viubench.errors import ViubenchError
from viubench.stats.floor_plans import Noise
from viubench.stats.floor_plans import rows as planned
from viubench.stats.floors import Measured, alarms, below, found

STORY = (0.66, 0.62, 0.63, 0.64, 0.63, 0.62, 0.65, 0.63, 0.62, 0.63)
"""Ten runs of main of which three reach 0.64, as a public gate of that height saw it."""


def summary(folder: Path, file: str, /, **content: Any) -> Path:
    path = folder / f"{file}.json"
    path.write_text(json.dumps(content))
    return path


def measured(*scores: float) -> list[Measured]:
    return [Measured.counted(score, 900) for score in scores]


@given(st.lists(st.floats(0.1, 0.9), min_size=3, max_size=8, unique=True), st.floats(0.1, 0.9))
def test_with_several_runs_it_is_students_t_of_their_scores(scores: list[float], floor: float) -> None:
    if np.std(scores) < 1e-6:
        return
    test = below(floor, measured(*scores), alpha=0.05)
    theirs = stats.ttest_1samp(scores, floor, alternative="less")
    assert test.source == "runs"
    assert test.p_below == pytest.approx(theirs.pvalue, abs=1e-9)
    assert test.high == pytest.approx(min(theirs.confidence_interval(0.95).high, 1.0))
    assert (test.score < (test.alarm or 0)) == (test.p_below < 0.05)


def test_runs_of_main_say_how_far_runs_are_apart_and_move_no_score() -> None:
    alone, with_main = below(0.64, measured(0.6)), below(0.64, measured(0.6), measured(*STORY))
    moved = below(0.64, measured(0.6), measured(*(score + 0.2 for score in STORY)))
    assert (alone.source, with_main.source, with_main.degrees) == ("questions", "runs", 9)
    assert with_main.se == pytest.approx(np.std(STORY, ddof=1))
    assert (moved.score, moved.p_below) == pytest.approx((with_main.score, with_main.p_below))


def test_one_run_is_judged_by_its_questions_and_one_of_unknown_number_not_at_all() -> None:
    test = below(0.05, [Measured.counted(0.01, 100)])
    assert test.p_below == pytest.approx(stats.binom.cdf(1, 100, 0.05), rel=0.1)
    assert below(0.03, [Measured.counted(0.0, 100)]).p_below == pytest.approx(0.97**100, rel=0.01)
    assert below(0.5, [Measured(0.1)]).source == "none"
    one_video = Measured(0.1, ((1.0, [0.0] * 9 + [1.0], ["v"] * 10),))
    assert below(0.5, [one_video]).source == "none"
    assert below(0.9, measured(0.5, 0.5)).source == "questions"  # runs that do not differ say nothing


def test_the_rate_at_the_floor_is_alpha_and_the_power_is_what_was_asked() -> None:
    assert alarms(0.6, 0.6, 0.01, 7, 0.05) == pytest.approx(0.05)
    least = found(0.6, 0.01, 7, 0.05, power=0.8)
    assert least is not None
    assert alarms(least, 0.6, 0.01, 7, 0.05) == pytest.approx(0.8)
    noise = Noise.of(measured(*STORY))
    for row in planned(noise, 0.62, 0.60):
        assert row.questions is not None
        enough = noise.with_questions(row.questions / noise.questions).of_mean(row.runs)
        fewer = noise.with_questions((row.questions - 2) / noise.questions).of_mean(row.runs)
        assert alarms(0.60, 0.62, *enough) >= 0.8 > alarms(0.60, 0.62, *fewer)


def test_no_number_of_questions_helps_where_whole_runs_move() -> None:
    noise = Noise.of([Measured.counted(score, 9000) for score in (0.5, 0.6, 0.7, 0.55, 0.65)])
    assert noise.whole > 20 * noise.answers
    assert [row.questions is None for row in planned(noise, 0.6, 0.55, runs=(1, 100))] == [True, False]


def test_the_story_of_a_gate_that_fails_at_random(tmp_path: Path) -> None:
    """Main at 0.62 to 0.66, a gate of 0.64: three of ten runs pass, and nothing has changed."""
    runs = [summary(tmp_path, f"main-{n}", task="videomme", score=s, n=900) for n, s in enumerate(STORY)]
    assert sum(score >= 0.64 for score in STORY) == 3
    plan = viubench.gate_plan(0.64, runs)
    assert plan.noise.plain_failures(0.64) == pytest.approx(0.685, abs=0.001)
    assert plan.noise.plain_floor() == pytest.approx(0.607, abs=0.001)
    verdicts = [viubench.gate_floors(run, {"videomme": 0.62}, [r for r in runs if r != run]).verdict for run in runs]
    assert set(verdicts) == {"pass"}
    worse = [summary(tmp_path, f"worse-{n}", task="videomme", score=s - 0.04, n=900) for n, s in enumerate(STORY[:3])]
    assert viubench.gate_floors(worse, {"videomme": 0.62}, runs).verdict == "regress"
    said = plan_text(viubench.gate_plan(0.62, runs, detect=0.60))
    assert "fails 18.9 % of main's runs, 5 % at 60.7" in said
    assert "2,928" in said
    assert max(map(len, said.splitlines())) <= 80


def test_folders_are_judged_of_the_same_questions_and_clustered_by_video(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    answers = [list(map(float, rng.random(300) < 0.6)) for _ in range(4)]
    folders = [write(tmp_path / str(n), {"t": rows(own, 60), "u": rows(own)}) for n, own in enumerate(answers)]
    report = viubench.gate_floors(folders[0], {"t": 0.95, "u": 0.3}, folders[1:])
    assert {task: judged.verdict for task, judged in report.tasks.items()} == {"t": "regress", "u": "pass"}
    assert report.tasks["t"].floor is not None
    assert (report.tasks["t"].floor.runs, report.tasks["t"].floor.n, report.exit_code) == (1, 300, 1)
    assert report.tasks["t"].floor.main is not None
    for shown in (text(report), markdown(report), junit(report)):
        assert "95" in shown
    assert report.to_frame()["floor.score"].notna().all()
    fewer = write(tmp_path / "fewer", {"t": rows(answers[0][:200]), "u": rows(answers[0])})
    other = viubench.gate_floors([folders[0], fewer], {"t": 0.5, "u": 0.3})
    assert (other.tasks["t"].verdict, other.tasks["u"].verdict, other.exit_code) == ("error", "pass", 4)


def test_failed_and_unfinished_runs_are_errors_and_a_floor_without_a_task_a_mistake(tmp_path: Path) -> None:
    good = write(tmp_path / "good", {"t": rows([1.0] * 50)})
    bad = [Row(f"{n:05d}", None if n < 5 else 1.0, f"video {n}", "engine_error" if n < 5 else "ok") for n in range(50)]
    failed = viubench.gate_floors(write(tmp_path / "bad", {"t": bad}), {"t": 0.5})
    assert failed.exit_code == 4
    (good / "results.json").unlink()
    assert "is not finished" in viubench.gate_floors(good, {"t": 0.5}).faults[0]
    with pytest.raises(ViubenchError, match="floor for 'tt', which no run has"):
        viubench.gate_floors(tmp_path / "bad", {"tt": 0.5})


def test_files_of_other_harnesses(tmp_path: Path) -> None:
    for name, content, expected in (
        ("bench", {"model_id": "m", "videomme_accuracy": 0.6, "videomme_accuracy_incl_http_fail": 0.599,
                   "videomme_evaluated": 2700, "videomme_request_failed": 3}, {"videomme": (0.599, 2700, 1)}),
        ("metrics", {"name": "mmmu", "num_examples": 900, "n_repeats": 4, "model": "m",
                     "aggregate": {"pass@1": 0.64, "pass@1_std": 0.01}}, {"mmmu": (0.64, 900, 4)}),
        ("videoamme_results", {"summary": {"accuracy": 0.64, "total_samples": 50, "failed": 0}},
         {"videoamme": (0.64, 50, 1)}),
        ("x_results", {"results": {"videomme": {"alias": "v", "videomme_perception_score,none": 62.1,
                                                "videomme_perception_score_stderr,none": "N/A"},
                                   "two": {"a,none": 0.5, "b,none": 0.25}},
                       "n-samples": {"videomme": {"original": 2700, "effective": 2700}}},
         {"videomme": (0.621, 2700, 1), "two.a": (0.5, 0, 1), "two.b": (0.25, 0, 1)}),
        ("gsm8k", {"score": 0.9, "score:std": 0.3}, {"gsm8k": (0.9, 0, 1)}),
    ):  # fmt: skip
        path = summary(tmp_path, name, **content)
        report = viubench.gate_floors(path, dict.fromkeys(expected, 0.01))
        seen = {task: judged.floor for task, judged in report.tasks.items()}
        assert {task: (one.score, one.n, one.runs) for task, one in seen.items() if one} == expected, name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"summary": {"accuracy": 0.6, "total_samples": 50, "failed": 10}}, "10 of 50 requests failed"),
        ({"name": "t", "num_examples": 9, "aggregate": {"score": 0.5}, "partial": True}, "stopped before its end"),
        ({"task": "t", "score": 101.0, "n": 5}, "no score between 0 and 1"),
        ({"task": "t", "score": "high", "n": 5}, "no score between 0 and 1"),
    ],
)
def test_a_file_that_must_not_be_judged_is_an_error_of_its_task(
    content: dict[str, Any], message: str, tmp_path: Path
) -> None:
    report = viubench.gate_floors(summary(tmp_path, "t", **content), {"t": 0.5})
    assert report.exit_code == 4
    assert message in report.faults[0]


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"a": 1}', "[" * 9999, "\x00", '{"results": 1, "n-samples": 2}'])
def test_any_other_file_is_refused_in_words(content: str, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(content)
    with pytest.raises(ViubenchError, match="no results file with a score"):
        viubench.gate_floors(tmp_path / "file.json", {"t": 0.5})


def test_what_a_plan_cannot_know_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="nothing says how far runs of main are apart"):
        viubench.gate_plan(0.6)
    with pytest.raises(ViubenchError, match="one run does not say"):
        viubench.gate_plan(0.6, summary(tmp_path, "t", task="t", score=0.6))
    with pytest.raises(ViubenchError, match="not below the floor"):
        viubench.gate_plan(0.6, score=0.6, questions=100, detect=0.61)
    with pytest.raises(ViubenchError, match="nothing says how far runs of main are apart"):
        viubench.gate_plan(0.6, score=0.6, questions=100, deviation=0.01)
    known = viubench.gate_plan(0.6, score=0.62, questions=900, deviation=0.03, runs=4)
    assert (known.noise.runs, known.noise.degrees) == (4, 3)
    assert known.noise.deviation == pytest.approx(0.03)
    assert known.noise.whole > 0


def test_the_simulation_tells_a_gate_that_holds_its_rate_from_a_plain_comparison() -> None:
    tried = [one for one in simulated() if one.scenario.startswith("1 of the candidate, 5 of main, ")]
    held = {(row.what, row.scenario): row for row in simulate(tried[:1] + tried[-1:], runs=150, seed=1)}
    assert not any(row.broken for row in held.values())
    assert [0.4 < row.share < 0.6 for (what, _), row in held.items() if "plain" in what] == [True]


@pytest.mark.parametrize("deviation", [float("inf"), float("nan")])
def test_a_spread_without_end_is_refused(deviation: float) -> None:
    with pytest.raises(ViubenchError, match="a standard deviation of"):
        viubench.gate_plan(0.62, detect=0.6, score=0.63, questions=900, deviation=deviation, runs=5)
