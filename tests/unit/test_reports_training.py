from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_runs import write_run
from training_runs import LEARNT, write_answers, write_evaluation, write_log, write_training
from typer.testing import CliRunner

from reports.data.answer_log import MOST_ANSWERS
from reports.data.training_log import TrainingRun, load, load_all, smoothed
from reports.html.format import number
from reports.html.page import Figure
from reports.html.svg import MOST_POINTS, Band, Curve, Level, axes, plot, thinned, ticks
from reports.pages.leaderboard_page import write
from reports.sections.training_curves import MOST_ROWS, draw
from viubench.cli import app
from viubench.errors import ViubenchError

HOSTILE = "</script></svg><img src=x onerror=alert(1)>\x1b[31m\x00\u202e&quot;{{ 7*7 }}'\"><svg/onload=alert(2)>"


def figures(section: dict[str, Any], heading: str) -> dict[str, Figure]:
    return {f.title: f for name, drawn in section["groups"] if name == heading for f in drawn}


def legend(figure: Figure) -> dict[str, str]:
    return dict(figure.legend)


def page(tmp_path: Path, *trainings: Path) -> str:
    run = tmp_path / "run"
    if not run.exists():
        write_run(run, n=2, tasks=["viubench_count_easy"], suite=False, measured=True)
    write([run], tmp_path / "page.html", [], trainings=trainings)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


# --- what is read ---------------------------------------------------------------------------------------------


def test_the_stages_come_in_the_order_they_were_run(tmp_path: Path) -> None:
    training = load(write_training(tmp_path / "train", steps=30, warm=40))
    assert training.label == "train"
    assert [(stage.name, len(stage.steps)) for stage in training.stages] == [("Warm start", 40), ("GRPO", 30)]
    assert training.stages[1].tasks == tuple(sorted(LEARNT))
    assert training.stages[1].baseline("tiny_count") == LEARNT["tiny_count"][2]
    assert training.stages[0].baseline("nobody") is None


def test_a_look_stands_at_the_steps_its_weights_have(tmp_path: Path) -> None:
    write_log(tmp_path, [{"step": 0}, {"step": 1, "validation/t/reward": 0.5}])
    write_evaluation(tmp_path, 2, skill=0.4)
    stage = load(tmp_path).stages[0]
    assert stage.validation("t", "reward") == ((2, 0.5),)
    assert [one.step for one in stage.evaluations["tiny_ground"]] == [2]


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    write_log(tmp_path, [{"step": 0, "kl": 0.1}, {"step": 1, "kl": 0.2}])
    log = tmp_path / "train.jsonl"
    whole = log.read_bytes()
    for cut in range(1, len(b'{"step": 1, "kl": 0.2}\n') + 1):
        log.write_bytes(whole[:-cut])
        steps = load(tmp_path).stages[0].steps
        assert steps == ((0, 1) if cut == 1 else (0,)), "only the line feed was lost: the step is whole"


