"""Records and results as tables, and aggregates by column against plain sums by row."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paired_runs import rows, write

import evaluators
from evaluators import Scored
from viubench.comparison.gate import gate
from viubench.comparison.pair import Side, compare_runs
from viubench.comparison.report import LEVEL, report
from viubench.schema import Failure, FrameInfo, Record, SuiteResult
from viubench.scoring import aggregate, frame
from viubench.storage.run_dir import read_results

SCORES = st.dictionaries(st.sampled_from(["iou", "exact"]), st.floats(0, 1))
GROUPS = st.dictionaries(st.sampled_from("kl"), st.sampled_from(["x", "y", ("x", "z")]))
ROWS = st.lists(st.builds(Scored, SCORES, st.sampled_from("abc"), GROUPS), min_size=1, max_size=20)
RICH = Record(
    task="t", id="a", cluster="v", status="ok", response="3 to 8", answer=[3.0, 8.0], target=[3.0, 9.0],
    scores={"iou": 0.8}, rules={"r": None}, groups={"kind": ("x", "y")}, usage={"input_tokens": 7},
    seconds={"engine": 1.5}, frames=FrameInfo(indices=[0, 9], times=[0.0, 0.3], height=32, width=64, hash="h"),
)  # fmt: skip


def test_every_field_of_a_record_is_in_its_row() -> None:
    failed = Record(
        task="t", id="b", cluster="v", status="media_error", error=Failure(fault="missing", detail="no file")
    )
    table = frame.records_frame([RICH, failed])
    first, second = table.iloc[0], table.iloc[1]
    assert set(Record.model_fields) <= set(table.columns)
    assert (first["score.iou"], first["usage.input_tokens"], first["seconds.engine"]) == (0.8, 7, 1.5)
    assert (first["answer"], first["group.kind"], first["frames.times"]) == ([3.0, 8.0], ("x", "y"), [0.0, 0.3])
    assert (second["error.fault"], second["error.detail"]) == ("missing", "no file")
    assert pd.isna(second["score.iou"])
    assert pd.isna(second["frames.hash"])
    assert set(Record.model_fields) < set(frame.records_frame([])) < set(table.columns)


def test_results_have_a_row_for_each_task_and_suite(tmp_path: Path) -> None:
    run = write(tmp_path / "run", {"t": rows([1.0, 0.0, None]), "u": rows([1.0])})
    suite = SuiteResult(value=0.5, ci=(0.2, 0.8), se=0.1, tasks=["t", "u"])
    results = read_results(run).model_copy(update={"suites": {"s": suite}})
    table = frame.results_frame(results).set_index("task")
    assert table["value"].to_dict() == {"t": pytest.approx(1 / 3, abs=1e-6), "u": 1.0, "s": 0.5}
    assert (table.loc["s", "n"], table.loc["s", "ci_low"], table.loc["s", "ci_high"]) == (4, 0.2, 0.8)
    assert (table.loc["t", "statuses.unparsed"], table.loc["t", "n"], table.loc["u", "metrics.accuracy"]) == (1, 3, 1.0)
    assert 0 <= table.loc["t", "ci_low"] < table.loc["t", "ci_high"] <= 1


@given(ROWS)
def test_rows_come_back_as_they_were_put_in(units: list[Scored]) -> None:
    assert frame.scored_rows(frame.scores_frame(units)) == units


@given(ROWS)
def test_means_by_column_are_those_by_row(units: list[Scored]) -> None:
    table = frame.scores_frame(units)
    assert aggregate.score_of(table, "iou").tolist() == [row.scores.get("iou", 0.0) for row in units]
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in units:
        for key, labels in row.groups.items():
            for label in labels:  # of one letter each, so that a text is a tuple of itself
                values[key][label].append(row.scores.get("iou", 0.0))
    breakdown = aggregate._breakdown(table, "iou")
    assert {key: list(own) for key, own in breakdown.items()} == {
        key: sorted(own) for key, own in sorted(values.items())
    }
    for key, own in values.items():
        for label, scores in own.items():
            assert breakdown[key][label] == {
                "value": pytest.approx(sum(scores) / len(scores), abs=1e-6),
                "n": len(scores),
            }
    whole = [key for key in "kl" if all(row.groups.get(key) for row in units)]
    assert aggregate._whole(table) == whole


def test_a_unit_without_the_group_that_is_averaged_over_is_an_error() -> None:
    table = frame.scores_frame([Scored({}, "a", {"k": "x"}), Scored({"accuracy": 1.0}, "b", {})])
    with pytest.raises(KeyError):
        aggregate.headline_parts(table, evaluators.get("choice"), "k")
    with pytest.raises(KeyError):
        aggregate.headline_parts(table, evaluators.get("choice"), "none")
    assert aggregate.headline(table[:1], evaluators.get("choice"), "k") == 0.0


def test_batches_make_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "BATCH", 2)
    table = frame.TaskRows()
    for name in "cab":
        table.add(RICH.model_copy(update={"id": name, "cluster": name}))
    table.add(Record(task="t", id="d", cluster="d", status="unparsed", scores={"iou": 1.0}))
    whole = table.frame()
    assert list(whole["id"]) == list(whole["cluster"]) == ["a", "b", "c", "d"]
    assert aggregate.score_of(whole, "iou").tolist() == [0.8, 0.8, 0.8, 0.0]
    assert "rule.r" not in whole


def test_a_comparison_and_a_verdict_have_a_row_for_each_task(tmp_path: Path) -> None:
    tasks = {"t": rows([1.0, 0.0, 1.0]), "u": rows([1.0, 0.0])}
    a, b = write(tmp_path / "a", tasks), write(tmp_path / "b", tasks | {"t": rows([0.0, 0.0, 1.0])})
    sides = Side.read(a), Side.read(b)
    compared = report(*sides, compare_runs(*sides, level=LEVEL), [])
    table = compared.to_frame().set_index("task")
    assert table["difference"].to_dict() == {
        "t": pytest.approx(-1 / 3, abs=1e-6),
        "u": 0.0,
        "mean": pytest.approx(-1 / 6, abs=1e-6),
    }
    assert table.loc["t", "ci_low"] < table.loc["t", "difference"] < table.loc["t", "ci_high"]
    verdict = gate(a, b)
    judged = verdict.to_frame().set_index("task")
    assert judged["verdict"].to_dict() == {name: task.verdict for name, task in verdict.tasks.items()}
    assert judged["evidence.ci_high"].to_dict() == {name: task.evidence.ci[1] for name, task in verdict.tasks.items()}
    assert "<td>t</td>" in compared._repr_html_()
    assert "<td>u</td>" in verdict._repr_html_()
