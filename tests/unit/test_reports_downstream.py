"""The page of downstream benchmarks: each once in the table, breakdowns, rules and trivial answers in the panels."""

from __future__ import annotations

import pytest
from example_rows import EXAMPLES
from typer.testing import CliRunner

from reports.data.runs import RunData, load
from reports.pages.leaderboard_page import render
from reports.sections.task_panels import panels
from reports.tables.leaderboard import columns, labels, rows, shown, whole
from viubench.cli import app
from viubench.tasks.registry import Catalogue


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunData]:
    out = tmp_path_factory.mktemp("runs")
    for engine in ("oracle", "blind"):
        words = ["run", "--engine", engine, "--tasks", "general", "--data-root", str(EXAMPLES), "--quiet"]
        done = CliRunner().invoke(app, [*words, "--out", str(out / engine)])
        assert done.exit_code == 0, done.output
    return [load(out / engine) for engine in ("oracle", "blind")]


def test_each_benchmark_stands_once_in_the_table(runs: list[RunData]) -> None:
    heads = shown(columns(runs))
    assert [head.label for head in heads if head.kind != "task"] == [
        "general", "mvbench", "tempcompass", "aotbench", "vinoground",
    ]  # fmt: skip
    assert [head.key for head in heads if head.kind == "task"] == [
        "tempcompass_multi_choice", "tempcompass_yes_no", "tempcompass_caption_matching",
    ]  # fmt: skip


def test_a_benchmark_of_three_tasks_counts_once_in_chance_and_blind(runs: list[RunData]) -> None:
    head = columns(runs)[0]
    assert dict(zip(head.tasks, head.shares, strict=True)) == pytest.approx(
        {task: 0.25 if "tempcompass" not in task else 0.25 / 3 for task in head.tasks}
    )
    blind = next(row for row in rows(runs, []) if row.kind == "blind")
    assert blind.gain == pytest.approx(0.0, abs=1e-6)
    assert blind.cells["general/mvbench"].low is not None


def test_a_panel_shows_breakdowns_rules_and_trivial_answers(runs: list[RunData]) -> None:
    by_name = {panel["name"]: panel for panel in panels(runs, labels(runs), columns(runs))}
    parts = {part["key"]: part["rows"] for part in by_name["mvbench"]["breakdowns"]}
    assert len(parts["task"]) == 20
    assert {scores[0] for _, _, scores in parts["task"]} == {1.0}  # the oracle stands first
    assert by_name["mvbench"]["rules"] == ["lmms-eval/mvbench", "official/mvbench", "videossr/vqa"]
    page = render(runs, Catalogue().references)
    for words in ("By part", "Without looking: always A", "lmms-eval/vinoground_group", "other rows"):
        assert words in page


def test_a_part_of_the_rows_is_not_the_published_set(runs: list[RunData]) -> None:
    assert not whole(runs[0], ["mvbench"])
    assert whole(runs[0], ["aotbench", "tacos"])  # no published number, and not in this run