def test_steps_may_lack_any_measure(tmp_path: Path) -> None:
    write_log(tmp_path, [{"step": 0, "a/reward": 0.1}, {"step": 4, "kl": None}, {"step": 9, "a/reward": 0.3}])
    stage = load(tmp_path).stages[0]
    assert stage.values("a/reward") == ((0, 0.1), (9, 0.3))
    assert stage.values("kl") == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"step": 1, "reward": NaN}', "holds NaN"),
        (b'{"step": 1, "kl": -Infinity}', "holds -Infinity"),
        (b'{"step": 1, "kl": 1e999}', "kl is inf"),
        (b'{"step": 1, "kl": 1' + b"0" * 400 + b"}", "kl is 1000"),
        (b'{"step": 1, "kl": "high"}', 'kl is no number: "high"'),
        (b'{"step": 1, "t/reward": [1]}', "t/reward is no number"),
        (b'{"step": 1, "floor/t": true}', "floor/t is no number: true"),
        (b'{"step": 1, "alarm/t": 3}', "alarm/t is no sentence: 3"),
        (b'{"step": 0}', "step 0 comes after step 0"),
        (b'{"step": 1.5}', "step is 1.5"),
        (b'{"step": -1}', "step is -1"),
        (b'{"step": true}', "step is True"),
        (b'{"reward": 1}', "step is None"),
        (b"[1, 2]", "no JSON object"),
        (b"", "cannot be read"),
        (b"\xff\xfe garbage", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    write_log(tmp_path, [{"step": 0}])
    with (tmp_path / "train.jsonl").open("ab") as log:
        log.write(line + b'\n{"step": 2}\n')
    with pytest.raises(ViubenchError, match=re.escape(message)) as caught:
        load(tmp_path)
    assert caught.value.where == f"{tmp_path / 'train.jsonl'}:2"
    assert caught.value.hint


def test_measures_of_others_are_let_be(tmp_path: Path) -> None:
    write_log(tmp_path, [{"step": 0, "host": "a", "times/rollout": [1], "evaluation/t": 0.5, "t/length": 7}])
    assert load(tmp_path).stages[0].tasks == ()


def test_a_folder_without_a_log_is_none(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="not a training folder"):
        load(tmp_path)
    with pytest.raises(ViubenchError, match="not a training folder"):
        load(tmp_path / "missing")


def test_trainings_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    paths = [write_log(tmp_path / name, [{"step": 0}]) for name in ("a/x/train", "b/x/train", "c/other")]
    assert [one.label for one in load_all(paths)] == ["a/x/train", "b/x/train", "other"]
    with pytest.raises(ViubenchError, match="given twice"):
        load_all([paths[0], paths[0] / ".." / "train"])


def test_evaluations_that_cannot_be_drawn_are_named(tmp_path: Path) -> None:
    write_training(tmp_path / "train", steps=20, warm=0, every=10, evaluate=10)
    evaluations = tmp_path / "train" / "evaluations"
    (evaluations / "step-000020" / "results.json").unlink()
    (evaluations / "base").mkdir()
    (evaluations / "step-000020.log").write_text("what the run says")
    section = draw(load(tmp_path / "train"))
    assert section["left_out"] == ["evaluations/base: no step in its name", "evaluations/step-000020: not finished"]
    assert "Not shown: evaluations/base: no step" in words(page(tmp_path, tmp_path / "train"))
    results = evaluations / "step-000010" / "results.json"
    results.write_text(results.read_text().replace('"value": 0.', '"value": NaN, "n": 0.', 1))
    with pytest.raises(ViubenchError):
        load(tmp_path / "train")


# --- what is said ---------------------------------------------------------------------------------------------


def test_the_facts_are_those_of_the_log(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"step": 0, "seconds": 2.0, "a/reward": 0.2, "b_c/reward": 0.4, "floor/a": 0.3, "floor/b_c": 0.1},
        {"step": 1, "seconds": 4.0, "validation/a/reward": 0.5, "validation/b_c/reward": 0.8},
        {"step": 2, "seconds": 6.0, "a/reward": 0.6, "b_c/reward": 0.8, "validation/a/reward": 1.0},
        {"step": 3, "seconds": 8.0, "validation/a/reward": 0.5, "validation/b_c/reward": 0.7},
    ]
    write_log(tmp_path, lines)
    write_log(tmp_path / "warm-start", [{"step": 0, "validation/a/reward": 0.4, "validation/b_c/reward": 0.6}])
    length, earned, best, alarm = draw(load(tmp_path))["facts"]
    assert length.answer == "4 steps"
    assert length.detail == "Warm start: 1 step. GRPO: 4 steps, 5 s each, 0.333 min in all."
    assert (earned.answer, earned.detail) == (
        "70.0 in the last step",
        "a 60.0 (baseline 30.0), b c 80.0 (baseline 10.0).",
    )
    assert not earned.warn
    assert best.answer == "After 2 steps: 65.0", "the look of all tasks counts, not the one of a alone"
    assert best.detail == "a 50.0, b c 80.0. +15.0 points over the warm start."
    assert (alarm.answer, alarm.warn) == ("No alarm", False)


def test_a_reward_at_its_baseline_is_flagged(tmp_path: Path) -> None:
    write_log(tmp_path, [{"step": 0, "a/reward": 0.3, "floor/a": 0.3}])
    assert draw(load(tmp_path))["facts"][1].warn


