"""How the runs went: failures by kind, seconds and tokens, and what repeating a run changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from paired_runs import Row, rows, write
from report_runs import write_run

from reports.data.runs import load
from reports.pages.leaderboard_page import render
from reports.sections import per_sample
from reports.sections.failures import failures
from reports.sections.speed import speeds
from reports.tables.agreement import agreements
from reports.tables.leaderboard import columns


def test_failures_are_counted_by_run_task_and_fault(tmp_path: Path) -> None:
    broken = [Row("1", None, "v"), Row("2", 1.0, "w"), Row("3", None, "x", "media_error"), Row("4", 0.0, "y")]
    run = load(write(tmp_path / "a", {"t": broken, "u": rows([1.0, 0.0])}))
    run.samples.loc[run.samples["status"] == "media_error", "fault"] = "missing"
    found = failures([run], ["a"], columns([run]))
    assert found["models"][0]["counts"].statuses == {"ok": 4, "unparsed": 1, "media_error": 1}
    assert found["models"][0]["faults"] == [("missing", 1)]
    assert [task["name"] for task in found["tasks"]] == ["t"]
    assert found["tasks"][0]["counts"][0].share == 0.5
    assert (found["whole"], round(found["share"], 3)) == (1, 0.333)
    html = render([run], [])
    assert "1 missing" in html
    assert "status=media_error&amp;model=m" in html
    assert "#task=t&amp;status=failed&amp;model=m" in html


def test_seconds_and_tokens_are_those_of_the_records(tmp_path: Path) -> None:
    run = load(write_run(tmp_path / "a", n=20, tasks=["viubench_count_easy"], suite=False))
    blind = load(write_run(tmp_path / "b", model="blind", engine="blind", n=20))
    (speed,) = speeds([run, blind], ["a", "b"])
    assert speed["n"] == 20
    assert speed["stages"]["engine"] == pytest.approx({"mean": 1.595, "late": 1.68, "total": 31.9})
    assert (speed["prompt"], speed["completion"]) == (4009.5, 9.0)
    assert speed["cached"] == pytest.approx(3000 / 4009.5)
    assert speed["tokens"] == 20 * 9 + 80190


def test_the_first_token_and_the_rate_after_it_are_shown(tmp_path: Path) -> None:
    run = load(write_run(tmp_path / "a", n=20, tasks=["viubench_count_easy"], suite=False))
    (plain,) = speeds([run], ["a"])
    assert plain["first"] is None
    assert plain["rate"] == pytest.approx(9 / 1.595, rel=0.05)
    run.samples["seconds.first_token"] = [0.5] * 12 + [0.7] * 8
    run.samples["seconds.engine"] = run.samples["seconds.first_token"] + 2
    (speed,) = speeds([run], ["a"])
    assert speed["first"] == (0.5, 0.7)
    assert "first_token" not in speed["stages"]
    assert speed["rate"] == pytest.approx((9 - 1) / 2)
    assert '<th scope="col">first token, s</th>' in render([run], [])


def test_repeats_tell_what_is_noise(tmp_path: Path) -> None:
    once = [1.0, 0.0] * 100
    again = [1.0 - score if k < 10 else score for k, score in enumerate(once)]
    runs = [load(write(tmp_path / name, {"t": rows(scores)})) for name, scores in (("a", once), ("b", again))]
    (line,) = agreements(runs, ["a", "b"])
    assert line.flips == 10
    by_t = 1.972 * (10 / 200 / 200) ** 0.5  # few scores differ, so the interval is exact, and wider
    assert by_t < line.noise < 1.25 * by_t
    assert "10 of 200 scores differ: less than 3.7 points is noise" in line.text
    (same,) = agreements([runs[0], runs[0]], ["a", "b"])
    assert (same.flips, same.noise) == (0, None)
    assert "noise" not in same.text


def test_every_score_travels_in_the_page_up_to_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = load(write(tmp_path / "a", {"t": rows([1.0, 1 / 3, None]), "u": rows([0.0])}))
    b = load(write(tmp_path / "b", {"t": [*rows([1.0]), Row("9", None, "v", "engine_error")]}))
    found = per_sample.per_sample([a, b])
    ids = ["t-00000", "t-00001", "t-00002", "t-9"]
    assert found["tasks"]["t"] == {"ids": ids, "scores": [[1, 0.333, -1, None], [1, None, None, -5]]}
    assert found["statuses"][1] == "unparsed"
    assert found["leftOut"] == 0
    monkeypatch.setattr(per_sample, "BUDGET", 60)
    assert (list(per_sample.per_sample([a, b])["tasks"]), per_sample.per_sample([a, b])["leftOut"]) == (["u"], 1)
