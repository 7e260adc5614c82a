"""`viubench compare`: its numbers against scipy's on real answers, its refusals, and others' text that stays text."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paired_runs import Row, rows, write
from scipy import stats
from statsmodels.stats.multitest import multipletests
from typer.testing import CliRunner

from reports.ci.comparison import headline
from reports.html.page import MOST_VALUES
from reports.pages.comparison_page import MOST_FLIPS, breakdowns, verdict
from viubench import compare_runs
from viubench.cli import app
from viubench.comparison.pair import Incomparable
from viubench.errors import Exit, ViubenchError
from viubench.schema.compare import COMPARE_SCHEMA, CompareReport
from viubench.storage.run_dir import read_records

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m\u202e\u2066\x00\r\nnext ::error::{{ 7*7 }}"
IOU = {"name": "temporal_iou", "params": {}}
KINDS = {"tiny_count": "shape_counts", "tiny_ground": "temporal_iou", "tiny_jigsaw": "permutation"}


def compare(a: Path, b: Path, *options: object) -> str:
    done = CliRunner().invoke(app, ["compare", str(a), str(b), *map(str, options)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def report(a: Path, b: Path, out: Path, *options: object) -> CompareReport:
    compare(a, b, "--json", out, *options)
    return CompareReport.model_validate_json(out.read_bytes())


# --- a real model before and after training -------------------------------------------------------------------


@pytest.fixture(scope="module")
def answers() -> list[dict[str, Any]]:
    """What a tiny model answered before and after it was trained by reinforcement (`make demo`), 4 items a video."""
    lines = (Path(__file__).parent / "golden" / "tiny_before_after.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def real(answers: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Both runs of each task: a helper of the tests writes runs of one evaluator."""
    folder = tmp_path_factory.mktemp("real")

    def row(line: dict[str, Any], when: str) -> Row:
        status, answer, score = line[when]
        said = json.dumps(answer)
        return Row(line["id"], score, line["video"], status=status, target=line["target"], answer=said)

    made = {}
    for task, kind in KINDS.items():
        pair = [
            write(folder / task / when, {task: [row(line, when) for line in answers if line["task"] == task]},
                  evaluator={"name": kind, "params": {}})
            for when in ("before", "after")
        ]  # fmt: skip
        made[task] = (pair[0], pair[1])
    return made


@pytest.mark.parametrize("task", KINDS)
def test_compare_and_gate_say_what_scipy_makes_of_the_records(
    answers: list[dict[str, Any]], real: dict[str, tuple[Path, Path]], task: str, tmp_path: Path
) -> None:
    lines = [line for line in answers if line["task"] == task]
    changes = np.array([line["after"][2] - line["before"][2] for line in lines])
    by_video = defaultdict(list)
    for line, change in zip(lines, changes, strict=True):
        by_video[line["video"]].append(change)
    assert {len(found) for found in by_video.values()} == {4}, (
        "equal videos: the clustered error is that of their means"
    )
    test = stats.ttest_1samp([np.mean(found) for found in by_video.values()], 0)
    found = report(*real[task], tmp_path / "compare.json").tasks[task]
    assert (found.n, found.clusters) == (128, 32)
    assert found.difference == pytest.approx(changes.mean(), abs=1e-6)
    usual = test.confidence_interval(0.95)
    if found.interval == "t":
        assert found.ci == pytest.approx((usual.low, usual.high), abs=2e-6)
    else:  # most changes are gains: a little wider, and by the same word on the page
        assert usual.low - 0.02 < found.ci[0] < usual.low
        assert usual.high < found.ci[1] < usual.high + 0.02
        assert found.methods == "clustered t, exact interval"
    assert found.p == pytest.approx(test.pvalue, rel=1e-3)
    assert (found.better, found.worse) == ((changes > 1e-9).sum(), (changes < -1e-9).sum())
    assert (found.to_right, found.to_wrong) == ((changes > 0.4999).sum(), (changes < -0.4999).sum())
    assert found.word == ("better" if test.pvalue < 0.05 else "no difference shown")

    done = CliRunner().invoke(
        app, ["gate", "--baseline", str(real[task][0]), "--candidate", str(real[task][1]), "--out", str(tmp_path / "g")]
    )
    evidence = json.loads((tmp_path / "g").read_text())["tasks"][task]["evidence"]
    assert done.exit_code == 0, done.output
    assert evidence["difference"] == found.difference
    assert evidence.get("interval", "t") == found.interval
    margin = 2e-6 if found.interval == "t" else 0.02
    assert evidence["ci"] == pytest.approx(list(test.confidence_interval(0.90)), abs=margin)
    assert evidence["p_better"] == pytest.approx(test.pvalue / 2, rel=1e-3)
    assert (evidence["better"], evidence["worse"]) == (found.better, found.worse)


