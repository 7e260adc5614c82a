"""Which models can be told apart: by pairs where the samples are the same, by intervals where they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from paired_runs import Row, rows, write

from reports.data.runs import RunData, load
from reports.pages.leaderboard_page import text
from reports.sections.task_panels import verdict
from reports.tables.leaderboard import columns, contests, evidence, labels
from reports.tables.leaderboard import rows as standings
from reports.tables.ranking import Cell, Pairing, against_best, ranks
from viubench.schema.gate import MARGIN
from viubench.stats.paired_differences import holm

EVEN = [1.0, 0.0] * 200


def run(tmp_path: Path, name: str, scores: list[float | None], **options: object) -> RunData:
    return load(write(tmp_path / name, {"t": rows(scores)}, model=name, **options))  # type: ignore[arg-type]


@pytest.fixture
def close(tmp_path: Path) -> list[RunData]:
    """B is right wherever A is, and on 16 of 400 samples more; C is A with 2 answers better and 2 worse."""
    better = [1.0 if k % 2 == 0 or k < 32 else 0.0 for k in range(400)]
    swapped = [1.0 - score if k < 4 else score for k, score in enumerate(EVEN)]
    return [run(tmp_path, name, scores) for name, scores in (("a", EVEN), ("b", better), ("c", swapped))]


def cells(runs: list[RunData]) -> dict[int, Cell]:
    return {k: Cell(r.results.tasks["t"].value, *r.results.tasks["t"].ci) for k, r in enumerate(runs)}


def test_pairs_show_a_difference_that_intervals_hide(close: list[RunData]) -> None:
    a, b = (found.results.tasks["t"] for found in close[:2])
    assert a.ci[1] > b.ci[0]
    found = against_best(Pairing(close), {"t": 1.0}, cells(close))
    assert [(contest.best, contest.tied) for contest in found] == [(1, False), (1, False)]
    assert found[0].gap == pytest.approx(0.04)
    assert found[0].found is not None
    assert (found[0].found.better, found[0].found.worse) == (16, 0)
    assert [row.rank for row in standings(close, [])][:3] == [1, 2, 2]


def test_p_values_are_adjusted_for_all_comparisons_with_the_best(close: list[RunData]) -> None:
    pairing = Pairing(close)
    plain = [d.p_two_sided for k in (0, 2) if (d := pairing.difference(k, 1, {"t": 1.0}))]
    found = {contest.other: contest.p for contest in against_best(pairing, {"t": 1.0}, cells(close))}
    assert [found[0], found[2]] == holm(plain)
    assert max(holm(plain)) > max(plain) or plain[0] != plain[1]


def test_other_items_protocols_and_too_many_errors_leave_only_intervals(tmp_path: Path, close: list[RunData]) -> None:
    first = close[0]
    other = [
        run(tmp_path, "protocol", EVEN, protocol={"hash": "another"}),
        run(tmp_path, "definition", EVEN, about={"hash": "another"}),
        run(tmp_path, "items", EVEN, about={"items_hash": "another"}),
        run(tmp_path, "fewer", EVEN[:-1]),
    ]
    broken = [Row(f"{n:05d}", None, f"video {n}", "engine_error") for n in range(400)]
    other.append(load(write(tmp_path / "broken", {"t": broken})))
    moved = [replace_cluster(n) for n in range(400)]
    other.append(load(write(tmp_path / "moved", {"t": moved})))
    for run_ in other:
        assert Pairing([first, run_]).difference(0, 1, {"t": 1.0}) is None, run_.path.name
    assert Pairing([first, first]).difference(0, 1, {"t": 1.0}) is not None
    assert Pairing([first, first]).difference(0, 1, {"another": 1.0}) is None


def replace_cluster(number: int) -> Row:
    return Row(f"{number:05d}", EVEN[number], "one video" if number < 2 else f"video {number}")


def test_records_that_do_not_make_the_score_are_not_tested_on(close: list[RunData]) -> None:
    first = close[0]
    results = first.results.tasks["t"].model_copy(update={"value": 0.9})
    told = replace(first, results=first.results.model_copy(update={"tasks": {"t": results}}))
    assert Pairing([told, close[1]]).difference(0, 1, {"t": 1.0}) is None


def test_ranks_are_shared_by_those_that_cannot_be_told_apart() -> None:
    scores = {k: Cell(v, v - 0.05, v + 0.05) for k, v in enumerate((0.2, 0.8, 0.75, 0.66, 0.21))}
    assert ranks(Pairing([]), {}, scores) == {1: 1, 2: 1, 3: 3, 0: 4, 4: 4}
    assert ranks(Pairing([]), {}, {3: Cell(0.5)}) == {3: 1}
    assert ranks(Pairing([]), {}, {}) == {}


def test_the_first_screen_and_the_table_behind_it_say_it(close: list[RunData]) -> None:
    heads = columns(close)
    real = verdict(close, standings(close, []), heads)[1]
    assert (real.answer, real.warn) == ("Yes, by 4.0 points", False)
    assert "+4.0 over a (+2.1 to +6.4, p < 0.001), sample by sample." in real.detail
    (_, line), (_, other) = evidence(close, heads, Pairing(close))
    names = labels(close)
    assert (names[line.best], names[line.other], line.verdict) == ("b", "a", "better")
    assert names[other.other] == "c"
    assert line.detectable == pytest.approx(0.0276, abs=0.002)
    assert line.detectable > MARGIN
    assert contests(close, heads[0], Pairing(close))[0].detectable == line.detectable


def test_without_a_suite_the_mean_of_the_tasks_names_the_best(tmp_path: Path) -> None:
    """A is better at the first task, B at both together."""

    def two(name: str, first: float, second: float) -> RunData:
        tasks = {"first": rows([first] * 60 + [0.0] * 40), "second": rows([second] * 60 + [0.0] * 40)}
        return load(write(tmp_path / name, tasks, model=name))

    runs = [two("a", 1.0, 0.1), two("b", 0.9, 0.9)]
    heads = columns(runs)
    assert [(head.key, head.kind) for head in heads] == [("mean", "mean"), ("first", "task"), ("second", "task")]
    found = standings(runs, [])
    assert [(row.label, row.rank) for row in found[:2]] == [("b", 1), ("a", 2)]
    cell = found[0].cells["mean"]
    assert cell.value == pytest.approx(0.54)
    assert cell.low is not None
    assert cell.low < 0.54 < (cell.high or 0)
    best = verdict(runs, found, heads)[0]
    assert best.answer == "b, 54.0 %"
    assert "On the mean of 2 tasks" in best.detail
    assert "first" in text(runs)
