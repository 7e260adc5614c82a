"""A gate's report as annotations of a GitHub workflow: lines that the service shows on the run's page.

Example:
    commands(report)
    # ['::error title=viubench gate%3A viubench_count_easy::regress, a loss of 4.1 points, beyond the margin of 2 ...']

What fails the gate is an error; a verdict that is no pass but does not fail it is a warning; a gain is a notice.
"""

from __future__ import annotations

from reports.html.escape import NAME_LENGTH, one_line
from viubench.schema import GateReport, Verdict

SHOWN = 10
"""A step's annotations of one kind that the service shows."""

_IN_TEXT = "%\r\n"
_IN_TITLE = "%\r\n:,"


def commands(report: GateReport) -> list[str]:
    """A workflow command for each whole-run problem and each task that did not simply pass, at most ten of a kind:
    where there are more, the tenth says how many."""
    found: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for problem in report.problems:
        found[_level(report, "error", False)].append(_end("viubench gate", one_line(problem)))
    for task, judged in report.tasks.items():
        if judged.verdict != "pass":
            informational = " (informational)" if judged.informational else ""
            message = f"{judged.verdict}{informational}, {one_line(judged.reason)}"
            end = _end(f"viubench gate: {one_line(task[:NAME_LENGTH])}", message)
            found[_level(report, judged.verdict, judged.informational)].append(end)
    for ends in found.values():
        if len(ends) > SHOWN:
            more = f"and {len(ends) - SHOWN + 1} more: see the table of the step's summary"
            ends[SHOWN - 1 :] = [_end("viubench gate", more)]
    return [f"::{level} {end}" for level, ends in found.items() for end in ends]


def _level(report: GateReport, verdict: Verdict, informational: bool) -> str:
    if verdict == "improve":
        return "notice"
    return "error" if report.config.blocks(verdict, informational) else "warning"


def _end(title: str, message: str) -> str:
    return f"title={_escaped(title, _IN_TITLE)}::{_escaped(message, _IN_TEXT)}"


def _escaped(value: str, special: str) -> str:
    """The service's percent encoding; it decodes these characters and no other."""
    return "".join(f"%{ord(char):02X}" if char in special else char for char in value)