def test_alarms_are_counted_and_told(tmp_path: Path) -> None:
    training = load(write_training(tmp_path, steps=90, every=10, alarm="3 answers 80% of the last 64 questions."))
    section = draw(training)
    alarm = section["facts"][3]
    assert alarm.warn
    assert alarm.answer == "Alarm in ground"
    told = "ground, step 89 (3 in all, the first at step 69): 3 answers 80% of the last 64 questions."
    assert alarm.detail == told
    drawn = figures(section, "ground")["Distinct answers and top answer"]
    assert legend(drawn)["flag"] == "alarm at 3 steps, the first 69"
    assert drawn.plot.count('class="flag"') == 3
    assert all('class="flag"' not in figure.plot for figure in figures(section, "count").values())


def test_a_figure_says_what_it_draws(tmp_path: Path) -> None:
    lines = [{"step": k, "t/reward": k / 100, "floor/t": 0.25, "gap": float(k == 40)} for k in range(100)]
    lines[19] |= {"validation/t/reward": 0.5, "validation/t/strict": 0.1}
    lines[59] |= {"validation/t/reward": 0.9, "validation/t/strict": 0.3}
    lines[99] |= {"validation/t/reward": 0.8, "validation/t/strict": 0.4}
    write_log(tmp_path, lines)
    section = draw(load(tmp_path))
    reward = figures(section, "t")["Rollout reward"]
    assert section["means"] == "6 steps (GRPO)"
    assert legend(reward) == {"first": "reward from 2.5 to 96.5", "baseline": "baseline 25.0: the best constant answer"}
    assert 'class="curve faint"' in reward.plot
    assert ">baseline 25.0</text>" in reward.plot
    validation = legend(figures(section, "t")["Validation"])
    assert validation["first"] == "score from 50.0 to 80.0, best 90.0 at 60"
    assert validation["second"] == "exact match from 10.0 to 40.0"
    gap = figures(section, "All tasks")["Log-prob gap, rollout to trainer, nats"]
    assert legend(gap)["first"] == "mean gap from 0 to 0, largest 1 at 40"


def test_a_curriculum_shows_what_it_asks_most_and_least(tmp_path: Path) -> None:
    cells = {"curriculum/a length=2": 0.5, "curriculum/a length=3": 0.3, "curriculum/b": 0.2}
    write_log(tmp_path, [{"step": k, "a/reward": 0.5} | cells for k in range(3)])
    figure = figures(draw(load(tmp_path)), "All tasks")["Curriculum: questions asked most and least"]
    assert legend(figure) == {"first": "a length=2 from 50.0 to 50.0", "second": "b from 20.0 to 20.0"}


def test_every_figure_has_its_numbers(tmp_path: Path) -> None:
    section = draw(load(write_training(tmp_path, evaluate=100)))
    assert [heading for heading, _ in section["groups"]] == ["Warm start", "count", "ground", "jigsaw", "All tasks"]
    every = [figure for _, drawn in section["groups"] for figure in drawn]
    assert len(every) == 4 + 3 * 4 + 12
    for figure in every:
        assert figure.rows
        assert len(figure.rows) <= MOST_ROWS
        assert {len(row) for row in figure.rows} == {len(figure.heads)}
        assert figure.legend
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    entropy = figures(section, "All tasks")["Entropy, nats a token"]
    assert entropy.of == 220
    assert [entropy.rows[0][0], entropy.rows[-1][0]] == ["0", "219"]
    assert all(row[1] == number(lines[int(row[0])]["entropy"]) for row in entropy.rows)
    validation = figures(section, "ground")["Validation"]
    assert validation.heads == ("step", "score", "exact match", "evaluation, miou")
    own = {row[0]: row[3] for row in validation.rows if row[3] != "–"}
    assert list(own) == ["100", "200"]
    assert re.fullmatch(r"6\d\.\d \(\d\d\.\d–\d\d\.\d\)", own["100"])


