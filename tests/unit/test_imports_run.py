"""From another harness's file to a run that report, compare and gate take; nothing is left out in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from example_rows import samples_of
from imported_files import imported, lines, lmms_row

import viubench
from reports.pages import leaderboard_page
from viubench.errors import ViubenchError

SAMPLES = samples_of("videomme")
TEXTS = ("A", "(B)", "The answer is C", "D. it does", "A man walks", "no idea")


def whole(folder: Path, name: str = "20260101_000000_samples_videomme.jsonl") -> Path:
    """Every question answered, scored by its first letter."""
    rows = [
        lmms_row(n, sample, TEXTS[n % 6], float(TEXTS[n % 6][0] == sample.target)) for n, sample in enumerate(SAMPLES)
    ]
    return lines(folder / name, rows)


def test_a_file_becomes_a_run_with_statuses_rules_and_the_file_s_score(tmp_path: Path) -> None:
    run = imported(tmp_path, [whole(tmp_path)])
    told = run.manifest.imported
    assert told is not None
    assert (told.matching.matched, told.matching.missing) == ({"id": len(SAMPLES)}, 0)
    assert (told.files[0].format, told.files[0].task, told.files[0].answers) == ("lmms-eval", "videomme", len(SAMPLES))
    assert run.manifest.engine == {"kind": "imported", "harness": "lmms-eval"}
    records = {record.id: record for record in run.records}
    assert [records[sample.id].response for sample in SAMPLES[:6]] == list(TEXTS)
    verdict = records[SAMPLES[1].id].imported
    assert verdict is not None
    assert (verdict.place, verdict.matched, verdict.extracted) == (
        "20260101_000000_samples_videomme.jsonl, line 2",
        "id",
        "(",
    )
    assert {records[s.id].status for s, text in zip(SAMPLES, TEXTS, strict=False) if text == "no idea"} == {"unparsed"}
    assert run.valid


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    rows = [lmms_row(n, sample, "A") for n, sample in enumerate(SAMPLES[:-2])]
    other = {**lmms_row(0, SAMPLES[-1], "B"), "target": "ABCD"[("ABCD".index(SAMPLES[-1].target) + 1) % 4]}
    stranger = {"doc_id": 10_000, "input": "Which of these moons is made of cheese?", "filtered_resps": "B"}
    path = lines(
        tmp_path / "a.jsonl", [*rows, rows[0], {**rows[1], "filtered_resps": "B"}, other, stranger, "{not", "7"]
    )
    told = imported(tmp_path, [path]).manifest.imported
    assert told is not None
    found = told.matching
    assert (found.repeated, found.conflicting, found.unreadable, found.missing) == (1, 1, 2, 2)
    assert sum(found.unmatched.values()) == 2
    assert found.examples["missing"] == [sample.id for sample in SAMPLES[-2:]]
    assert any("true answer" in reason for reason in found.unmatched)
    assert len(found.examples["unmatched"]) == 2


def test_missing_questions_count_as_wrong_unless_they_are_left_out(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [lmms_row(n, s, s.target) for n, s in enumerate(SAMPLES[:4])])
    run = imported(tmp_path, [path])
    assert run.results.tasks["videomme"].value == pytest.approx(4 / len(SAMPLES), abs=1e-6)
    assert not run.valid
    part = imported(tmp_path / "part", [path], partial=True)
    assert (part.results.tasks["videomme"].value, part.results.tasks["videomme"].n, part.valid) == (1.0, 4, True)


def test_two_imports_compare_and_one_of_other_settings_does_not(tmp_path: Path) -> None:
    one, two = imported(tmp_path / "a", [whole(tmp_path)]), imported(tmp_path / "b", [whole(tmp_path, "other.jsonl")])
    assert viubench.compare(one, two).tasks["videomme"].difference == 0
    assert viubench.gate(one, two).verdict in ("pass", "inconclusive")
    results = {"config": {"model_args": "model=m,max_frame_num=4", "gen_kwargs": {"temperature": 0.5}}}
    (tmp_path / "20260101_000000_results.json").write_text(json.dumps(results))
    three = imported(tmp_path / "c", [whole(tmp_path)])
    assert three.model == "m"
    assert three.manifest.protocols["videomme"].decoding.temperature == 0.5
    with pytest.raises(ViubenchError, match=r"two protocols.*max_frame_num"):
        viubench.compare(one, three)


def test_a_run_is_not_overwritten_and_a_file_of_another_task_is_refused(tmp_path: Path) -> None:
    path = whole(tmp_path)
    imported(tmp_path, [path])
    with pytest.raises(ViubenchError, match="holds a run"):
        imported(tmp_path, [path])
    assert imported(tmp_path, [path], resume=False).results.tasks["videomme"].n == len(SAMPLES)
    with pytest.raises(ViubenchError, match="no answer belongs to a question of charades_sta"):
        imported(tmp_path / "other", [path], "charades_sta")


def test_the_difference_between_three_scores_is_explained(tmp_path: Path) -> None:
    run = imported(tmp_path, [whole(tmp_path)])
    found = viubench.explain_difference(run)
    assert found.rules == {"videomme": "lmms-eval/videomme"}
    assert sum(found.counts.values()) == len(SAMPLES)
    for one in found.samples:
        assert len({one.strict, one.rule, one.file} - {None}) > 1
        assert one.reason
    frame = found.to_frame()
    assert set(frame["reason"]) == set(found.counts) - {"all agree"}
    with pytest.raises(ViubenchError, match="was not applied"):
        viubench.explain_difference(run, "lmms-eval/mvbench")
    more = imported(tmp_path / "more", [whole(tmp_path)], rules="lmms-eval/mvbench")
    assert viubench.explain_difference(more, "lmms-eval/mvbench").means["videomme"]["rule"] is not None


def test_the_page_says_that_a_run_is_imported(tmp_path: Path) -> None:
    run = imported(tmp_path, [whole(tmp_path)])
    table = leaderboard_page.write([run.path], tmp_path / "page.html", ())
    page = (tmp_path / "page.html").read_text()
    assert "engine: imported from lmms-eval" in table
    assert "imported from lmms-eval" in page
    assert f"{len(SAMPLES)} by id" in page
