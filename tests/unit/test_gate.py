"""The gate's verdicts: from differences, over tasks, from run folders; its configuration and its Markdown."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from paired_runs import rows, write

from reports.ci.gate import markdown, text
from viubench.comparison.gate import gate, judge
from viubench.errors import ViubenchError
from viubench.schema import GateConfig, GateReport, Verdict
from viubench.stats.estimates import Part
from viubench.stats.paired_differences import Difference, paired
from viubench.storage import strict_yaml

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b]0;title\x07",
    "a\u202egnp.exe",
    "a | b `c` **d** [e](http://f) @g #1 _h_ \\| &lt;",
    "line\nfeed\r\n\n# heading\n- list\t\x00",
    "https://example.org www.example.org",
    "x" * 1_000_000,
)


def seen(mean: float, se: float, clusters: int = 1000, level: float = 0.9) -> Difference:
    """A difference with this mean and standard error, as the clustered t test finds it."""
    from scipy import stats

    low, high = stats.t.interval(level, clusters - 1, mean, se)
    worse = float(stats.t.cdf(mean / se, clusters - 1))
    degrees = clusters - 1
    return Difference(mean, se, low, high, 5000, clusters, 10, 10, worse, 1 - worse, "clustered t", degrees, "t", 5000)


@pytest.mark.parametrize(
    ("mean", "se", "verdict"),
    [
        (-0.05, 0.005, "regress"),
        (-0.021, 0.0001, "regress"),  # just beyond the margin, and surely a loss
        (-0.05, 0.04, "inconclusive"),  # a large loss, perhaps by chance
        (-0.015, 0.006, "inconclusive"),  # surely a loss, perhaps within the margin
        (-0.015, 0.001, "pass"),  # surely a loss, surely within the margin
        (0.0, 0.005, "pass"),
        (0.0, 0.05, "inconclusive"),
        (0.05, 0.005, "improve"),
        (0.01, 0.007, "pass"),
    ],
)
def test_one_task(mean: float, se: float, verdict: Verdict) -> None:
    assert judge({"t": seen(mean, se)}, GateConfig())["t"].verdict == verdict


def test_the_margin_is_the_tasks_own() -> None:
    config = GateConfig(margins={"default": 0.01, "rough": 0.1})
    judged = judge(dict.fromkeys(("fine", "rough"), seen(-0.05, 0.005)), config)
    assert (judged["fine"].verdict, judged["rough"].verdict) == ("regress", "pass")
    assert (GateConfig().margin("any"), config.margin("fine")) == (0.02, 0.01)


def test_holm_spares_what_one_of_many_tasks_shows_by_chance() -> None:
    tasks = {f"t{n}": seen(0.0, 0.02) for n in range(17)} | {"low": seen(-0.05, 0.02), "high": seen(0.05, 0.02)}
    corrected, plain = (judge(tasks, GateConfig(correction=c)) for c in ("holm", "none"))  # type: ignore[arg-type]
    assert (plain["low"].verdict, plain["high"].verdict) == ("regress", "improve")
    assert (corrected["low"].verdict, corrected["high"].verdict) == ("inconclusive", "pass")
    assert corrected["low"].worse == pytest.approx(19 * plain["low"].worse)


def test_informational_tasks_cost_the_gated_ones_nothing() -> None:
    tasks = {f"t{n}": seen(0.0, 0.02) for n in range(18)} | {"low": seen(-0.05, 0.02)}
    config = GateConfig(informational=[f"t{n}" for n in range(18)])
    assert judge(tasks, config)["low"].verdict == "regress"


def test_equal_answers_pass_however_few() -> None:
    none = paired([(1.0, [1.0] * 5, list("abcde"))], [(1.0, [1.0] * 5, list("abcde"))], 0.9)
    assert judge({"t": none}, GateConfig())["t"].verdict == "inconclusive"
    assert judge({"t": none}, GateConfig(), {"t"})["t"].verdict == "pass"


@given(st.floats(-0.2, 0.2), st.floats(0.001, 0.1), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_wider_margin_is_never_stricter(mean: float, se: float, one: float, other: float) -> None:
    better = {"regress": 0, "inconclusive": 1, "pass": 2, "improve": 2}
    narrow, wide = sorted((one, other))
    verdicts = [
        judge({"t": seen(mean, se)}, GateConfig(margins={"default": margin}))["t"].verdict for margin in (narrow, wide)
    ]
    assert better[verdicts[0]] <= better[verdicts[1]]


@given(st.lists(st.tuples(st.floats(-0.2, 0.2), st.floats(0.001, 0.1)), min_size=1, max_size=6))
def test_corrected_verdicts_are_never_bolder(found: list[tuple[float, float]]) -> None:
    tasks = {str(n): seen(*one) for n, one in enumerate(found)}
    corrected, plain = (judge(tasks, GateConfig(correction=c)) for c in ("holm", "none"))  # type: ignore[arg-type]
    for name, one in corrected.items():
        assert one.worse >= plain[name].worse
        assert one.verdict not in ("regress", "improve") or one.verdict == plain[name].verdict


def suite(rng: np.random.Generator, losses: list[float], n: int, share: float) -> dict[str, Difference]:
    """Right and wrong answers of which a `share` flips; a fifth as many videos as items, the same for all tasks."""
    videos = (np.arange(n) % (n // 5)).tolist()
    found = {}
    for number, loss in enumerate(losses):
        flips, down = rng.uniform(size=n) < share, rng.uniform(size=n) < 0.5 + loss / (2 * share)
        before = np.where(flips, down, True)
        after = np.where(flips, ~down, True)
        parts = [[(1.0, scores.astype(float).tolist(), videos)] for scores in (before, after)]
        found[f"t{number}"] = paired(parts[0], parts[1], 0.9)
    return found


def test_suites_without_a_difference_are_seldom_blocked() -> None:
    """Monte Carlo with known truth: 18 tasks, no loss, margins of nothing so that only the test holds back."""
    rng = np.random.default_rng(11)
    blocked = {"holm": 0, "none": 0}
    for _ in range(150):
        found = suite(rng, [0.0] * 18, 200, 0.2)
        for correction in ("holm", "none"):
            config = GateConfig(margins={"default": 0.0}, correction=correction)
            blocked[correction] += any(j.verdict == "regress" for j in judge(found, config).values())
    assert blocked["holm"] / 150 < 0.12
    assert blocked["none"] / 150 > 0.4, "without the correction most suites would be blocked"


def test_a_true_loss_of_three_points_is_blocked() -> None:
    rng = np.random.default_rng(12)
    judged = [judge(suite(rng, [0.03], 2700, 0.2), GateConfig())["t0"].verdict for _ in range(120)]
    assert judged.count("regress") / 120 > 0.8
    assert "pass" not in judged


def test_verdicts_from_run_folders_and_their_sum(tmp_path: Path) -> None:
    right, wrong = [1.0] * 400, [0.0] * 60 + [1.0] * 340
    flips = [float(n % 2) for n in range(400)]
    base = write(tmp_path / "base", {"loss": rows(right), "gain": rows(wrong), "same": rows(flips)})
    cases: dict[str, tuple[dict[str, list[float]], int]] = {
        "improve": ({"loss": right, "gain": right, "same": flips}, 0),
        "pass": ({"loss": right, "gain": wrong, "same": flips}, 0),
        "regress": ({"loss": wrong, "gain": right, "same": flips}, 1),
        "inconclusive": ({"loss": right, "gain": wrong, "same": [1 - s for s in flips]}, 3),
    }
    for verdict, (scores, code) in cases.items():
        report = gate(base, write(tmp_path / verdict, {task: rows(s) for task, s in scores.items()}))
        assert (report.verdict, report.exit_code) == (verdict, code)
        again = gate(base, tmp_path / verdict)
        assert report.model_dump_json() == again.model_dump_json()
    report = gate(base, tmp_path / "regress")
    assert {task: found.verdict for task, found in report.tasks.items()} == {
        "loss": "regress", "gain": "improve", "same": "pass",
    }  # fmt: skip
    loss = report.tasks["loss"].evidence
    assert loss is not None
    assert (loss.baseline, loss.candidate, loss.difference, loss.better, loss.worse) == (1.0, 0.85, -0.15, 0, 60)
    assert (loss.n, loss.clusters, loss.test) == (400, 400, "exact McNemar")
    assert loss.adjusted_worse < 1e-15
    assert report.mean is not None
    assert (report.mean.tasks, report.mean.difference) == (3, 0.0)
    assert set(report.baseline.files) == {"manifest.json", "records.jsonl", "results.json"}


def test_informational_tasks_do_not_fail_the_gate(tmp_path: Path) -> None:
    base = write(tmp_path / "a", {"t": rows([1.0] * 200), "u": rows([1.0] * 200)})
    worse = write(tmp_path / "b", {"t": rows([1.0] * 200), "u": rows([0.0] * 200)})
    other = write(tmp_path / "c", {"t": rows([1.0] * 200), "u": rows([0.0] * 199)})
    config = GateConfig(informational=["u"])
    assert gate(base, worse).exit_code == 1
    assert gate(base, other).exit_code == 4
    for candidate, verdict in ((worse, "regress"), (other, "error")):
        report = gate(base, candidate, config)
        assert (report.exit_code, report.tasks["u"].verdict) == (0, verdict)
        assert f"{verdict} (informational)" in text(report)


def with_suites(run: Path, **suites: list[str]) -> Path:
    """The same run, covering these suites whole."""
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["suites"] = {name: {"suite": name, "tasks": tasks} for name, tasks in suites.items()}
    (run / "manifest.json").write_text(json.dumps(manifest))
    return run


def test_a_suites_margin_is_that_of_its_tasks_unless_they_have_their_own(tmp_path: Path) -> None:
    tasks = {task: rows([1.0] * 20) for task in "abcd"}
    base = with_suites(write(tmp_path / "base", tasks), wide=["a", "b"], narrow=["b", "c"])
    run = write(tmp_path / "run", tasks)
    for pair in ((base, run), (run, base)):
        config = GateConfig(margins={"default": 0.01, "wide": 0.2, "narrow": 0.1, "c": 0.3})
        report = gate(*pair, config)
        assert {task: found.margin for task, found in report.tasks.items()} == {"a": 0.2, "b": 0.1, "c": 0.3, "d": 0.01}
        assert report.config == config
    assert GateConfig(margins={"wide": 0.2}).for_tasks(["a", "d"], {"wide": ["a"]}).margin("d") == 0.02
    with pytest.raises(ViubenchError, match="'wid', which is a task or suite of neither run") as error:
        gate(base, run, GateConfig(margins={"wid": 0.2}))
    assert error.value.hint == "did you mean 'wide'?"


def test_a_suite_may_be_informational(tmp_path: Path) -> None:
    base = write(tmp_path / "base", {task: rows([1.0] * 200) for task in "abc"})
    worse = write(tmp_path / "worse", {"a": rows([0.0] * 200), "b": rows([0.0] * 200), "c": rows([1.0] * 200)})
    with_suites(worse, hard=["a", "b"])
    report = gate(base, worse, GateConfig(informational=["hard"]))
    assert (report.verdict, report.exit_code) == ("pass", 0)
    assert {task for task, found in report.tasks.items() if found.informational} == {"a", "b"}
    assert gate(base, worse, GateConfig(informational=["a"])).exit_code == 1


@pytest.mark.parametrize(
    ("verdict", "settings", "code"),
    [
        ("inconclusive", {"inconclusive": "pass"}, 0),
        ("regress", {"inconclusive": "pass"}, 1),
        ("error", {"inconclusive": "pass"}, 4),
        ("inconclusive", {"report_only": True}, 0),
        ("regress", {"report_only": True}, 0),
        ("error", {"report_only": True}, 0),
    ],
)
def test_what_fails_the_gate_is_for_the_configuration_to_say(
    tmp_path: Path, verdict: Verdict, settings: dict[str, Any], code: int
) -> None:
    base = write(tmp_path / "base", {"t": rows([1.0] * 40)})
    scores = {"inconclusive": [0.0] + [1.0] * 39, "regress": [0.0] * 40, "error": [1.0] * 39}[verdict]
    run = write(tmp_path / "run", {"t": rows(scores)})
    strict, lenient = gate(base, run), gate(base, run, GateConfig.model_validate(settings))
    assert strict.verdict == lenient.verdict == verdict
    assert strict.exit_code == {"inconclusive": 3, "regress": 1, "error": 4}[verdict]
    assert lenient.exit_code == code
    assert ("the exit code is 0" in text(lenient), "the exit code is 0" in text(strict)) == (not code, False)


def test_what_cannot_be_compared_is_an_error_that_says_why(tmp_path: Path) -> None:
    base = write(tmp_path / "a", {"t": rows([1.0] * 20), "u": rows([1.0] * 20)})
    other = write(tmp_path / "b", {"t": rows([1.0] * 19), "u": rows([0.0] * 20)})
    report = gate(base, other)
    assert (report.verdict, report.exit_code) == ("error", 4)
    assert "'t' has other items in the two runs: 1 only in" in report.tasks["t"].reason
    assert report.tasks["u"].verdict == "regress", "the rest is judged all the same"
    assert report.tasks["t"].evidence is None
    (other / "results.json").unlink()
    report = gate(base, other)
    assert (report.exit_code, report.tasks, report.mean) == (4, {}, None)
    assert "is not finished" in report.problems[0]
    assert "is not finished" in text(report)


def test_a_task_that_one_run_lacks(tmp_path: Path) -> None:
    base = write(tmp_path / "a", {"t": rows([1.0] * 20), "u": rows([1.0] * 20)})
    less = write(tmp_path / "b", {"t": rows([1.0] * 20)})
    report = gate(base, less)
    assert (report.exit_code, report.tasks["u"].verdict) == (4, "error")
    assert "'u' is not in" in report.tasks["u"].reason
    report = gate(base, less, GateConfig(on_missing="skip"))
    assert (report.exit_code, list(report.tasks), list(report.skipped)) == (0, ["t"], ["u"])
    assert "skipped: 'u' is not in" in text(report)
    nothing = write(tmp_path / "c", {"v": rows([1.0])})
    report = gate(base, nothing, GateConfig(on_missing="skip"))
    assert (report.exit_code, report.problems) == (4, ["the two runs have no task in common"])


def test_a_configuration_that_names_no_task_is_refused(tmp_path: Path) -> None:
    base = write(tmp_path / "a", {"counting": rows([1.0] * 20)})
    for config in (GateConfig(margins={"cuonting": 0.1}), GateConfig(informational=["cuonting"])):
        with pytest.raises(ViubenchError, match="'cuonting', which is a task or suite of neither run") as error:
            gate(base, base, config)
        assert error.value.hint == "did you mean 'counting'?"
        assert error.value.exit_code == 2
        assert gate(base, base, config.model_copy(update={"on_missing": "skip"})).exit_code == 0


@pytest.mark.parametrize(
    ("content", "said", "place"),
    [
        ("alpha: 0.5\n", "alpha: must be a number, more than 0, less than 0.5, not 0.5", ":1:1"),
        ("margins:\n  default: 2\n", "margins.default: must be a number, at least 0, less than 1, not 2", ":2:3"),
        ("margins:\n  t: -0.1\n", "margins.t: must be a number, at least 0, less than 1, not -0.1", ":2:3"),
        ("alpha: .nan\n", "alpha", ":1:1"),
        ("corection: holm\n", "unknown key 'corection'", ":1:1"),
        ("correction: bonferroni\n", "correction: must be one of holm, none, not 'bonferroni'", ":1:1"),
        ("informational: t\n", "informational: must be a list of texts, not 't'", ":1:1"),
        ("inconclusive: maybe\n", "inconclusive: must be one of fail, pass", ":1:1"),
        ("on_missing: ignore\n", "on_missing: must be one of error, skip", ":1:1"),
        ("alpha: 0.1\nalpha: 0.2\n", "the key 'alpha' appears twice", ":2:1"),
        ("margins: !!python/name:os.system x\n", "is not allowed", ":1:10"),
    ],
)
def test_a_bad_gate_yaml_says_what_and_where(tmp_path: Path, content: str, said: str, place: str) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(content)
    with pytest.raises(ViubenchError) as error:
        strict_yaml.load(path, GateConfig)
    assert said in error.value.message
    assert error.value.where == f"{path}{place}"


def test_a_whole_gate_yaml(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(
        "margins: {default: 0.01, t: 0.05}\nalpha: 0.1\ncorrection: none\n"
        "informational: [u]\non_missing: skip\nmax_errors: 0.02\ninconclusive: pass\nreport_only: true\n"
    )
    config = strict_yaml.load(path, GateConfig)
    assert (config.margin("t"), config.margin("u"), config.level) == (0.05, 0.01, 0.8)
    assert (config.correction, config.on_missing, config.max_errors) == ("none", "skip", 0.02)
    assert (config.inconclusive, config.report_only) == ("pass", True)


def test_the_documents_example_is_the_default_but_for_the_tasks(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    document = (Path(__file__).parents[2] / "docs" / "gate.md").read_text()
    path.write_text(document.split("```yaml\n")[1].split("```")[0])
    config, default = strict_yaml.load(path, GateConfig), GateConfig()
    assert config.margins.keys() == {"default", "long", "viubench_count_easy"}
    assert config.margin("other") == default.margin("other")
    named = {"margins": default.margins, "informational": default.informational}
    assert config.model_copy(update=named) == default


@pytest.mark.parametrize(("n", "videos", "points"), [(10, 4, 29), (300, 60, 1)])
def test_what_the_documents_say_of_equal_scores(n: int, videos: int, points: int) -> None:
    scores: list[Part] = [(1.0, [1.0] * n, [k % videos for k in range(n)])]
    assert round(-100 * paired(scores, scores, GateConfig().level).low) == points


def shown_text(source: str) -> str:
    """What a reader of the rendered Markdown sees, and that nothing else came of it."""
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(source)
    allowed = ("h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code")
    left = rendered
    for tag in allowed:
        for align in ("", ' style="text-align:left"', ' style="text-align:right"'):
            left = left.replace(f"<{tag}{align}>", "").replace(f"</{tag}>", "")
    assert "<" not in left, left[left.index("<") :][:200]
    return html.unescape(left)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:12])
def test_hostile_names_are_text(tmp_path: Path, name: str) -> None:
    task = name if len(name) < 1000 else name[:1000]
    base = write(tmp_path / "a", {task: rows([1.0] * 20)}, model=name)
    report = gate(base, write(tmp_path / "b", {task: rows([0.0] * 20)}, model=name))
    for refused in (report, gate(base, write(tmp_path / "c", {task: rows([0.0] * 19)}, model=name))):
        plain, marked = text(refused), markdown(refused)
        assert not {c for c in plain if (ord(c) < 0x20 and c != "\n") or c in "\x7f\u202e\x9b"}
        assert len(plain) + len(marked) < 60_000
        assert len(plain.splitlines()) == len(text(refused).split("\n")) < 12
        start = name[:10].split("\n")[0].replace("\x1b", "␛").replace("\u202e", "‹U+202E›")
        assert start in plain
        assert start in shown_text(marked)
    assert GateReport.model_validate_json(report.model_dump_json(by_alias=True)) == report


@given(st.text(min_size=1, max_size=60))
def test_any_name_stays_one_cell_of_the_table(name: str) -> None:
    from reports.ci.gate import code
    from reports.html.escape import one_line

    cell = f"| a | b |\n|---|---|\n| {code(name)} | end |\n"
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(cell)
    assert rendered.count("<td>") == 2
    inner = rendered.split("<code>")[1].split("</code>")[0]
    assert html.unescape(inner).strip() == one_line(name).strip()
    assert "<" not in inner


def test_the_summary_holds_what_the_table_holds(tmp_path: Path) -> None:
    base = write(tmp_path / "a", {"t": rows([1.0] * 50 + [0.0] * 50), "u": rows([0.0] * 100)})
    report = gate(base, write(tmp_path / "b", {"t": rows([1.0] * 40 + [0.0] * 60), "u": rows([0.0] * 100)}))
    seen_text = shown_text(markdown(report))
    assert report.tasks["t"].verdict == "regress"
    for word in ("regress", "50.0", "40.0", "−10.0", "0 / 10", "100", "2.0", "mean of 2 tasks", "90 % interval"):
        assert word in text(report)
        assert word in seen_text
    assert json.loads(report.model_dump_json(by_alias=True))["schema"] == 1