def test_a_long_log_makes_no_long_page(tmp_path: Path) -> None:
    short, long = (write_training(tmp_path / f"{n}", steps=n, warm=0, every=n // 10) for n in (220, 4_400))
    assert len(page(tmp_path, long)) < 1.5 * len(page(tmp_path, short))


def test_a_training_that_has_just_begun(tmp_path: Path) -> None:
    write_log(tmp_path / "none", [])
    empty = draw(load(tmp_path / "none"))
    assert (empty["facts"][0].answer, empty["groups"]) == ("No step yet", [])
    write_log(tmp_path / "one", [{"step": 0, "t/reward": 0.5, "kl": 0.0}])
    first = draw(load(tmp_path / "one"))
    assert first["facts"][0].answer == "1 step"
    assert '<circle class="mark first"' in figures(first, "t")["Rollout reward"].plot
    write_log(tmp_path / "warm" / "warm-start", [{"step": 0, "loss": 1.5}])
    warm = draw(load(tmp_path / "warm"))
    assert [heading for heading, _ in warm["groups"]] == ["Warm start"]
    assert warm["facts"][1].answer == "No reward yet"
    assert "No step yet" in page(tmp_path, tmp_path / "none", tmp_path / "one", tmp_path / "warm")


# --- what the model said ----------------------------------------------------------------------------------------


def test_answers_stand_beside_question_and_truth(tmp_path: Path) -> None:
    write_log(tmp_path, [{"step": k} for k in range(10)])
    for step in (0, 4, 9):
        write_answers(tmp_path, step)
    section = draw(load(tmp_path))
    assert [step["title"] for step in section["answers"]["steps"]] == [
        f"Step {step}: 8 answers, reward 12.5, 1 right, 1 not read, 1 cut" for step in (0, 4, 9)
    ]
    first, second = section["answers"]["steps"][0]["questions"]
    assert (first["task"], first["text"], first["target"]) == ("tiny_count", "How many squares?", "squares 3")
    assert (first["sample"], second["sample"]) == ("count-0", "count-1")
    assert [answer["read_as"] for answer in first["answers"]] == ["0", None, "2", "3"]
    assert [answer["cut"] for answer in first["answers"]] == [False, False, True, False]
    assert [answer["reward"] for answer in first["answers"]] == ["0.0", "0.0", "0.0", "100.0"]
    shown = words(page(tmp_path, tmp_path))
    assert "I see &lt;3&gt; 3 100.0 ✓ 5" in shown
    assert "I see &lt;2&gt; 2 0.0 5 cut" in shown
    assert "I see &lt;1&gt; not read 0.0 5" in shown


def test_only_some_answers_of_a_long_training_are_shown(tmp_path: Path) -> None:
    write_log(tmp_path, [{"step": k} for k in range(60)])
    for step in range(70):
        write_answers(tmp_path, step, n=60)
    sample = load(tmp_path).answers
    assert [step.number for step in sample.steps] == [0, 8, 17, 25, 34, 42, 51, 59], "70 were written before a resume"
    assert sample.of == 60
    assert {len(step.answers) for step in sample.steps} == {MOST_ANSWERS}
    long = {"answer": "a" * 9_999_999, "question": "q" * 9_999_999, "sample": "s" * 9_999, "target": "t" * 9_999}
    size = len(page(tmp_path, tmp_path))
    write_answers(tmp_path, 0, long)
    assert len(page(tmp_path, tmp_path)) < size + 5_000


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reward": float("nan")}, "damaged (reward is no float)"),
        ({"reward": float("inf")}, "damaged (reward is inf)"),
        ({"answer": None}, "damaged (answer is no str)"),
        ({"parsed": None}, "damaged (parsed is no bool)"),
        ({"read_as": "[" * 9}, "damaged"),
        ({"answer": HOSTILE, "question": HOSTILE, "target": HOSTILE, "sample": HOSTILE, "task": HOSTILE}, ""),
        ({"read_as": json.dumps(HOSTILE)}, ""),
    ],
)
def test_a_damaged_file_of_answers_is_left_out(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    write_log(tmp_path, [{"step": k} for k in range(3)])
    write_answers(tmp_path, 0)
    write_answers(tmp_path, 1, changes)
    section = draw(load(tmp_path))
    assert section["left_out"] == ([f"answers/step-000001.parquet: {why}"] if why else [])
    assert len(section["answers"]["steps"]) == (1 if why else 2)
    html = page(tmp_path, tmp_path)
    assert "<img" not in html
    assert "\x1b" not in html


def test_any_bytes_may_lie_where_answers_are_expected(tmp_path: Path) -> None:
    write_log(tmp_path, [{"step": k} for k in range(10)])
    whole = write_answers(tmp_path, 0).read_bytes()
    folder = tmp_path / "answers"
    for step, content in enumerate((b"", b"PAR1", whole[:-9], whole[:300] + bytes(40) + whole[340:]), start=1):
        (folder / f"step-{step:06d}.parquet").write_bytes(content)
    pd.DataFrame({"answer": ["a"]}).to_parquet(folder / "step-000005.parquet")
    (folder / "step-000006.parquet").mkdir()
    (folder / "notes.txt").write_text("mine")
    sample = load(tmp_path).answers
    assert [step.number for step in sample.steps] == [0]
    assert [line.split(":")[0] for line in sample.left_out] == [
        f"answers/step-00000{step}.parquet" for step in range(1, 7)
    ]
    assert "no column task" in sample.left_out[4]


# --- how it is drawn ------------------------------------------------------------------------------------------


def test_ticks_are_round_and_around_the_range() -> None:
    assert ticks(0, 1) == pytest.approx((0, 0.2, 0.4, 0.6, 0.8, 1))
    assert ticks(0, 220) == (0, 50, 100, 150, 200, 250)
    assert ticks(-0.035, 0.02) == pytest.approx((-0.04, -0.02, 0, 0.02))
    for low, high in [(0, 3e-7), (0, 12_345), (-5, 5e9), (0, 1e15)]:
        found = ticks(low, high)
        assert found[0] <= low
        assert high <= found[-1]
        assert 2 <= len(found) <= 7


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [-2.0, 5.0], [3e-9, 1e-8], [1e14], [1e-320], [0.3, 1.7]])
@pytest.mark.parametrize("share", [True, False])
def test_everything_drawn_lies_inside_its_box(values: list[float], share: bool) -> None:
    points = list(enumerate(values))
    plane = axes((0, len(values) - 1), values, number, share=share)
    level, band = (
        Level("baseline", max(values), f"baseline {max(values):.1f}"),
        Band(0, values[0], min(values), max(values)),
    )
    drawn = plot(plane, [Curve("first", points, marked=True)], [level], [band])
    spots = [
        [float(n) for n in pair.split(",")] for line in re.findall(r'points="([^"]+)"', drawn) for pair in line.split()
    ]
    spots += [[0, float(y)] for y in re.findall(r' y[12]?="([^"]+)"', drawn)]
    assert len(spots) > len(values)
    assert all(0 <= x <= 320 and 0 <= y <= 164 for x, y in spots)
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_a_label_keeps_off_the_curve() -> None:
    """The right half of the curve runs on its line, so that it is named at the left."""
    plane = axes((0, 100), [0.0, 1.0], number, share=True)
    rising = [(float(k), min(k / 50, 1) * 0.5 + 0.03 * (k % 3 - 1)) for k in range(101)]
    drawn = plot(plane, [Curve("first", rising)], [Level("baseline", 0.5, "baseline 50.0")])
    (name,) = re.findall(r'<text class="name baseline (start|end)"', drawn)
    assert name == "start"
    falling = [(step, 0.5 - value) for step, value in rising]
    assert '"name baseline end"' in plot(plane, [Curve("first", falling)], [Level("baseline", 0.5, "baseline 50.0")])


