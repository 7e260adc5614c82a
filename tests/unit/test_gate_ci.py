"""What a CI service reads of a gate: JUnit XML and workflow annotations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junit_schema import outcomes, valid
from lxml import etree
from paired_runs import Row, rows, write

from reports.ci.gate import markdown, text
from reports.ci.github import commands
from reports.ci.junit import junit
from reports.html.escape import clean, one_line
from viubench.comparison.gate import gate
from viubench.schema import GateConfig, GatedRun, GateReport, TaskVerdict, Verdict

RUN = GatedRun(path="runs/a", model="m", engine="answers", fingerprint="f", files={})
VERDICTS: tuple[Verdict, ...] = ("regress", "pass", "improve", "inconclusive", "error")


def report(tasks: dict[str, tuple[Verdict, str]], config: GateConfig | None = None, **changes: object) -> GateReport:
    """A report with these verdicts and reasons; the one named "told" is informational."""
    made = {
        name: TaskVerdict(verdict=verdict, reason=reason, informational=name == "told", margin=0.02)
        for name, (verdict, reason) in tasks.items()
    }
    known: dict[str, object] = {
        "viubench": "0", "verdict": "error", "exit_code": 4, "problems": [], "baseline": RUN, "candidate": RUN,
        "config": config or GateConfig(), "tasks": made, "skipped": {}, "mean": None,
    }  # fmt: skip
    return GateReport.model_validate(known | changes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> GateReport:
    """A real report with every verdict: a loss, a gain, nothing, too few items, other items."""
    folder = tmp_path_factory.mktemp("runs")
    good, bad = [1.0] * 300, [0.0] * 60 + [1.0] * 240
    base = {"down": good, "up": bad, "level": good, "few": [1.0] * 20, "other": [1.0] * 9, "told": good}
    then = {"down": bad, "up": good, "level": good, "few": [0.0, *[1.0] * 19], "other": [1.0] * 8, "told": bad}
    one, two = (write(folder / n, {t: rows(s) for t, s in found.items()}) for n, found in (("a", base), ("b", then)))
    return gate(one, two, GateConfig(informational=["told"]))


def test_a_task_is_a_test_case_and_what_fails_the_gate_fails_it(runs: GateReport) -> None:
    found = {task: judged.verdict for task, judged in runs.tasks.items()}
    assert set(found.values()) == set(VERDICTS)
    root = valid(junit(runs).encode())
    assert outcomes(root) == {
        "down": "failure", "few": "failure", "level": "passed", "other": "error", "told": "passed", "up": "passed",
    }  # fmt: skip
    (down,) = root.xpath("//testcase[@name='down']")
    assert down.find("failure").get("type") == "regress"
    assert "a loss of 20.0 points" in down.find("failure").get("message")
    assert "baseline 100.0, candidate 80.0, change −20.0" in down.findtext("system-out")
    (told,) = root.xpath("//testcase[@name='told']")
    assert told.findtext("system-out").startswith("regress: a loss of 20.0 points")
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert (properties["verdict"], properties["exit-code"], properties["candidate-model"]) == ("error", "4", "m")
    assert junit(runs) == junit(runs.model_copy())


def test_what_may_be_inconclusive_is_skipped_and_a_report_only_passes(runs: GateReport) -> None:
    lenient = runs.model_copy(update={"config": runs.config.model_copy(update={"inconclusive": "pass"})})
    found = outcomes(valid(junit(lenient).encode()))
    assert (found["few"], found["down"], found["other"]) == ("skipped", "failure", "error")
    shown = runs.model_copy(update={"config": runs.config.model_copy(update={"report_only": True})})
    root = valid(junit(shown).encode())
    assert set(outcomes(root).values()) == {"passed"}
    assert [case.findtext("system-out").split(":")[0] for case in root.iter("testcase")] == [
        judged.verdict for judged in runs.tasks.values()
    ]


def test_whole_run_problems_and_left_out_tasks_are_cases_too() -> None:
    made = report({}, problems=["runs/b is not finished"], skipped={"t": "'t' is not in runs/b"})
    assert outcomes(valid(junit(made).encode())) == {"runs": "error", "t": "skipped"}


def test_annotations_say_what_fails_warns_and_improves(runs: GateReport) -> None:
    found = commands(runs)
    assert [one.split(" ")[0] for one in found] == ["::error", "::error", "::error", "::warning", "::notice"]
    assert found[0].startswith("::error title=viubench gate%3A down::regress, a loss of 20.0 points, beyond the margin")
    assert found[3].startswith("::warning title=viubench gate%3A told::regress (informational), a loss")
    shown = runs.model_copy(update={"config": runs.config.model_copy(update={"report_only": True})})
    assert {one.split(" ")[0] for one in commands(shown)} == {"::warning", "::notice"}
    assert commands(report({"t": ("pass", "")}, verdict="pass", exit_code=0)) == []


def test_of_many_annotations_of_a_kind_the_tenth_says_how_many() -> None:
    found = commands(report({f"t{n:02d}": ("regress", "a loss") for n in range(25)}))
    assert len(found) == 10
    assert found[-1] == "::error title=viubench gate::and 16 more: see the table of the step's summary"
    assert len(commands(report({f"t{n}": ("regress", "a loss") for n in range(10)}))) == 10


# --- hostile text -------------------------------------------------------------------------------------------------

HOSTILE = (
    ":",
    "<script>alert(1)</script>",
    "]]></system-out></testcase><testcase name='x'/>",
    "&lt;&xxe; <!DOCTYPE a [<!ENTITY xxe SYSTEM 'file:///etc/passwd'>]>",
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "a\u202egnp.exe \ufeff\ufffe\uffff",
    "\x00\r\n::error::two lines",
    "::add-mask::a",
    "\u3000 ::stop-commands::x",
    "a ##[add-path]/tmp",
    "50%3A%0A, title=x::",
    "y" * 1_000_000,
)


def decoded(value: str) -> str:
    """The service's way back, in its order."""
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        value = value.replace(code, char)
    return value


