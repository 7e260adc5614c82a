from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from report_runs import data_of, write_run
from training_runs import write_answers, write_training
from watched_runs import HOSTILE, entry, words

from reports.pages import watch_page
from viubench.schema import GateOutcome, WatchEntry, WatchScore
from viubench.watch.scheduler import SETTLING, Waiting


def scored(
    step: int, value: float, verdict: str = "", tasks: Sequence[str] = ("tiny_count",), **more: Any
) -> WatchEntry:
    one = WatchScore(metric="accuracy", value=value, ci=(value - 0.05, value + 0.05), n=50, items="i", protocol="p")
    gate = verdict and GateOutcome(
        against="a", verdict=verdict, exit_code=0, tasks=dict.fromkeys(tasks, verdict),
        baseline=dict.fromkeys(tasks, 0.42), mean=0.43,
    )  # fmt: skip
    mean = one.model_copy(update={"metric": "mean"}) if len(tasks) > 1 else None
    return entry(step, tasks=dict.fromkeys(tasks, one), mean=mean, gate=gate or None, **more)


def test_the_page_says_which_step_is_best_and_how_much_that_says() -> None:
    html = watch_page.render("train", [scored(10, 0.5), scored(20, 0.7), scored(30, 0.66), scored(40, 0.3)])
    text = words(html)
    assert "Which step is best? Step 20: 70.0" in text
    assert "The intervals of 1 other overlap it. The best of 4 on the same items is partly luck" in text
    assert "highest: 70.0 (65.0–75.0) at step 20" in text
    assert html.count('class="best-mark"') == 2, "in the plot and in its legend"
    assert "Not asked" in text
    alone = words(watch_page.render("train", [scored(10, 0.5)]))
    assert "is partly luck" not in alone
    same = words(watch_page.render("train", [scored(10, 0.5), scored(20, 0.5)]))
    assert "Which step is best? None stands out All have tiny count 50.0." in same
    nothing = words(watch_page.render("train", []))
    assert "No score yet" in nothing


def test_the_page_draws_scores_reward_baseline_and_verdicts_on_one_axis(tmp_path: Path) -> None:
    training = write_training(tmp_path / "train", steps=60, warm=0)
    tasks = ("tiny_count", "tiny_ground")
    verdicts = ("pass", "regress", "improve", "inconclusive", "error")
    entries = [scored(10 * k, 0.4 + 0.05 * k, verdict, tasks) for k, verdict in enumerate(verdicts, start=1)]
    html = watch_page.render("train", entries, [Waiting("checkpoint-60", 60, SETTLING)], training)
    plots = re.findall(r'<svg class="plot".*?</svg>', html, re.DOTALL)
    assert len(plots) == 3, "the mean and two tasks"
    for plot in plots:
        assert plot.count('class="area first"') == 1
        assert plot.count('class="curve second"') == 1
        assert plot.count('class="level before"') == 1
        assert sorted(re.findall(r'class="verdict (\w+) middle"', plot)) == sorted(verdicts)
    text = words(html)
    assert "reference run 43.0" in text
    assert "reference run 42.0" in text
    assert "training reward, mean of 4 steps, from" in text
    assert "Did it get worse? Yes, at step 20" in text
    assert "step 60, checkpoint-60: complete; waiting until its writer is done" in text


def test_a_log_that_does_not_read_costs_the_reward_curve_alone(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}\nnot a line\n{}\n")
    html = watch_page.render("train", [scored(10, 0.5), scored(20, 0.6)], (), tmp_path)
    assert "The training's reward is not drawn: a line of the log cannot be read" in words(html)
    assert html.count('<svg class="plot"') == 1


def test_the_page_fetches_nothing_and_shows_hostile_text_as_text(tmp_path: Path) -> None:
    entries = [
        scored(10, 0.5, "pass", (HOSTILE, "b")),
        entry(20, "failed", name=HOSTILE, reason=HOSTILE * 100),
    ]
    html = watch_page.render(HOSTILE, entries, [Waiting(HOSTILE, 30, HOSTILE)])
    assert "<img" not in html
    assert html.count("<script") == 2, "its data and its own script"
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert html.count("</style>") == 1
    assert "default-src &#39;none&#39;" in html
    assert not re.search(r"https?://|url\(|@import", html)
    assert len(html) < 60_000, "a long reason is cut"


def test_a_step_leads_to_its_run_its_samples_and_the_answers_of_the_training(tmp_path: Path) -> None:
    training = write_training(tmp_path / "train", steps=40, warm=0)
    for step in (0, 19, 39):
        write_answers(training, step)
    tasks = ("viubench_count_easy",)
    entries = [scored(10 * k, 0.9 if k == 2 else 0.4, tasks=tasks) for k in range(1, 7)]
    for one in entries[:5]:
        write_run(training / "watch" / one.run, model=one.name, n=4, tasks=tasks, suite=False, measured=True)
    out = training / "watch" / "watch.html"
    watch_page.write(out, "train", entries, training=training)
    html = out.read_text()
    assert data_of(html)["models"] == ["step 10", "step 20", "step 50"], "the first, the best, the last that is there"
    rows = {one.step: re.search(rf">{one.step}<small>.*?</th>", html, re.DOTALL)[0] for one in entries}
    assert 'href="runs/20/"' in rows[20]
    assert 'href="#model=step%2020"' in rows[20]
    assert 'href="#answers-19"' in rows[20]
    assert 'id="answers-19"' in html
    assert 'href="#answers-0"' in rows[10]
    assert "#model" not in rows[30]
    assert "runs/60/" not in rows[60], "that run is not there"
    before = out.stat().st_mtime_ns
    watch_page.write(out, "train", entries, training=training)
    assert out.stat().st_mtime_ns == before, "equal pages are not written again"


def test_scores_that_cannot_be_compared_are_pointed_at() -> None:
    other = scored(20, 0.6)
    other = other.model_copy(
        update={"tasks": {"tiny_count": other.tasks["tiny_count"].model_copy(update={"items": "others"})}}
    )
    few = "With care: under 100 samples in 1 task"
    assert few in words(watch_page.render("t", [scored(10, 0.5), scored(20, 0.6)]))
    assert "With care: not all checkpoints had the same items" in words(
        watch_page.render("t", [scored(10, 0.5), other])
    )


def test_the_page_is_written_whole_and_only_when_it_changes(tmp_path: Path) -> None:
    page = tmp_path / "watch.html"
    watch_page.write(page, "train", [scored(10, 0.5)])
    before = page.stat()
    watch_page.write(page, "train", [scored(10, 0.5)])
    assert page.stat().st_ino == before.st_ino
    watch_page.write(page, "train", [scored(10, 0.5), scored(20, 0.5)])
    assert page.stat().st_ino != before.st_ino
    assert list(tmp_path.iterdir()) == [page], "nothing is left beside it"