def test_flags_that_cover_one_another_are_drawn_once() -> None:
    plane = axes((0, 1000), [0.0, 1.0], number, share=True)
    assert plot(plane, [], flags=list(range(1000))).count('class="flag"') < 50
    assert plot(plane, [], flags=[10, 500, 990]).count('class="flag"') == 3


def test_thinning_keeps_ends_of_the_range_and_order() -> None:
    points = [(float(k), 0.0) for k in range(10_000)]
    points[7_777] = (7_777.0, 5.0)
    points[123] = (123.0, -5.0)
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS
    assert {(7_777.0, 5.0), (123.0, -5.0)} <= set(kept)
    assert list(kept) == sorted(kept)
    assert thinned(points[:50]) == points[:50]
    plane = axes((0, 10_000), [-5.0, 5.0], number)
    assert plot(plane, [Curve("first", points[:50], marked=True)]).count("<circle") == 50
    assert plot(plane, [Curve("first", points, marked=True)]).count("<circle") == 0


def test_a_mean_stands_in_the_middle_of_its_window() -> None:
    points = [(float(10 * k), float(k)) for k in range(5)]
    assert smoothed(points, 3) == [(10, 1), (20, 2), (30, 3)]
    assert smoothed(points, 1) == points
    assert smoothed(points[:2], 9) == [(10, 0.5)]
    assert smoothed([], 3) == []


