"""Scores of several answers to each question: against brute force, and against sums made here in plain Python."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import combinations, product
from pathlib import Path
from statistics import mean, stdev, variance
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evaluators
from viubench.api.run import Run
from viubench.comparison.gate import gate
from viubench.comparison.pair import Incomparable, Side, compare_runs
from viubench.comparison.report import flips
from viubench.schema import Manifest, Record, Results
from viubench.scoring.aggregate import summarise, units_of
from viubench.stats import several
from viubench.stats.paired_differences import detectable
from viubench.storage import reference_run
from viubench.storage.run_dir import write_json

SCORES = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n, max_size=n), min_size=1, max_size=6)
)


@given(SCORES)
def test_the_best_of_k_is_the_mean_over_all_draws(scores: list[list[float]]) -> None:
    for k in several.ks(len(scores[0])):
        brute = [mean(max(drawn) for drawn in combinations(own, k)) for own in scores]
        assert several.best_of(np.array(scores), k).tolist() == pytest.approx(brute)


@pytest.mark.parametrize(("n", "c"), [(n, c) for n in range(1, 9) for c in range(n + 1)])
def test_of_right_and_wrong_it_is_pass_at_k(n: int, c: int) -> None:
    scores = np.array([[1.0] * c + [0.0] * (n - c)])
    for k in range(1, n + 1):
        assert several.best_of(scores, k)[0] == pytest.approx(1 - math.comb(n - c, k) / math.comb(n, k))


@pytest.mark.parametrize(
    ("n", "found"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (12, [1, 2, 4, 8, 12])]
)
def test_k_doubles_up_to_n(n: int, found: list[int]) -> None:
    assert several.ks(n) == found


def test_pass_at_k_has_no_bias() -> None:
    p, n, k = 0.3, 4, 2
    expected = sum(
        p ** sum(own) * (1 - p) ** (n - sum(own)) * several.best_of(np.array([own], dtype=float), k)[0]
        for own in product((0, 1), repeat=n)
    )
    assert expected == pytest.approx(1 - (1 - p) ** k)


@given(SCORES.filter(lambda scores: len(scores) > 1))
def test_the_spread_is_that_of_an_analysis_of_variance(scores: list[list[float]]) -> None:
    n, questions, grand = len(scores[0]), len(scores), mean(score for own in scores for score in own)
    between = n * sum((mean(own) - grand) ** 2 for own in scores) / (questions - 1)
    within = sum((score - mean(own)) ** 2 for own in scores for score in own) / (questions * (n - 1))
    found = several.components(np.array(scores))
    assert found[0] ** 2 == pytest.approx(max((between - within) / n, 0.0), abs=1e-9)
    assert found[1] ** 2 == pytest.approx(within, abs=1e-9)


# --- from records to results ----------------------------------------------------------------------------------------

LETTERS = st.sampled_from("ABC-")
ANSWERS = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.lists(LETTERS, min_size=n, max_size=n), min_size=1, max_size=8)
)


def manifest(task_n: int, samples: int, evaluator: dict[str, Any] | None = None, **about: Any) -> Manifest:
    entry: dict[str, Any] = {
        "hash": "d", "evaluator": evaluator or {"name": "choice"}, "metric": "accuracy", "scores": ["accuracy"],
        "chance": 0.25, "blind": 0.3, "items_hash": "x", "n": task_n,
    }  # fmt: skip
    protocol = {"protocol": "p", "hash": f"h{samples}", "decoding": {"temperature": 1, "samples": samples}}
    return Manifest(
        argv=[], model={"name": "m", "fingerprint": "f"}, engine={"kind": "answers"}, protocols={"t": protocol},
        tasks={"t": entry | about}, packages={}, seed=0, hardware={}, started="",
    )  # fmt: skip


def records_of(answers: list[list[str]], clusters: int = 99, **more: Any) -> list[Record]:
    """The true answer is A; "-" is none."""
    return [
        Record(
            task="t", id=f"q{question}", number=number, cluster=f"v{question % clusters}", target="A",
            status="unparsed" if said == "-" else "ok", response=said, answer=None if said == "-" else said,
            scores={} if said == "-" else {"accuracy": float(said == "A")}, **more,
        )
        for question, own in enumerate(answers)
        for number, said in enumerate(own)
    ]  # fmt: skip


def vote_of(own: list[str]) -> float:
    """The score of the most frequent answer, the first of equals; no answer does not vote."""
    counts = Counter(said for said in own if said != "-")
    return float(bool(counts) and counts.most_common(1)[0][0] == "A")


@given(ANSWERS, st.randoms())
def test_average_spread_pass_at_k_and_vote_are_those_made_here(answers: list[list[str]], draw: random.Random) -> None:
    n, questions = len(answers[0]), len(answers)
    records = records_of(answers)
    result = summarise(draw.sample(records, len(records)), manifest(questions, n)).tasks["t"]
    right = [[float(said == "A") for said in own] for own in answers]
    means = [mean(own) for own in right]
    assert (result.n, result.samples, result.answers) == (questions, n, n * questions)
    assert result.value == pytest.approx(mean(means), abs=1e-6)
    if questions > 1:
        assert result.se == pytest.approx(stdev(means) / math.sqrt(questions), abs=1e-6)
    assert result.pass_at_k[1] == result.value
    for k, value in result.pass_at_k.items():
        brute = mean(mean(max(drawn) for drawn in combinations(own, k)) for own in right)
        assert value == pytest.approx(brute, abs=1e-6)
    assert result.vote == pytest.approx(mean(map(vote_of, answers)), abs=1e-6)
    within = mean(variance(own) for own in right)
    assert result.spread is not None
    assert result.spread.within == pytest.approx(math.sqrt(within), abs=1e-6)
    assert sum(result.statuses.values()) == n * questions
    by_number = [[own[number] for own in answers] for number in range(n)]
    published = [mean(said == "A" for said in own if said != "-") for own in by_number if set(own) != {"-"}]
    assert result.as_published == (pytest.approx(mean(published), abs=1e-6) if published else None)


def test_one_answer_leaves_results_as_they_were() -> None:
    (one,) = summarise(records_of([["A"], ["B"], ["-"]]), manifest(3, 1)).tasks.values()
    assert not {"samples", "spread", "pass_at_k", "vote"} & set(one.model_dump(mode="json"))
    several_of = summarise(records_of([["A", "B"], ["B", "A"]]), manifest(2, 2))
    assert Results.model_validate_json(several_of.model_dump_json(by_alias=True)) == several_of


def test_pairs_are_pairs_of_one_number() -> None:
    kinds, said = ("text", "text", "video", "video"), {0: "AAAB", 1: "ABAA", 2: "AAAA"}
    records = [
        Record(
            task="t", id=f"{pair}-{place}", number=number, cluster=pair, status="ok", answer=letters[place],
            scores={"accuracy": float(letters[place] == "A")}, groups={"question": kinds[place], "major": "m"},
        )
        for number, letters in said.items()
        for place in range(4)
        for pair in ("p", "q")
    ]  # fmt: skip
    spec = {"name": "paired_choice", "params": {"primary": "group"}}
    result = summarise(records, manifest(8, 3, spec)).tasks["t"]
    assert result.value == pytest.approx(1 / 3, abs=1e-6), "two answers, each right in half, make no right pair"
    assert result.metrics["text_score"] == pytest.approx(2 / 3, abs=1e-6)
    assert (result.pass_at_k[3], result.vote, result.n) == (1.0, 1.0, 8)
    assert result.groups["major"] == {"m": {"value": pytest.approx(1 / 3, abs=1e-6), "n": 2}}
    assert len(units_of(records, evaluators.get("paired_choice", primary="group"))) == 2


def test_a_published_rule_is_averaged_too() -> None:
    records = [
        record.model_copy(
            update={"rules": {"videossr/vqa": None if record.response == "-" else record.scores["accuracy"]}}
        )
        for record in records_of([["A", "B"], ["A", "-"]])
    ]
    (found,) = summarise(records, manifest(2, 2, alternatives=["videossr/vqa"])).tasks["t"].rules.values()
    assert (found.value, found.n) == (0.5, 2)


# --- two runs -------------------------------------------------------------------------------------------------------


def write(folder: Path, answers: list[list[str]], clusters: int = 99) -> Path:
    records, about = records_of(answers, clusters), manifest(len(answers), len(answers[0]))
    folder.mkdir()
    write_json(folder / "manifest.json", about)
    (folder / "records.jsonl").write_text("".join(f"{record.model_dump_json()}\n" for record in records))
    write_json(folder / "results.json", summarise(records, about))
    return folder


def drawn(skill: float, n: int, seed: int, questions: int = 60) -> list[list[str]]:
    rng, own = random.Random(seed), random.Random(0)
    return [["A" if rng.random() < (own.random() + skill) / 2 else "B" for _ in range(n)] for _ in range(questions)]


def test_more_answers_find_smaller_losses(tmp_path: Path) -> None:
    found = []
    for n in (1, 8):
        a, b = (write(tmp_path / f"{side}{n}", drawn(0.5, n, seed)) for side, seed in (("a", 1), ("b", 2)))
        (task,) = compare_runs(a, b).tasks.values()
        assert (task.n, task.diff.n, len(task.records)) == (60, 60, 60 * n)
        found.append(detectable(task.diff, 0.05))
    assert found[0] is not None
    assert found[1] is not None
    assert found[1] < 0.7 * found[0]
    with pytest.raises(Incomparable, match="two protocols"):
        compare_runs(tmp_path / "a1", tmp_path / "a8")


def test_a_difference_is_that_of_the_questions_means(tmp_path: Path) -> None:
    before, after = drawn(0.3, 4, 1), drawn(0.9, 4, 2)
    a, b = write(tmp_path / "a", before), write(tmp_path / "b", after)
    (task,) = compare_runs(a, b).tasks.values()
    moves = [mean(s == "A" for s in two) - mean(s == "A" for s in one) for one, two in zip(before, after, strict=True)]
    assert task.diff.mean == pytest.approx(mean(moves))
    assert task.diff.se == pytest.approx(stdev(moves) / math.sqrt(60))
    assert (task.diff.better, task.diff.worse) == (sum(m > 0 for m in moves), sum(m < 0 for m in moves))
    turned = flips([task])
    assert len(turned) == sum(abs(m) >= 0.5 for m in moves)
    assert {flip.size for flip in turned} <= {0.5, 0.75, 1.0}
    saved = reference_run.save(a, "main", tmp_path / "baselines")
    assert gate(saved, b).tasks["t"].evidence == gate(a, b).tasks["t"].evidence
    assert gate(a, b).verdict == "improve"
    assert gate(a, a).tasks["t"].reason == "every answer is the same"


def test_a_run_that_lacks_answers_is_not_compared(tmp_path: Path) -> None:
    a = write(tmp_path / "a", drawn(0.5, 3, 1))
    lines = (a / "records.jsonl").read_text().splitlines(keepends=True)
    (a / "records.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(Incomparable, match="179 of 180 answers"):
        compare_runs(a, a)
    (a / "records.jsonl").write_text("".join([*lines, lines[0]]))
    with pytest.raises(Incomparable, match="recorded twice"):
        Side.read(a)


def test_a_run_is_valid_by_its_answers_and_its_table_has_their_numbers(tmp_path: Path) -> None:
    records = records_of([["A"] * 4] * 50)
    lost = {"status": "media_error", "scores": {}}
    records[:2] = [record.model_copy(update=lost) for record in records[:2]]
    about = manifest(50, 4)
    write_json(tmp_path / "manifest.json", about)
    (tmp_path / "records.jsonl").write_text("".join(f"{record.model_dump_json()}\n" for record in records))
    write_json(tmp_path / "results.json", summarise(records, about))
    run = Run(tmp_path)
    assert run.valid, "2 of 200 answers failed"
    table = run.to_frame()
    assert table["number"].tolist() == [0, 1, 2, 3] * 50
    assert {"reasoning", "shown"} <= set(table.columns)
    assert run.summary()["pass_at_k.4"][0] == 1.0
