from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_runs import TASKS, table_of, write_run

from reports.data.runs import load, load_runs
from reports.html.format import short_names
from reports.pages.leaderboard_page import text
from reports.sections.task_panels import panels, verdict
from reports.tables.leaderboard import LeaderboardRow, columns, labels, rows
from viubench.errors import ViubenchError
from viubench.schema import ReferenceRow, Sampling
from viubench.storage.run_dir import read_records
from viubench.tasks.registry import Catalogue

VIUBENCH = Catalogue().protocols["viubench"]


def by_label(found: list[LeaderboardRow]) -> dict[str, LeaderboardRow]:
    return {row.label: row for row in found}


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Two models whose intervals overlap and one far below."""
    return [
        write_run(tmp_path / "low", model="low", skill=0.2, half_width=0.05),
        write_run(tmp_path / "best", model="best", skill=0.6, half_width=0.05),
        write_run(tmp_path / "near", model="near", skill=0.55, half_width=0.05),
    ]


def test_columns_are_suite_groups_tasks(three: list[Path]) -> None:
    heads = columns([load(path) for path in three])
    assert [head.key for head in heads[:4]] == [
        "viubench", "viubench/counting", "viubench/grounding", "viubench/jigsaw",
    ]  # fmt: skip
    assert [head.key for head in heads[4:]] == list(TASKS)
    assert heads[4].label == "count easy"


def test_models_that_cannot_be_told_apart_are_tied(three: list[Path]) -> None:
    found = rows(load_runs(three), [])
    models = [row for row in found if row.kind == "model"]
    assert [(row.label, row.rank) for row in models] == [("best", 1), ("near", 1), ("low", 3)]
    cells = [row.cells["viubench"] for row in models]
    assert [cell.best for cell in cells] == [True, False, False]
    assert [cell.tied for cell in cells] == [True, True, False]
    assert not models[0].cells["viubench/counting"].tied  # a mean without an interval is never called a tie


def test_a_clear_best_is_no_tie(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", skill=0.6), write_run(tmp_path / "b", model="model-b", skill=0.3)]
    best, real, _ = verdict([load(p) for p in runs], rows(load_runs(runs), []), columns([load(p) for p in runs]))
    assert best.answer == "model-a, 60.0 %"
    assert real.answer == "Yes, by 30.0 points"
    assert "intervals do not meet, and they share no samples" in real.detail
    assert not any(cell.tied for row in rows(load_runs(runs), []) for cell in row.cells.values())


def test_verdict_names_the_tie_and_the_worries(three: list[Path]) -> None:
    runs = [load(path) for path in three]
    best, real, trust = verdict(runs, rows(runs, []), columns(runs))
    assert best.answer == "best, 60.0 %"
    assert real.warn
    assert "over near; their intervals overlap" in real.detail
    assert "is above the blind answerer" in real.reasons[0]
    assert (trust.answer, trust.detail) == ("With care", "Under 100 samples in 9 tasks.")


def test_one_model_is_held_against_blind(tmp_path: Path) -> None:
    runs = [load(write_run(tmp_path / "a", skill=0.2, half_width=0.03))]
    real = verdict(runs, rows(runs, []), columns(runs))[1]
    assert (real.answer, real.warn) == ("No better than blind", True)
    assert "is not separable from" in real.detail


def test_baselines_are_always_there(tmp_path: Path) -> None:
    only = by_label(rows(load_runs([write_run(tmp_path / "a", skill=0.5)]), []))
    assert only["blind"].cells["viubench"].value == pytest.approx(sum(t[3] for t in TASKS.values()) / 9)
    assert only["chance"].cells["viubench_count_easy"].value == 0.111
    assert only["model-a"].gain == pytest.approx(0.5 - only["blind"].cells["viubench"].value)

    ran = [tmp_path / "a", *(write_run(tmp_path / e, model=e, engine=e, skill=0.2) for e in ("random", "blind"))]
    kinds = [row.kind for row in rows(load_runs(ran), [])]
    assert kinds == ["model", "random", "blind"]


def one_frame(run: Path) -> Path:
    """The run as if its model had seen one frame of each video."""
    lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    for line in lines:
        if line["frames"]:
            line["frames"] |= {"indices": [9], "times": [0.5], "videos": 1, "hash": "one " + line["frames"]["hash"]}
    (run / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_one_frame_is_a_baseline_where_others_see_more(tmp_path: Path) -> None:
    full, single = write_run(tmp_path / "a"), one_frame(write_run(tmp_path / "b", skill=0.3))
    found = rows(load_runs([full, single]), [])
    assert [(row.kind, row.label) for row in found[:2]] == [
        ("model", "model-a · vllm"),
        ("single", "model-a · one frame"),
    ]
    assert found[1].rank is None
    assert found[0].rank == 1
    assert [row.kind for row in rows(load_runs([single]), [])][:1] == ["model"]  # then one frame is all there is to see


def test_badge_when_the_protocol_differs(tmp_path: Path) -> None:
    def reference(protocol: str) -> ReferenceRow:
        return ReferenceRow(model="paper", source="a paper", protocol=protocol, values={"viubench_count_easy": 0.4})

    same = write_run(tmp_path / "same")
    changed = VIUBENCH.model_copy(update={"sampling": Sampling(frames=16)})  # the name stays "viubench"
    other = write_run(tmp_path / "other", protocol=changed)
    for run, protocol, badges in (
        (same, "viubench", ()),
        (same, VIUBENCH.hash(), ()),
        (same, "somebody-else", ("other protocol",)),
        (other, "viubench", ("other protocol",)),
    ):
        assert by_label(rows(load_runs([run]), [reference(protocol)]))["paper"].badges == badges


def test_a_published_suite_is_the_mean_of_its_tasks_where_only_those_are_given(tmp_path: Path) -> None:
    values = {task: 0.1 * k for k, task in enumerate(TASKS)}
    row = ReferenceRow(model="paper", source="s", protocol="viubench", values=values)
    found = by_label(rows(load_runs([write_run(tmp_path / "a")]), [row]))["paper"]
    assert found.cells["viubench"].value == pytest.approx(0.4)
    partial = ReferenceRow(model="part", source="s", protocol="viubench", values={"viubench_count_easy": 0.3})
    assert set(by_label(rows(load_runs([tmp_path / "a"]), [partial]))["part"].cells) == {"viubench_count_easy"}
    foreign = ReferenceRow(model="foreign", source="s", protocol="viubench", values={"mvbench": 0.3})
    assert "foreign" not in by_label(rows(load_runs([tmp_path / "a"]), [foreign]))


def test_runs_of_one_name_get_labels_of_their_own(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name, model="m", engine=engine) for name, engine in (("a", "vllm"), ("b", "hf"))]
    assert labels([load(path) for path in paths]) == ["m · vllm", "m · hf"]
    again = [*paths, write_run(tmp_path / "x" / "a", model="m")]
    assert len(set(labels([load(path) for path in again]))) == 3


def test_mixed_protocols_and_items_are_pointed_at(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path / "a"),
        write_run(tmp_path / "b", model="b", n=7, protocol=VIUBENCH.model_copy(update={"prompt": "published"})),
    ]
    runs = [load(path) for path in paths]
    trust = verdict(runs, rows(runs, []), columns(runs))[2]
    assert trust.detail == "Different items in 9 tasks, and 3 more reasons."
    assert trust.reasons[:2] == ("Different items in 9 tasks.", "Different protocols in 9 tasks.")
    assert by_label(rows(runs, []))["b"].badges == ("protocol viubench",)


def test_the_protocol_of_a_baseline_does_not_count(tmp_path: Path) -> None:
    changed = VIUBENCH.model_copy(update={"prompt": "published"})
    paths = [write_run(tmp_path / "a"), write_run(tmp_path / "r", model="r", engine="random", protocol=changed)]
    runs = [load(path) for path in paths]
    assert "different" not in verdict(runs, rows(runs, []), columns(runs))[2].detail
    reference = ReferenceRow(model="paper", source="s", protocol="viubench", values={"viubench_count_easy": 0.4})
    assert not any(row.badges for row in rows(runs, [reference]))


def test_single_task_without_suite(tmp_path: Path) -> None:
    found = rows(load_runs([write_run(tmp_path / "a", tasks=["viubench_count_easy"], suite=False)]), [])
    assert found[0].rank == 1
    assert short_names(["viubench_count_easy"]) == {"viubench_count_easy": "viubench count easy"}


def test_the_terminal_table_has_a_row_per_model_and_baseline(three: list[Path]) -> None:
    lines = text(load_runs(three)).splitlines()
    rule = next(k for k, line in enumerate(lines) if line.startswith("---"))
    assert [line.split()[0] for line in lines[rule + 1 :]] == ["best", "near", "low", "chance", "blind"]
    assert "best (engine: vllm)" in lines[rule + 1]
    assert "60.0 (55.0–65.0)" in lines[rule + 1]


def test_a_nearly_constant_answer_is_pointed_at(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", tasks=["viubench_count_easy"], suite=False)
    run = load(path)
    same = table_of(record.model_copy(update={"answer": [1, 1, 1]}) for record in read_records(path))
    stuck = type(run)(run.path, run.manifest, run.results, same)
    heads = columns([run])
    assert not panels([run], ["a"], heads)[0]["lines"][0].constant
    line = panels([stuck], ["a"], heads)[0]["lines"][0]
    assert line.constant
    assert line.frequent[0] == ("1, 1, 1", 1.0)


def test_what_is_no_finished_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="not a run folder"):
        load(tmp_path)
    path = write_run(tmp_path / "a")
    (path / "results.json").unlink()
    with pytest.raises(ViubenchError, match="not finished"):
        load(path)


def test_newer_schema_and_torn_line(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", n=3)
    with (path / "records.jsonl").open("ab") as file:
        file.write(b'{"task":"viubench_count_easy","id":"tor')
    assert len(load(path).samples) == 27
    text = (path / "results.json").read_text()
    (path / "results.json").write_text(text.replace('"schema": 1', '"schema": 99'))
    with pytest.raises(ViubenchError, match="newer"):
        load(path)