def test_numbers_read_well() -> None:
    values = (0.0, 0.0123456, 4.5678, 1234.5, 2.45e-6, -0.03, 1e-5, 3e9, 99.96)
    assert [number(v) for v in values] == ["0", "0.0123", "4.57", "1,234", "2.45e−6", "−0.03", "1e−5", "3e9", "100"]


# --- the page -------------------------------------------------------------------------------------------------


def test_equal_logs_give_equal_bytes(tmp_path: Path) -> None:
    first = write_training(tmp_path / "one" / "train", evaluate=60)
    second = tmp_path / "two" / "train"
    shutil.copytree(first, second)
    lines = [json.loads(line) for line in (second / "train.jsonl").read_text().splitlines()]
    write_log(second, [dict(reversed(line.items())) for line in lines])
    assert page(tmp_path, first) == page(tmp_path, second)


def test_the_section_is_there_when_it_is_asked_for(tmp_path: Path) -> None:
    without = page(tmp_path)
    assert 'id="training"' not in without
    assert "#training" not in without
    with_it = page(tmp_path, write_training(tmp_path / "train", steps=20, every=5))
    assert with_it.count('<a href="#training">') == with_it.count('id="training"') == 1
    assert with_it.count('<svg class="plot"') == with_it.count('<details class="numbers">') == 28
    assert not re.search(r"(src|href)=\"(?!#)", with_it.split("<body>")[1].split("<script")[0])
    assert " style=" not in with_it


def test_hostile_text_in_a_log_stays_text(tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "")
    line = {f"{name}/reward": 0.5, f"validation/{name}/reward": 0.5, f"floor/{name}": 0.2, f"alarm/{name}": HOSTILE}
    write_log(tmp_path / "train", [{"step": 0, HOSTILE: 1.0, **line}])
    write_log(tmp_path / "train" / "warm-start", [{"step": 0, "loss": 1.0, **line}])
    write_evaluation(tmp_path / "train", 1, skill=0.4)
    results = tmp_path / "train" / "evaluations" / "step-000001" / "results.json"
    content = json.loads(results.read_text())
    content["tasks"] = {name: content["tasks"]["tiny_ground"] | {"metric": HOSTILE}}
    results.write_text(json.dumps(content))
    (tmp_path / "train" / "evaluations" / name[:80].replace("\x00", "")).mkdir()
    html = page(tmp_path, tmp_path / "train")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", html)
    assert "<img" not in html
    assert html.count("<script") == 2
    assert set(re.findall(r"<svg[^ ]*", html)) == {"<svg"}
    assert "{{ 7*7 }}" in html
    assert "␛[31m␀‹U+202E›" in html


def test_the_command_takes_trainings(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=2, tasks=["viubench_count_easy"], suite=False, measured=True)
    first, second = (write_training(tmp_path / name, steps=6, every=3, warm=0) for name in ("first", "second"))
    out = tmp_path / "page.html"
    done = CliRunner().invoke(
        app, ["report", str(run), "--training", str(first), "--training", str(second), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    told = words(out.read_text())
    assert "first" in told
    assert "second" in told
    assert out.read_text().count('<details class="training"') == 2


def test_the_order_of_the_stages_does_not_make_the_judged_one_the_warm_start(tmp_path: Path) -> None:
    training: TrainingRun = load(write_training(tmp_path, steps=20, every=5, warm=20))
    assert draw(training)["facts"][0].answer == "20 steps"
    assert training.stages[-1].name == "GRPO"