def test_the_smallest_change_that_could_be_seen_is_seen_four_times_in_five(
    real: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    found = report(*real["tiny_jigsaw"], tmp_path / "compare.json").tasks["tiny_jigsaw"]
    assert found.detectable is not None
    critical, shift = stats.t.ppf(0.975, 31), found.detectable / found.se
    assert stats.nct.sf(critical, 31, shift) == pytest.approx(0.8, abs=1e-3)


# --- many tasks -----------------------------------------------------------------------------------------------


def many(tmp_path: Path, gains: list[float], n: int = 60) -> tuple[Path, Path]:
    """A graded task for each gain, which is its mean change; the changes spread by 0.1; all of the same videos."""
    draw = np.random.default_rng(5)
    before, after = {}, {}
    for number, gain in enumerate(gains):
        first, noise = draw.uniform(0.45, 0.55, n), draw.normal(0, 1, n)
        before[f"task_{number}"] = rows(first.tolist())
        after[f"task_{number}"] = rows((first + gain + 0.1 * stats.zscore(noise)).tolist())
    return write(tmp_path / "a", before, evaluator=IOU), write(tmp_path / "b", after, evaluator=IOU)


def test_many_tasks_are_corrected_and_the_word_is_holms(tmp_path: Path) -> None:
    found = report(*many(tmp_path, [0.1, -0.1, 0.0, 0.028, 0.03, 0.0]), tmp_path / "compare.json")
    p = [task.p for task in found.tasks.values()]
    assert [task.holm for task in found.tasks.values()] == pytest.approx(multipletests(p, method="holm")[1], rel=2e-3)
    assert [task.bh for task in found.tasks.values()] == pytest.approx(multipletests(p, method="fdr_bh")[1], rel=2e-3)
    for task in found.tasks.values():
        said = "better" if task.difference > 0 else "worse"
        assert task.word == (said if task.holm < 0.05 else "no difference shown")
    words = [task.word for task in found.tasks.values()]
    assert {"better", "worse", "no difference shown"} == set(words)
    assert headline(found) == f"B is better on {words.count('better')} and worse on 1 of 6 tasks"
    hints = [name for name, task in found.tasks.items() if task.bh < 0.05 <= task.holm]
    assert hints, "the draw has a task that only BH finds"
    assert f"perhaps: {', '.join(hints)} (BH below 0.05" in compare(tmp_path / "a", tmp_path / "b")


def test_the_mean_is_that_of_the_tasks_clustered_across_them(tmp_path: Path) -> None:
    a, b = many(tmp_path, [0.1, 0.0, 0.05])
    found = report(a, b, tmp_path / "compare.json").mean
    by_video = defaultdict(list)
    for before, after in zip(read_records(a), read_records(b), strict=True):
        by_video[before.cluster].append(after.scores["iou"] - before.scores["iou"])
    test = stats.ttest_1samp([np.mean(changes) for changes in by_video.values()], 0)
    assert (found.tasks, found.units, found.clusters) == (3, 180, 60)
    assert found.ci == pytest.approx(test.confidence_interval(0.95), abs=2e-6)
    assert found.p == pytest.approx(test.pvalue, rel=1e-3)
    assert found.word == "better"


def test_the_other_way_round_every_sign_turns(tmp_path: Path) -> None:
    a, b = many(tmp_path, [0.1, -0.05, 0.15])
    there, back = report(a, b, tmp_path / "1.json"), report(b, a, tmp_path / "2.json")
    opposite = {"better": "worse", "worse": "better", "no difference shown": "no difference shown"}
    for one, other in [*zip(there.tasks.values(), back.tasks.values(), strict=True), (there.mean, back.mean)]:
        assert (one.difference, one.ci) == (-other.difference, (-other.ci[1], -other.ci[0]))
        assert (one.better, one.worse, one.p) == (other.worse, other.better, other.p)
        assert one.word == opposite[other.word]
    assert [flip.way for flip in there.flips] == [opposite_way(flip.way) for flip in back.flips]


def opposite_way(way: str) -> str:
    return {"wrong": "right", "right": "wrong"}[way]


def test_the_same_run_twice_shows_nothing_and_says_so(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, {"t": rows([1.0, 0.0] * 10), "u": rows([1.0] * 5)}) for name in "ab")
    said = compare(a, b)
    assert "No difference shown on any of 2 tasks" in said
    assert "every answer is the same on 2 of 2 tasks" in said
    found = report(a, b, tmp_path / "compare.json")
    assert {(task.word, task.detectable, task.p) for task in found.tasks.values()} == {
        ("no difference shown", None, 1.0)
    }


