"""A gate's report as JUnit XML, for the test pages of CI services: one test case a task.

Example:
    Path("junit.xml").write_text(junit(report), encoding="utf-8")

What fails the gate fails its test case: `failure` for a regression or an inconclusive verdict, `error` for runs that
must not be compared. Inconclusive verdicts that may pass, and tasks left out, are `skipped`; informational tasks, and
all tasks of a report only, pass. The evidence is in each case's `system-out`. Equal reports give equal text.
"""

from __future__ import annotations

import re
from io import BytesIO

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from reports.html.escape import NAME_LENGTH, one_line
from reports.html.format import percent, points, points_interval
from viubench.schema import GateReport, TaskVerdict

SUITE = "viubench.comparison.gate"

_NO_CHARACTER = re.compile("[\ufffe\uffff]")
"""What `line` lets through and XML 1.0 has no place for."""


def junit(report: GateReport) -> str:
    """The whole XML document; `name` and `message` hold others' text as text, on one line and cut."""
    suite = TestSuite(SUITE)
    for name, value in _properties(report):
        suite.add_property(name, _plain(value))
    problems = [
        ("runs", TaskVerdict(verdict="error", reason=why, informational=False, margin=0)) for why in report.problems
    ]
    suite.add_testcases([_case(task, verdict, report) for task, verdict in [*problems, *report.tasks.items()]])
    suite.add_testcases([_named(task, Skipped(_plain(why))) for task, why in report.skipped.items()])
    suite.update_statistics()  # type: ignore[no-untyped-call]
    root = JUnitXml(SUITE)
    for name in ("tests", "failures", "errors", "time"):  # the schema has no `skipped` here
        setattr(root, name, getattr(suite, name))
    root.add_testsuite(suite)
    document = BytesIO()
    root.write(document, pretty=True)
    return f"{document.getvalue().decode().strip()}\n"


def _properties(report: GateReport) -> list[tuple[str, str]]:
    """What was compared and how it ended; an XML reader sees no exit code."""
    runs = [("baseline", report.baseline), ("candidate", report.candidate)]
    outcome = [("verdict", report.verdict), ("exit-code", str(report.exit_code)), ("viubench", report.viubench)]
    return outcome + [(f"{side}-{key}", getattr(run, key)) for side, run in runs if run for key in ("model", "path")]


def _case(name: str, verdict: TaskVerdict, report: GateReport) -> TestCase:
    case, reason = _named(name), _plain(verdict.reason)
    if report.config.blocks(verdict.verdict, verdict.informational):
        case.result = [(Error if verdict.verdict == "error" else Failure)(reason, verdict.verdict)]
    elif verdict.verdict == "inconclusive" and not verdict.informational and not report.config.report_only:
        case.result = [Skipped(reason)]
    case.system_out = f"{verdict.verdict}: {reason}"
    if seen := verdict.evidence:
        case.system_out += (
            f"\nbaseline {percent(seen.baseline)}, candidate {percent(seen.candidate)}, "
            f"change {points(seen.difference)} ({points_interval(seen.ci)}), margin {percent(verdict.margin)}\n"
            f"{seen.units} units of {seen.clusters} videos: {seen.better} better, {seen.worse} worse; {seen.methods}"
        )
    if (tested := verdict.floor) is not None:
        case.system_out += (
            f"\nfloor {percent(tested.floor)}, score {percent(tested.score)} in {tested.runs} runs, "
            f"alarm below {percent(tested.alarm)}, finds {percent(tested.detectable)}"
        )
    return case


def _named(name: str, *result: Skipped) -> TestCase:
    case = TestCase(_plain(name[:NAME_LENGTH]), SUITE, 0)
    case.result = list(result)
    return case


def _plain(value: str) -> str:
    return _NO_CHARACTER.sub(lambda char: f"‹U+{ord(char[0]):04X}›", one_line(value))
