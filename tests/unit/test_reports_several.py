"""The pages of runs with several answers to each question, and of models that think."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report_runs import data_of
from test_several_scores import drawn, manifest, records_of, write

from reports.data.runs import load_runs
from reports.pages import leaderboard_page
from reports.sections.difficulty import figures
from reports.sections.per_sample import per_sample
from reports.sections.samples import ANSWERS, browser
from reports.tables.agreement import agreements
from reports.tables.leaderboard import labels, rows
from reports.tables.ranking import Pairing
from viubench.comparison.pair import compare_runs
from viubench.schema import Record
from viubench.scoring.aggregate import summarise
from viubench.storage.run_dir import write_json


def save(folder: Path, records: list[Record], questions: int, samples: int, **more: Any) -> Path:
    about = manifest(questions, samples, **more)
    folder.mkdir()
    write_json(folder / "manifest.json", about)
    (folder / "records.jsonl").write_text("".join(f"{record.model_dump_json()}\n" for record in records))
    write_json(folder / "results.json", summarise(records, about))
    return folder


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "a", drawn(0.2, 4, 1)), write(tmp_path / "b", drawn(0.9, 4, 2))]


def test_runs_are_ranked_and_compared_by_the_means(two: list[Path], tmp_path: Path) -> None:
    runs = load_runs(two)
    found = Pairing(runs).difference(0, 1, {"t": 1.0})
    (task,) = compare_runs(*two).tasks.values()
    assert found == task.diff
    table = rows(runs, [])
    assert [row.rank for row in table if row.kind == "model"] == [1, 2]
    assert {row.n for row in table if row.kind == "model"} == {60}
    leaderboard_page.write(two, tmp_path / "page.html", [])
    html = (tmp_path / "page.html").read_text()
    for head in ("SD between", "SD within", "pass@1", "pass@2", "pass@4", "majority vote"):
        assert f">{head}</th>" in html
    (agreement,) = agreements(runs, labels(runs))
    assert (agreement.shared, agreement.answers) == (240, sum(a.answer == b.answer for a, b in task.records))
    scores = per_sample(runs)["tasks"]["t"]
    assert scores["ids"] == sorted({record.id for record, _ in task.records})
    assert sum(scores["scores"][0]) / 60 == pytest.approx(runs[0].results.tasks["t"].value, abs=1e-3)


def test_pairs_of_questions_are_ranked_too(tmp_path: Path) -> None:
    kinds = ("text", "text", "video", "video")
    paths = []
    for name, letters in (("a", "AABA"), ("b", "ABBA")):
        records = [
            record.model_copy(update={"cluster": f"p{number // 4}", "groups": {"question": kinds[number % 4]}})
            for number in range(40)
            for record in records_of([[*letters]])
            for record in [record.model_copy(update={"id": f"q{number:02d}"})]
        ]
        spec = {"name": "paired_choice", "params": {"primary": "text"}}
        paths.append(save(tmp_path / name, records, 40, 4, evaluator=spec))
    runs = load_runs(paths)
    assert runs[0].results.tasks["t"].value == 0.75
    assert Pairing(runs).difference(0, 1, {"t": 1.0}) is not None


def test_difficulty_is_of_the_means(tmp_path: Path) -> None:
    records = [
        record.model_copy(update={"groups": {"length": str(1 + int(record.id[1:]) % 2)}})
        for record in records_of(drawn(0.5, 3, 1))
    ]
    runs = load_runs([save(tmp_path / "a", records, 60, 3)])
    (figure,) = figures(runs, ["m"], "t")
    assert [row[1] for row in figure.rows] == ["30", "30"]


def test_a_card_shows_the_answers_and_the_reasoning_apart(tmp_path: Path) -> None:
    many = ANSWERS + 3
    records = [
        record.model_copy(update={"reasoning": f"because of {record.number}"})
        for record in records_of([["A"] * many] * 2)
    ]
    path = save(tmp_path / "a", records, 2, many)
    card = browser(load_runs([path]), ["m"], 12)["samples"][0]
    assert [answer["number"] for answer in card["answers"]] == list(range(1, ANSWERS + 1))
    assert [answer["reasoning"] for answer in card["answers"]][:2] == ["because of 0", "because of 1"]
    assert {answer["response"] for answer in card["answers"]} == {"A"}
    leaderboard_page.write([path], tmp_path / "page.html", [])
    html = (tmp_path / "page.html").read_text()
    assert data_of(html)["samples"][0]["answers"][0]["reasoning"] == "because of 0"
    assert 'className: "reasoning"' in html