def acts(output: str) -> list[str]:
    """The lines of a step's output that a workflow runner takes for commands."""
    return [one for one in output.split("\n") if one.lstrip().startswith("::") or "##[" in one]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:12]))
def test_hostile_text_is_text_everywhere(value: str) -> None:
    run = RUN.model_copy(update={"path": value, "model": value})
    tasks: dict[str, tuple[Verdict, str]] = {value: ("error", value)}
    made = report(tasks, problems=[value], skipped={f"{value[:40]} too": value}, baseline=run, candidate=run)
    root = valid(junit(made).encode())
    assert len(root.findall(".//testcase")) == 3
    shown = [a for e in root.iter() for a in e.attrib.values()] + [e.text for e in root.iter() if e.text]
    kept = one_line(value, 30).rstrip("…").replace("\ufffe", "‹U+FFFE›").replace("\uffff", "‹U+FFFF›")
    assert sum(kept[:20] in one for one in shown) == 11, "four properties, two names, three messages, two outputs"
    for output in (text(made), markdown(made)):
        assert not acts(output)
        assert clean(output) == output
    found = commands(made)
    assert len(found) == 2
    for one in found:
        assert re.fullmatch(r"::error title=[^\r\n:,]*::[^\r\n]*", one)
        assert clean(one) == one
        assert len(one) < 8_000
        message = decoded(one.split("::", 2)[2])
        assert message.removeprefix("error, ") == one_line(value)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:12]))
def test_hostile_runs_end_in_the_same_plain_outputs(tmp_path: Path, value: str) -> None:
    """The text in every field of the records, and in the folder's name as far as a file system takes it."""
    place = tmp_path / (value.replace("/", "∕").replace("\0", "")[:60] or "x")
    task = value[:1000]

    def run(name: str, target: str) -> Path:
        made = [
            Row(f"{n}{value}", 1.0, f"{n}{value}", target=target, answer=value, groups={task: value}) for n in range(3)
        ]
        return write(place / name, {task: made}, model=value)

    base = run("a", value)
    for candidate, verdict in ((run("b", value), "pass"), (run("c", f"{value}!"), "error")):
        made = gate(base, candidate)
        assert made.verdict == verdict, made
        assert set(outcomes(valid(junit(made).encode())).values()) == {"passed" if verdict == "pass" else "error"}
        for output in (text(made), markdown(made), *commands(made)):
            assert clean(output) == output
            assert len(output) < 60_000
        assert not acts(text(made) + markdown(made))


@given(st.text(max_size=80), st.sampled_from(VERDICTS))
def test_any_text_makes_one_valid_case_and_one_command_a_line(value: str, verdict: Verdict) -> None:
    made = report({value or "t": (verdict, value)})
    root = valid(junit(made).encode())
    assert len(root.findall(".//testcase")) == 1
    found = commands(made)
    assert len("\n".join(found).splitlines()) == len(found) == (verdict != "pass")
    assert not acts(text(made))


def test_the_schema_refuses_what_services_cannot_read(runs: GateReport) -> None:
    """The check itself can fail: a result after the output, a missing count, a word for a number."""
    sound = junit(runs)
    for wrong in (
        sound.replace("<system-out>", "<system-err>x</system-err><system-out>", 1),
        sound.replace(' tests="6"', "", 1),
        sound.replace('time="0.0"', 'time="soon"', 1),
        sound.replace('failures="2"', 'failures="1"', 1),
    ):
        assert wrong != sound
        with pytest.raises((etree.DocumentInvalid, AssertionError)):
            valid(wrong.encode())