def test_one_video_says_nothing(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, {"t": rows([score] * 40, videos=1)}) for name, score in (("a", 0.0), ("b", 1.0)))
    said = compare(a, b)
    assert "all items of t are of one source video" in said
    found = report(a, b, tmp_path / "compare.json").tasks["t"]
    assert (found.word, found.ci, found.p, found.to_right) == ("no difference shown", (-1.0, 1.0), 1.0, 40)


def test_groups_are_compared_by_themselves(tmp_path: Path) -> None:
    def grouped(easy: float, hard: float) -> list[Row]:
        return [
            Row(str(k), easy if k % 2 else hard, f"v{k}", groups={"level": "easy" if k % 2 else "hard", "all": "one"})
            for k in range(20)
        ]

    a, b = write(tmp_path / "a", {"t": grouped(1.0, 0.0)}), write(tmp_path / "b", {"t": grouped(1.0, 1.0)})
    groups = report(a, b, tmp_path / "compare.json").tasks["t"].groups
    assert list(groups) == ["level"], "a key with one value divides nothing"
    hard, easy = groups["level"]["hard"], groups["level"]["easy"]
    assert (hard.a, hard.b, hard.difference, hard.units, hard.better) == (0.0, 1.0, 1.0, 10, 10)
    assert (easy.a, easy.b, easy.difference, easy.units, easy.better) == (1.0, 1.0, 0.0, 10, 0)


