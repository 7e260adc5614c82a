"""What the page says of reading: how answers were found; free scores stand beside constrained ones, not against."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from report_runs import PROTOCOL, write_run

from reports.data.runs import RunData, load_runs
from reports.pages.leaderboard_page import render
from reports.sections.reading import Reading, reading
from reports.tables.leaderboard import columns, labels, rows
from reports.tables.ranking import Pairing
from viubench.comparison.pair import Incomparable, compare_runs
from viubench.schema import Record

TASK = "viubench_jigsaw_easy"
CONSTRAINED = PROTOCOL.model_copy(update={"protocol": "viubench-constrained", "answers": "constrained"})
LIKELIHOOD = PROTOCOL.model_copy(update={"protocol": "viubench+answers=likelihood", "answers": "likelihood"})


def lines(runs: list[RunData]) -> list[Reading]:
    return reading(runs, labels(runs), columns(runs), Pairing(runs))


def rewritten(folder: Path, said: list[tuple[str, str]]) -> Path:
    """The first records with these (response, rule) for their answer 1 to 6; unparsed where there is no rule."""
    file = folder / "records.jsonl"
    known = [Record.model_validate_json(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for place, (response, rule) in enumerate(said):
        answer = {"answer": [1, 2, 3, 4, 5, 6], "rule": rule, "status": "ok"}
        change = answer if rule else {"answer": None, "rule": None, "status": "unparsed", "scores": {}}
        known[place] = known[place].model_copy(update={"response": response, **change})
    file.write_text("".join(f"{record.model_dump_json()}\n" for record in known), encoding="utf-8")
    return folder


def test_answers_are_counted_by_how_they_were_found(tmp_path: Path) -> None:
    said = [
        ("123456", "line/digits"),
        ("123456", "line/digits"),
        ("The order is 123456.", "phrase/digits"),
        ("<answer>1, 2, 3, 4, 5, 6</answer>", "tag/numbers"),
        ("(1 2 3 4 5 6)", "line/numbers"),
        ("It may be 123456 I think", "whole/digits"),
        ("So 123456, not 123465", "conclusion/digits"),
        ("No idea.", ""),
    ]
    folder = write_run(tmp_path / "a", tasks=[TASK], suite=False, n=8, engine="hf")
    (line,) = lines(load_runs([rewritten(folder, said)]))
    assert line.n == 8
    assert line.shares == {"exact": 2 / 8, "declared": 3 / 8, "found": 2 / 8, "unparsed": 1 / 8}
    assert line.others == {}


def three(tmp_path: Path, **constrained: object) -> list[RunData]:
    about = {"tasks": [TASK], "suite": False, "n": 40, "measured": True, "engine": "hf"}
    free = write_run(tmp_path / "free", skill=0.3, **about)  # type: ignore[arg-type]
    other = write_run(tmp_path / "other", model="model-b", skill=0.5, **about)  # type: ignore[arg-type]
    held = {"skill": 0.9, "protocol": CONSTRAINED, **about, **constrained}
    return load_runs([free, other, write_run(tmp_path / "held", **held)])  # type: ignore[arg-type]


def test_a_constrained_run_of_the_same_model_and_items_stands_beside_the_free_one(tmp_path: Path) -> None:
    runs = three(tmp_path)
    first, second = lines(runs)
    held = first.others["constrained"]
    values = [run.results.tasks[TASK].value for run in runs]
    assert (first.free, held.value) == (values[0], values[2])
    assert held.found.mean == pytest.approx(values[2] - values[0])
    assert second.others == {}  # another model
    page = render(runs, [])
    (stated,) = re.findall(r"<td>([0-9.]+)</td><td>\+([0-9.]+) <small>", page)
    assert float(stated[0]) == pytest.approx(100 * values[2], abs=0.06)
    assert float(stated[1]) == pytest.approx(100 * held.found.mean, abs=0.06)


@pytest.mark.parametrize("other", [{"n": 39}, {"protocol": CONSTRAINED.model_copy(update={"prompt": "published"})}])
def test_other_items_or_another_setting_beside_is_no_measure_of_reading(
    tmp_path: Path, other: dict[str, object]
) -> None:
    runs = three(tmp_path, **other)
    if "protocol" in other:  # the manifests of these runs hold a protocol's name and way to answer alone
        runs[2].manifest.protocols[TASK] = runs[2].manifest.protocols[TASK].model_copy(update={"prompt": "published"})
    assert [line.others for line in lines(runs)] == [{}, {}]


def test_free_and_constrained_scores_share_no_rank_and_no_comparison(tmp_path: Path) -> None:
    runs = three(tmp_path)
    assert [run.kind for run in runs] == ["model", "model", "constrained"]
    table = {row.label: row for row in rows(runs, [])}
    held = table["model-a · constrained"]
    assert (held.rank, held.kind) == (None, "constrained")
    assert table["model-b"].cells[TASK].best
    assert not held.cells[TASK].best
    assert "Models, constrained answers: not compared with the others" in render(runs, [])
    with pytest.raises(Incomparable, match="differ in answers"):
        compare_runs(runs[0].path, runs[2].path)


def test_models_that_all_answer_alike_are_ranked(tmp_path: Path) -> None:
    about = {"tasks": [TASK], "suite": False, "n": 8, "engine": "hf"}
    held = [
        write_run(tmp_path / name, model=name, protocol=way, **about)  # type: ignore[arg-type]
        for name, way in (("a", CONSTRAINED), ("b", CONSTRAINED), ("c", LIKELIHOOD))
    ]
    runs = load_runs([*held, write_run(tmp_path / "blind", model="blind", **about | {"engine": "blind"})])  # type: ignore[arg-type]
    assert [run.kind for run in runs] == ["model", "model", "likelihood", "blind"]
    assert lines(runs) == []
