"""What the page says of judges: the judged score beside the one by rules, agreement, and judge errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from judges import RAMBLE, Judge, finished, samples, verdict

import viubench
from reports.data.runs import load_runs
from reports.pages.leaderboard_page import render
from reports.sections.judges import judged
from reports.tables.leaderboard import columns

RULED, OPEN = "tempcompass_multi_choice", "tempcompass_captioning"


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Half of the answers of the one task are unread, and all of the other are for a judge."""
    folders = []
    for task in (OPEN, RULED):
        (tmp_path / task).mkdir()
        texts = {
            sample.id: f"Hm, {place}." if place % 2 or task == OPEN else sample.answer_text
            for place, sample in enumerate(samples(task))
        }
        folders.append(finished(tmp_path / task, task, texts))
    return folders


def shown(runs: list[Path]) -> str:
    """The text of the section of judges; "" where there is none."""
    html = render(load_runs(runs), ())
    section = re.search(r"<h3>Judges</h3>.*?</details>", html, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section[0])) if section else ""


def test_both_scores_agreement_and_errors_are_shown(runs: list[Path]) -> None:
    assert shown(runs) == ""
    viubench.judge(
        runs[1], Judge(lambda prompt: RAMBLE if "Hm, 3" in prompt else verdict(answer="A")), checks=2, max_errors=1
    )
    text = shown(runs)
    (line,) = judged(load_runs(runs), ["one", "two"])
    assert (line.task, line.label, line.found.judge_errors) == (RULED, "two", 1)
    assert "53.8" in text
    assert "1 unparsed 1" in text
    assert "κ" in text
    assert line.alpha is None
    viubench.judge(runs[1], Judge(lambda _: verdict(answer="A"), name="another"))
    assert all(line.alpha == pytest.approx(1.0) for line in judged(load_runs(runs), ["one", "two"]))


def test_a_task_for_a_judge_has_no_score_by_rules(runs: list[Path]) -> None:
    viubench.judge(runs[0], Judge(lambda _: RAMBLE), max_errors=1)
    assert "no verdict" in shown(runs)
    heads = columns(load_runs(runs))
    assert [head.key for head in heads] == [RULED, OPEN]  # it neither stands first nor is in a mean
    column = '<th scope="col">unjudged</th>'
    assert column in render(load_runs(runs), ())
    assert column not in render(load_runs(runs[1:]), ())


def test_verdicts_that_cannot_be_read_cost_the_section_alone(
    runs: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    viubench.judge(runs[1], Judge(lambda _: verdict(answer="A")))
    next(runs[1].glob("judges/*/judged.json")).write_text("{}")
    assert shown(runs) == ""
    assert "are left out" in caplog.text


def test_names_of_judges_stay_text(runs: list[Path]) -> None:
    viubench.judge(runs[1], Judge(lambda _: verdict(answer="A"), name="<b>x</b>"))
    assert "<b>x</b>" not in render(load_runs(runs), ())
