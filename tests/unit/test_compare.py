"""Two run folders paired sample by sample: the numbers of results.json, and what must not be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from paired_runs import Row, rows, write
from scipy import stats as scipy_stats

from viubench import compare_runs, read_results
from viubench.comparison.pair import Incomparable
from viubench.errors import Exit, ViubenchError

IOU = {"name": "temporal_iou", "params": {}}


def test_values_are_those_of_the_results_and_the_difference_is_scipys(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(0, 1, 40)
    after = np.clip(before + rng.normal(0.1, 0.1, 40), 0, 1)
    a = write(tmp_path / "a", {"t": rows(before.tolist())}, evaluator=IOU)
    b = write(tmp_path / "b", {"t": rows(after.tolist())[::-1]}, evaluator=IOU)  # finished in another order
    found = compare_runs(a, b).tasks["t"]
    assert round(found.value_a, 6) == read_results(a).tasks["t"].value
    assert round(found.value_b, 6) == read_results(b).tasks["t"].value
    low, high = scipy_stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (found.diff.low, found.diff.high) == pytest.approx((low, high), rel=1e-9)
    assert found.diff.mean == pytest.approx(found.value_b - found.value_a)
    assert (found.n, found.exact_a, found.exact_b) == (40, np.mean(before == 1), np.mean(after == 1))


def test_unanswered_samples_count_as_wrong_on_either_side(tmp_path: Path) -> None:
    a = write(tmp_path / "a", {"t": rows([1.0, None, 1.0, 0.0])})
    b = write(tmp_path / "b", {"t": rows([None, 1.0, 1.0, None])})
    found = compare_runs(a, b).tasks["t"]
    assert (found.value_a, found.value_b, found.diff.better, found.diff.worse) == (0.5, 0.5, 1, 1)
    assert not found.same_answers


def test_a_headline_over_pairs_of_questions_is_compared_over_pairs(tmp_path: Path) -> None:
    kinds = ("text", "text", "video", "video")

    def questions(right: dict[str, tuple[int, ...]]) -> list[Row]:
        return [
            Row(f"{pair}{n}", float(score), pair, groups={"question": kinds[n]})
            for pair, scores in right.items()
            for n, score in enumerate(scores)
        ]

    spec = {"name": "paired_choice", "params": {"primary": "text"}}
    before = questions({"p1": (1, 1, 0, 0), "p2": (1, 0, 1, 1), "p3": (0, 0, 0, 0)})
    after = questions({"p1": (1, 1, 1, 1), "p2": (1, 1, 0, 0), "p3": (1, 0, 0, 0)})
    a, b = (write(tmp_path / n, {"t": found}, evaluator=spec) for n, found in (("a", before), ("b", after)))
    found = compare_runs(a, b).tasks["t"]
    assert (found.n, found.diff.n, found.diff.better, found.diff.worse) == (12, 3, 1, 0)
    assert found.value_a == pytest.approx(1 / 3)
    assert found.value_b == pytest.approx(2 / 3)
    assert found.diff.test == "exact McNemar"
    assert (found.exact_a, found.exact_b) == (5 / 12, 7 / 12)


def test_a_headline_over_groups_is_compared_over_groups(tmp_path: Path) -> None:
    def grouped(scores: list[float]) -> list[Row]:
        return [replace(row, groups={"k": "often" if n < 6 else "rare"}) for n, row in enumerate(rows(scores))]

    a = write(tmp_path / "a", {"t": grouped([1.0] * 6 + [0.0] * 2)}, about={"average": "k"})
    b = write(tmp_path / "b", {"t": grouped([1.0] * 6 + [1.0, 0.0])}, about={"average": "k"})
    found = compare_runs(a, b).tasks["t"]
    assert (found.value_a, found.value_b) == (0.5, 0.75) == (0.5, read_results(b).tasks["t"].value)
    assert found.diff.mean == pytest.approx(0.25)


def test_the_mean_over_tasks_is_clustered_across_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    gain = rng.uniform(-0.3, 0.5, 20)
    shared = {name: rows((0.4 + gain + rng.uniform(-0.05, 0.05, 20)).tolist()) for name in "xyz"}
    alone = {t: [replace(row, cluster=f"{t} {row.cluster}") for row in found] for t, found in shared.items()}
    found = []
    for name, tasks in (("shared", shared), ("alone", alone)):
        base = {task: [replace(row, score=0.4) for row in rows_] for task, rows_ in tasks.items()}
        a = write(tmp_path / name / "a", base, evaluator=IOU)
        found.append(compare_runs(a, write(tmp_path / name / "b", tasks, evaluator=IOU)))
    together, apart = found
    assert together.mean.mean == pytest.approx(np.mean([pair.diff.mean for pair in together.tasks.values()]))
    assert (together.value_a, together.mean.clusters) == (pytest.approx(0.4), 20)
    assert together.mean.se > 1.5 * apart.mean.se


def changed(row: int, **changes: object) -> Callable[[list[Row]], list[Row]]:
    return lambda found: [*found[:row], replace(found[row], **changes), *found[row + 1 :]]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found[1:], r"1 only in .*/a \(first 't-00000'\)"),
        (changed(2, id="new"), r"1 only in .*/a \(first 't-00002'\), 1 only in .*/b \(first 't-new'\)"),
        (changed(3, target="B"), r"1 with another true answer \(first 't-00003'\)"),
        (changed(3, cluster="elsewhere"), r"1 of another source video \(first 't-00003'\)"),
        (changed(3, groups={"kind": "x"}), r"1 in another group \(first 't-00003'\)"),
    ],
)
def test_other_items_are_refused_and_named(tmp_path: Path, change: Callable[[list[Row]], list[Row]], said: str) -> None:
    found = rows([1.0, 0.0, 1.0, 0.0])
    a, b = write(tmp_path / "a", {"t": found}), write(tmp_path / "b", {"t": change(found)})
    with pytest.raises(Incomparable, match=said) as error:
        compare_runs(a, b)
    assert error.value.exit_code == Exit.INVALID_RUN
    assert "'t' has other items" in error.value.message


def test_another_protocol_or_definition_is_refused(tmp_path: Path) -> None:
    tasks = {"t": rows([1.0, 0.0])}
    a = write(tmp_path / "a", tasks)
    with pytest.raises(Incomparable, match=r"two protocols: h and i, which differ in sampling\.frames \(48 and 32\)"):
        compare_runs(
            a, write(tmp_path / "b", tasks, protocol={"hash": "i", "sampling": {"frames": 32}, "description": "other"})
        )
    with pytest.raises(Incomparable, match="'t' is defined differently"):
        compare_runs(a, write(tmp_path / "c", tasks, about={"hash": "e"}))


def test_a_run_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    tasks = {"t": rows([1.0, 0.0, 1.0])}
    a, b = write(tmp_path / "a", tasks), write(tmp_path / "b", tasks)
    records = (b / "records.jsonl").read_bytes()
    (b / "records.jsonl").write_bytes(records[:-20])  # torn by a kill
    with pytest.raises(Incomparable, match="'t' has 2 of 3 samples") as error:
        compare_runs(a, b)
    assert error.value.where == str(b)
    (b / "records.jsonl").write_bytes(records + records.splitlines(keepends=True)[0])
    with pytest.raises(Incomparable, match="'t-00000' is recorded twice"):
        compare_runs(a, b)
    (b / "records.jsonl").write_bytes(records)
    (b / "results.json").unlink()
    with pytest.raises(Incomparable, match=r"b is not finished"):
        compare_runs(a, b)


def test_too_many_errors_are_refused_on_either_side(tmp_path: Path) -> None:
    whole = rows([1.0] * 50)
    broken = [*whole[:48], *(replace(row, status="media_error", score=None) for row in whole[48:])]
    a, b = write(tmp_path / "a", {"t": whole}), write(tmp_path / "b", {"t": broken})
    for first, second in ((a, b), (b, a)):
        with pytest.raises(Incomparable, match="2 of 50 samples are media or engine errors, more than the 1 %"):
            compare_runs(first, second)
    assert compare_runs(a, b, max_errors=0.04).tasks["t"].value_b == 0.96


def test_runs_of_other_tasks_are_refused(tmp_path: Path) -> None:
    a = write(tmp_path / "a", {"t": rows([1.0, 0.0]), "only_a": rows([1.0])})
    b = write(tmp_path / "b", {"t": rows([1.0, 0.0])})
    for first, second in ((a, b), (b, a)):
        with pytest.raises(Incomparable, match=r"'only_a' is not in .*b"):
            compare_runs(first, second)


def test_records_that_are_not_those_of_the_results_are_refused(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", {"t": rows([1.0, 0.0])}), write(tmp_path / "b", {"t": rows([1.0, 0.0])})
    records = (b / "records.jsonl").read_text()
    (b / "records.jsonl").write_text(records.replace('"accuracy":0.0', '"accuracy":1.0'))
    with pytest.raises(Incomparable, match=r"results.json says 0.5, the records make it 1.000000"):
        compare_runs(a, b)
    for bad in ("NaN", "7.0", "-1.0"):
        (b / "records.jsonl").write_text(records.replace('"accuracy":0.0', f'"accuracy":{bad}'))
        with pytest.raises(Incomparable, match="a score outside 0 to 1"):
            compare_runs(a, b)


def test_a_damaged_run_is_a_message_not_a_traceback(tmp_path: Path) -> None:
    tasks = {"t": rows([1.0, 0.0])}
    a = write(tmp_path / "a", tasks)
    with pytest.raises(ViubenchError, match="not a run folder"):
        compare_runs(a, tmp_path)
    b = write(tmp_path / "b", tasks)
    manifest = json.loads((b / "manifest.json").read_text())
    for key, value, said in (
        ("evaluator", {"name": "no_such", "params": {}}, "unknown evaluator 'no_such'"),
        ("evaluator", {"name": "choice", "params": {"colour": 1}}, "no parameter 'colour'"),
        ("evaluator", {"name": "paired_choice", "params": {}}, "cannot be scored"),
        ("evaluator", {}, "manifest.json is damaged: .*evaluator.name"),
        ("evaluator", "choice", "manifest.json is damaged: .*evaluator"),
        ("n", None, "manifest.json is damaged: .*[.]n must"),
        ("hash", "", "does not say how 't' was run"),
    ):
        other = manifest | {"tasks": {"t": manifest["tasks"]["t"] | {key: value}}}
        (b / "manifest.json").write_text(json.dumps(other))
        with pytest.raises(ViubenchError, match=said):
            compare_runs(b, a)
    (b / "manifest.json").write_text(json.dumps(manifest | {"protocols": {}}))
    with pytest.raises(ViubenchError, match="does not say how 't' was run"):
        compare_runs(a, b)


def test_same_answers_are_known_by_what_was_answered_not_by_the_score(tmp_path: Path) -> None:
    found = rows([1.0, 0.0, None])
    a, b = write(tmp_path / "a", {"t": found}), write(tmp_path / "b", {"t": found})
    assert compare_runs(a, b).tasks["t"].same_answers
    other = write(tmp_path / "c", {"t": [found[0], replace(found[1], answer="another wrong one"), found[2]]})
    silent = write(tmp_path / "d", {"t": [*found[:2], replace(found[2], answer="other junk")]})
    for third in (other, silent):
        compared = compare_runs(a, third).tasks["t"]
        assert not compared.same_answers
        assert compared.diff.mean == 0