def test_what_makes_a_sample_hard_divides_the_change(
    answers: list[dict[str, Any]], real: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    found = report(*real["tiny_count"], tmp_path / "compare.json").tasks["tiny_count"]
    pair = compare_runs(*real["tiny_count"]).tasks["tiny_count"]
    (shapes,) = [part for part in breakdowns(found, pair) if part["key"] == "shapes to count"]
    lines = [line for line in answers if line["task"] == "tiny_count"]
    assert sum(change.units for _, change, _ in shapes["rows"]) == len(lines)
    for label, change, _ in shapes["rows"]:
        low, _, high = label.partition(" to ")
        changes = [
            line["after"][2] - line["before"][2]
            for line in lines
            if float(low) <= sum(line["target"]) <= float(high or low)
        ]
        assert (change.units, change.difference) == (len(changes), pytest.approx(np.mean(changes), abs=1e-6))


def test_the_first_screen_says_what_it_knows(tmp_path: Path) -> None:
    def screen(name: str, before: list[float], after: list[float], videos: int = 0) -> list[tuple[str, bool]]:
        a, b = (write(tmp_path / name / n, {"t": rows(s, videos)}) for n, s in (("a", before), ("b", after)))
        found = verdict(report(a, b, tmp_path / f"{name}.json"))
        return [(finding.answer, finding.warn) for finding in found]

    better = screen("better", [0.0] * 30 + [1.0] * 30, [1.0] * 55 + [0.0] * 5)
    assert better[:2] == [("B is better", False), ("Yes", False)]
    assert re.fullmatch(r"Changes below \d+\.\d points", better[2][0])
    assert screen("worse", [1.0] * 30, [0.0] * 30)[0] == ("B is worse", True)
    unsure = ("No difference shown", False), ("Not shown", True), ("Unknown", True)
    assert screen("same", [1.0, 0.0] * 9, [1.0, 0.0] * 9) == [*unsure]
    assert screen("one video", [0.0] * 30, [1.0] * 30, videos=1) == [*unsure]


# --- what must not be compared --------------------------------------------------------------------------------


def test_tasks_of_one_run_are_refused_or_left_out_by_name(tmp_path: Path) -> None:
    scores = rows([1.0, 0.0, 1.0])
    a = write(tmp_path / "a", {"t": scores, "old": scores})
    b = write(tmp_path / "b", {"t": scores, "new": scores, "newer": scores})
    with pytest.raises(Incomparable, match=r"'new' is not in .*/a, and 2 more are in one run") as error:
        compare(a, b)
    assert (error.value.exit_code, "--common" in str(error.value.hint)) == (Exit.INVALID_RUN, True)
    said = compare(a, b, "--common")
    for task, missing in (("old", "b"), ("new", "a"), ("newer", "a")):
        assert f"left out: {task}, which is not in {tmp_path / missing}" in said
    found = report(a, b, tmp_path / "compare.json", "--common")
    assert (list(found.tasks), set(found.left_out)) == (["t"], {"old", "new", "newer"})
    with pytest.raises(Incomparable, match="no task in common"):
        compare(write(tmp_path / "c", {"x": scores}), a, "--common")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"protocol": {"hash": "other", "sampling": {"frames": 8}}},
            r"two protocols: h and other, which differ in sampling\.frames \(48 and 8\)",
        ),
        ({"about": {"hash": "other"}}, "defined differently"),
    ],
)
def test_another_protocol_or_definition_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    a, b = write(tmp_path / "a", {"t": rows([1.0])}), write(tmp_path / "b", {"t": rows([1.0])}, **change)
    with pytest.raises(Incomparable, match=said):
        compare(a, b, "--common")


