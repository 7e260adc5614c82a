"""A gate's report as JUnit XML, for the test pages of CI services: one test case a task.

Example:
    >>> Path("junit.xml").write_text(junit(report), encoding="utf-8")  # doctest: +SKIP

What fails the gate fails its test case: `failure` for a regression or an inconclusive verdict, `error` for runs that
must not be compared. Inconclusive verdicts that may pass, and tasks left out, are `skipped`; informational tasks, and
all tasks of a report only, pass. The evidence is in each case's `system-out`. Equal reports give equal text.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from reports.html.escape import NAME_LENGTH, one_line
from reports.html.format import percent, points
from viubench.schema import GateReport, TaskVerdict

SUITE = "viubench.comparison.gate"

_NO_CHARACTER = re.compile("[\ufffe\uffff]")
"""What `line` lets through and XML 1.0 has no place for."""


def junit(report: GateReport) -> str:
    """The whole XML document; `name` and `message` hold others' text as text, on one line and cut."""
    suite = ET.Element("testsuite", name=SUITE)
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report):
        ET.SubElement(properties, "property", name=name, value=_plain(value))
    for problem in report.problems:
        found = TaskVerdict(verdict="error", reason=problem, informational=False, margin=0)
        _case(suite, "runs", found, report)
    for task, found in report.tasks.items():
        _case(suite, task[:NAME_LENGTH], found, report)
    for task, why in report.skipped.items():
        ET.SubElement(_named(suite, task[:NAME_LENGTH]), "skipped", message=_plain(why))
    for counted, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(counted, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("time", "0")
    root = ET.Element("testsuites", {key: value for key, value in suite.attrib.items() if key != "skipped"})
    root.append(suite)
    ET.indent(root, " ")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{ET.tostring(root, encoding='unicode')}\n"


def _properties(report: GateReport) -> list[tuple[str, str]]:
    """What was compared and how it ended; an XML reader sees no exit code."""
    runs = [("baseline", report.baseline), ("candidate", report.candidate)]
    told = [("verdict", report.verdict), ("exit-code", str(report.exit_code)), ("viubench", report.viubench)]
    return told + [
        (f"{side}-{key}", value) for side, run in runs for key, value in (("model", run.model), ("path", run.path))
    ]


def _case(suite: ET.Element, name: str, found: TaskVerdict, report: GateReport) -> None:
    case = _named(suite, name)
    said = _plain(found.reason)
    if report.config.blocks(found.verdict, found.informational):
        ET.SubElement(case, "error" if found.verdict == "error" else "failure", type=found.verdict, message=said)
    elif found.verdict == "inconclusive" and not found.informational and not report.config.report_only:
        ET.SubElement(case, "skipped", message=said)
    ET.SubElement(case, "system-out").text = "\n".join([f"{found.verdict}: {said}", *_evidence(found)])


def _named(suite: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=SUITE, name=_plain(name), time="0")


def _evidence(found: TaskVerdict) -> list[str]:
    seen = found.evidence
    if seen is None:
        return []
    return [
        f"baseline {percent(seen.baseline)}, candidate {percent(seen.candidate)}, change {points(seen.difference)} "
        f"({points(seen.ci[0])} to {points(seen.ci[1])}), margin {percent(found.margin)}",
        f"{seen.units} units of {seen.clusters} videos: {seen.better} better, {seen.worse} worse; {seen.test}",
    ]


def _plain(value: str) -> str:
    return _NO_CHARACTER.sub(lambda char: f"‹U+{ord(char[0]):04X}›", one_line(value))
