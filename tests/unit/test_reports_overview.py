from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_runs import write_run

from evaluators.reading import intervals
from reports.data.runs import load, load_runs
from reports.html import score_chart
from reports.html.scatter_plot import Dot, frontier, plot
from reports.pages.leaderboard_page import render
from reports.sections import strips
from reports.sections.rule_words import in_words
from reports.sections.samples import browser
from viubench.storage.run_dir import read_records


def names_of(html: str, start: str) -> list[str]:
    part = html[html.index(start) :]
    return re.findall(r'class="who" title="([^"]+)"', part[: part.index("</figure>")])


def test_models_stand_by_score_with_chance_and_blind_as_lines(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, model=name, skill=skill, n=4) for name, skill in (("low", 0.3), ("high", 0.7))]
    html = render(load_runs([*runs, write_run(tmp_path / "blind", model="blind", engine="blind", n=4)]), [])
    first = html[html.index('<figure class="scores">') :]
    first = first[: first.index("</figure>")]
    assert names_of(html, '<figure class="scores">') == ["high", "low"]
    assert "chance 15.8" in first
    assert "blind 20.6" in first
    assert "70.0 <small>67.0–73.0</small>" in first
    assert html.index('<figure class="scores">') < html.index('<table class="board')
    titles = re.findall(r'class="scores small"><figcaption>(\w+)', html)
    assert titles == ["counting", "grounding", "jigsaw"]
    assert html.count('<svg class="scatter"') == 1  # tokens are known of both


def test_more_models_than_fit_are_folded_and_the_best_of_an_ability_stays(tmp_path: Path) -> None:
    counting = {"viubench_count_easy": 0.1, "viubench_count_hard": 0.1, "viubench_ground_mirror": 0.9}
    tasks = list(counting)
    runs = [
        write_run(tmp_path / f"m{k:02d}", model=f"m{k:02d}", skill=counting, n=2, tasks=tasks, suite=False)
        for k in range(14)
    ]
    odd = dict.fromkeys(tasks[:2], 0.3) | {"viubench_ground_mirror": 0.1}
    runs.append(write_run(tmp_path / "odd", model="odd", skill=odd, n=2, tasks=tasks, suite=False))
    html = render(load_runs(runs), [])
    assert "3 more models" in html
    assert names_of(html, 'class="scores small"')[-1] == "odd"


def test_only_baselines_have_no_picture(tmp_path: Path) -> None:
    html = render(load_runs([write_run(tmp_path / "r", model="random", engine="random", n=2)]), [])
    assert '<figure class="scores">' not in html
    assert "disagree</a>" not in html


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(-1, 2))
def test_a_score_never_leaves_its_axis(scores: list[float], other: float) -> None:
    axis = score_chart.scale(scores)
    assert axis.ticks[-1] >= max(scores) - 1e-9
    for score in (*scores, other):
        assert 0 <= float(axis.x(score).removesuffix("%")) <= 100


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(0, 1)), min_size=1, max_size=40))
def test_dots_and_names_stay_inside_and_names_do_not_overlap(places: list[tuple[float, float]]) -> None:
    dots = [Dot(f"<model> {k}", cost, score) for k, (cost, score) in enumerate(places)]
    drawn = str(plot(dots, "tokens"))
    assert "<model>" not in drawn
    xs = [float(x) for x in re.findall(r' c?x="([-0-9.]+)"', drawn)]
    assert all(0 <= x <= 440 for x in xs)
    names = re.findall(r'class="name (\w+)" x="([-0-9.]+)" y="([-0-9.]+)">(.*?)<', drawn)
    boxes = []
    for side, x, y, text in names:
        width = 6.2 * len(text.replace("&lt;", "<").replace("&gt;", ">"))
        left = float(x) - {"start": 0, "end": width, "middle": width / 2}[side]
        boxes.append((left, float(y) - 10, left + width, float(y) + 3))
    for k, one in enumerate(boxes):
        for two in boxes[:k]:
            apart = one[2] <= two[0] + 0.2 or two[2] <= one[0] + 0.2 or one[3] <= two[1] + 0.2 or two[3] <= one[1] + 0.2
            assert apart
    best = frontier(dots)
    assert all(one.cost < two.cost and one.score < two.score for one, two in pairwise(best))


def test_strips_that_are_too_many_are_made_smaller_and_the_last_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (6, 216, 1200, 3), dtype=np.uint8)
    jpegs = [cv2.imencode(".jpg", image)[1].tobytes() for image in noise]
    kept = strips.Strips()
    assert [kept.place(jpeg) for jpeg in (*jpegs, jpegs[2], None)] == [0, 1, 2, 3, 4, 5, 2, None]
    assert {(address or "")[:22] for address in kept.addresses()} == {"data:image/jpeg;base64"}
    monkeypatch.setattr(strips, "STRIP_BUDGET", 400_000)
    smaller = kept.addresses()
    assert {(address or "")[:22] for address in smaller if address} == {"data:image/webp;base64"}
    assert sum(len(address or "") for address in smaller) <= 400_000
    assert smaller == kept.addresses()
    monkeypatch.setattr(strips, "STRIP_BUDGET", 30_000)
    assert 0 < strips.left_out(kept.addresses()) < 6


def test_every_rule_of_a_reader_has_its_words() -> None:
    for style in (*intervals.STYLES, "letter", "text", "digits", "clips", "list", "numbers", "labelled", "triple"):
        for place in ("tag", "phrase", "line", "conclusion", "whole"):
            assert "/" not in in_words(f"{place}/{style}")
    assert "/" in in_words("a/b")


def test_a_sample_shows_the_name_of_its_file(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", n=3, tasks=["viubench_count_easy"], suite=False, changes={"cluster": "6cd342fe"})
    assert {s["video"] for s in browser([load(run)], ["a"], 9)["samples"]} == {
        "video 6cd342fe",
        "clip_01.mp4",
        "clip_02.mp4",
    }
    records = list(read_records(run))
    records[0] = records[0].model_copy(update={"files": ["pour tea.mp4"]})
    (run / "records.jsonl").write_text("".join(f"{record.model_dump_json()}\n" for record in records))
    assert "pour tea.mp4" in {s["video"] for s in browser([load(run)], ["a"], 9)["samples"]}