def test_the_command_ends_with_4_for_other_items_and_2_for_no_run(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", {"t": rows([1.0, 0.0])}), write(tmp_path / "b", {"t": rows([1.0])})
    done = subprocess.run([sys.executable, "-m", "viubench", "compare", str(a), str(b)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (4, "")
    assert "'t' has other items in the two runs: 1 only in" in done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "viubench", "compare", str(a), str(tmp_path / "\x1b[31mno\u202e")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "␛[31mno‹U+202E›" in done.stderr, "\x1b" in done.stderr) == (2, True, False)
    with pytest.raises(ViubenchError) as error:
        compare(a, tmp_path)
    assert error.value.exit_code == Exit.USAGE
    with pytest.raises(ViubenchError, match="cannot write"):
        compare(a, a, "--json", a)


# --- files and others' text -----------------------------------------------------------------------------------


def hostile(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs with hostile text wherever a run has text, and answers of a megabyte."""
    name = HOSTILE.replace("/", "").replace("\x00", "")
    made = []
    for when, score in (("a", 1.0), ("b", 0.0)):
        row = Row(HOSTILE, score, HOSTILE, target=HOSTILE, answer=HOSTILE, groups={HOSTILE: HOSTILE})
        found = [row, *(replace(row, id=f"{HOSTILE}{k}", groups={HOSTILE: "other"}) for k in range(5))]
        folder = write(tmp_path / f"{when}{name}", {HOSTILE: found}, model=HOSTILE)
        records = [
            record.model_copy(update={"question": HOSTILE, "response": HOSTILE + "x" * 1_000_000, "rule": HOSTILE})
            for record in read_records(folder)
        ]
        (folder / "records.jsonl").write_text("".join(f"{record.model_dump_json()}\n" for record in records))
        made.append(folder)
    return made[0], made[1]


def test_hostile_text_is_shown_as_text_everywhere(tmp_path: Path) -> None:
    a, b = hostile(tmp_path)
    page, out = tmp_path / "page.html", tmp_path / "compare.json"
    said = compare(a, b, "--flips", 5, "--html", page, "--json", out)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\u2066]", said)
    assert not re.search(r"^\s*::", said, re.MULTILINE)
    assert said.count("</script><img src=x onerror=alert(1)>␛[31m‹U+202E›‹U+2066›␀") > 10
    assert len(said) < 40_000
    html = page.read_text()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\u2066]", html)
    assert "<img" not in html
    assert "{{ 7*7 }}" in html, "a template in a name is text"
    assert html.count("</script>") == 2
    assert len(html) < 400_000, "answers of a megabyte are cut"
    found = json.loads(out.read_text())
    assert found["a"]["model"] == HOSTILE == found["flips"][0]["a"]["answer"]
    assert list(found["tasks"]) == [HOSTILE]


def test_equal_runs_give_equal_files(tmp_path: Path) -> None:
    a, b = many(tmp_path, [0.1, 0.15])
    for name in ("1", "2"):
        compare(a, b, "--html", tmp_path / f"{name}.html", "--json", tmp_path / f"{name}.json")
    for kind in ("html", "json"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()
    shuffled = list((b / "records.jsonl").read_text().splitlines(keepends=True))
    random.Random(0).shuffle(shuffled)
    (b / "records.jsonl").write_text("".join(shuffled))
    compare(a, b, "--html", tmp_path / "3.html")
    assert (tmp_path / "3.html").read_bytes() == (tmp_path / "1.html").read_bytes(), "the order they finished in"


def data(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    shown: dict[str, Any] = json.loads(found[1])
    return shown


def test_the_page_is_bounded_and_says_what_was_cut(tmp_path: Path) -> None:
    tasks = {f"t{k}": 70 for k in range(10)}
    a = write(tmp_path / "a", {task: rows([0.0, 1.0] * n) for task, n in tasks.items()})
    b = write(tmp_path / "b", {task: rows([1.0, 0.0] * n) for task, n in tasks.items()})
    page = tmp_path / "page.html"
    compare(a, b, "--html", page)
    assert (len(data(page)["samples"]), data(page)["total"]) == (2 * 10 * 12, 1400)
    compare(a, b, "--html", page, "--flips", 200)
    ways = [(sample["task"], sample["way"]) for sample in data(page)["samples"]]
    assert len(ways) == MOST_FLIPS
    assert {ways.count(key) for key in ways} == {30}, "each task and way has its share"


def test_many_groups_are_cut_to_the_largest_and_the_page_says_so(tmp_path: Path) -> None:
    def grouped(score: float) -> list[Row]:
        return [Row(str(k), score, f"v{k}", groups={"scene": f"scene {k // 2}"}) for k in range(160)]

    a, b = write(tmp_path / "a", {"t": grouped(0.0)}), write(tmp_path / "b", {"t": grouped(1.0)})
    page = tmp_path / "page.html"
    compare(a, b, "--html", page)
    html = page.read_text()
    assert html.count('<span class="who">scene ') == MOST_VALUES
    assert f"{80 - MOST_VALUES} smaller values are in compare.json" in html


def test_the_report_names_its_schema_and_its_files(tmp_path: Path) -> None:
    import hashlib

    a, b = many(tmp_path, [0.15])
    found = report(a, b, tmp_path / "compare.json")
    assert found.schema_ == COMPARE_SCHEMA == json.loads((tmp_path / "compare.json").read_text())["schema"]
    for run, folder in ((found.a, a), (found.b, b)):
        assert run.path == str(folder)
        assert run.files == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in run.files}
        assert set(run.files) == {"manifest.json", "records.jsonl", "results.json"}
