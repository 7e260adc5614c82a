"""A gate's report for people: the table a terminal shows, and the Markdown of a pull request.

Example:
    print(text(report))
    # regress: step-200 against base
    # ...

Names, paths and what an error quotes are others' text: it is shown, never acted on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from reports.ci import floors
from reports.html.escape import NAME_LENGTH, one_line
from reports.html.format import counted, percent, points, points_interval
from reports.tables.terminal import table
from viubench.comparison.gate import WORST_FIRST
from viubench.schema import Evidence, GatedMean, GateReport

Show = Callable[[str], str]

_MARK_UP = re.compile(r"[^A-Za-z0-9 /\-_\x80-\U0010ffff]|_(?![A-Za-z0-9])|(?<![A-Za-z0-9])_")
"""What Markdown or HTML may read as more than text; an underscore inside a word is none."""


def text(report: GateReport) -> str:
    """Heading, table and reasons as plain text."""
    heads, *rows = _rows(report, one_line)
    shown = [table(rows, heads, _sides(report))] if rows else []
    title = f"{report.verdict}: {_runs(report, one_line)}"
    return "\n".join([title, *shown, *_notes(report, one_line), _method(report)])


def markdown(report: GateReport) -> str:
    """The same as Markdown that ends with a line feed, so that it can be appended to."""
    lines = [f"### viubench gate: {report.verdict}", "", _runs(report, code), ""]
    heads, *rows = _rows(report, code)
    if rows:
        rule = [":---" if side == "left" else "---:" for side in _sides(report)]
        lines += [*(f"| {' | '.join(row)} |" for row in (heads, rule, *rows)), ""]
    notes = [f"- {note}" for note in _notes(report, code)]
    return "\n".join([*lines, *notes, "", _method(report), ""])


def code(value: str) -> str:
    """Others' text in Markdown, also in a table's cell: no mark-up, link or mention comes of it."""
    return f"<code>{_MARK_UP.sub(lambda found: f'&#{ord(found[0])};', one_line(value))}</code>"


def _runs(report: GateReport, show: Show) -> str:
    sides = [
        f"{show(run.model)} ({show(run.path)})" if run.model else show(run.path)
        for run in (report.candidate, report.baseline)
        if run
    ]
    if not report.config.floors:
        return " against ".join(sides)
    more = [f"main: {sides[1]}"] if report.baseline else []
    more += [f"{counted(len(report.runs), 'more run')}"] if report.runs else []
    return f"{sides[0]} against floors" + (f" ({'; '.join(more)})" if more else "")


def _sides(report: GateReport) -> tuple[str, ...]:
    return floors.SIDES if report.config.floors else ("left", "left", *["right"] * 8)


def _rows(report: GateReport, show: Show) -> list[list[str]]:
    """The heads, a row for each task, and one for their mean; percent and points."""
    if report.config.floors:
        return floors.rows(report, show)
    level = f"{100 * report.config.level:g} % interval"
    rows = [["task", "verdict", "baseline", "candidate", "change", level, "up / down", "n", "margin", "detectable"]]
    for task, found in report.tasks.items():
        verdict, seen = f"{found.verdict}{' (informational)' if found.informational else ''}", found.evidence
        counts = [f"{seen.better} / {seen.worse}", str(seen.units)] if seen else ["", ""]
        least = percent(seen.detectable) if seen else ""
        rows.append([show(task[:NAME_LENGTH]), verdict, *_scores(seen), *counts, percent(found.margin), least])
    if report.mean is not None and report.mean.tasks > 1:
        rows.append([f"mean of {report.mean.tasks} tasks", "", *_scores(report.mean), *[""] * 4])
    return rows


def _scores(seen: Evidence | GatedMean | None) -> list[str]:
    if seen is None:
        return [""] * 4
    return [percent(seen.baseline), percent(seen.candidate), points(seen.difference), points_interval(seen.ci)]


def _notes(report: GateReport, show: Show) -> Iterator[str]:
    """What else there is to say, a sentence each: problems, why a task did not simply pass, what was left out."""
    if report.verdict in WORST_FIRST and not report.config.blocks(report.verdict):
        why = "this is a report only" if report.config.report_only else "inconclusive verdicts may pass"
        yield f"the exit code is 0: {why}"
    yield from map(show, report.problems)
    for task, found in report.tasks.items():
        if found.verdict != "pass":
            reason = show(found.reason) if found.verdict == "error" else found.reason
            yield f"{show(task[:NAME_LENGTH])}: {found.verdict}, {reason}"
    yield from floors.notes(report, show)
    for why in report.skipped.values():
        yield f"skipped: {show(why)}"
    seen = [(found.evidence, found.margin) for found in report.tasks.values() if found.evidence]
    if same := sum(evidence.same_answers for evidence, _ in seen):
        yield f"every answer is the same on {same} of {len(seen)} tasks"
    if underpowered := sum((evidence.detectable or 0) > margin for evidence, margin in seen):
        yield f"{underpowered} of {len(seen)} tasks are underpowered at the chosen margin: too few items"


def _method(report: GateReport) -> str:
    config = report.config
    if config.floors:
        return floors.method(report)
    corrected = "Holm over the tasks" if config.correction == "holm" else "no correction for many tasks"
    return (
        f"percent; paired differences, clustered by source video; alpha {config.alpha:g} one-sided, {corrected}; "
        f"up / down: units scored higher / lower; detectable: minimum detectable loss at 80 % power"
    )
