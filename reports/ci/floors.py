"""Floors for people: the table of a gate of floors, and what a plan of one says.

Example:
    print(plan_text(viubench.gate_plan(0.62, score=0.633, questions=900)))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from reports.html.escape import NAME_LENGTH
from reports.html.format import counted, percent
from reports.tables.terminal import table
from viubench.schema import FloorEvidence, GateReport

if TYPE_CHECKING:
    from viubench.api.floors import FloorPlan

SIDES = ("left", "left", *["right"] * 6)


def rows(report: GateReport, show: Callable[[str], str]) -> list[list[str]]:
    """The heads, and a row for each task; percent."""
    found = [["task", "verdict", "floor", "score", "runs", "n", "alarm below", "finds"]]
    for task, judged in report.tasks.items():
        verdict, seen = f"{judged.verdict}{' (informational)' if judged.informational else ''}", judged.floor
        cells = [percent(report.config.floors[task]), *[""] * 5]
        if seen is not None:
            size = f"{seen.n:,}" if seen.n else "–"
            cells = [percent(seen.floor), percent(seen.score), str(seen.runs), size]
            cells += [percent(seen.alarm), percent(seen.detectable)]
        found.append([show(task[:NAME_LENGTH]), verdict, *cells])
    return found


def notes(report: GateReport, show: Callable[[str], str]) -> Iterator[str]:
    """What main says of each floor."""
    for task, judged in report.tasks.items():
        seen = judged.floor
        if judged.verdict == "pass" and seen and seen.score < seen.floor:
            yield f"{show(task[:NAME_LENGTH])}: {judged.reason}"
        if seen and seen.main:
            yield f"{show(task[:NAME_LENGTH])}: {of_main(seen, report.config.alpha)}"


def of_main(seen: FloorEvidence, alpha: float) -> str:
    """What a plain comparison with the floor would do to main itself."""
    main = seen.main
    if main is None:
        return ""
    measured = "a run" if seen.runs == 1 else f"the mean of {seen.runs} runs"
    return (
        f"main has {percent(main.score)} in {counted(main.runs, 'run')} (SD {percent(main.deviation, 2)}); a plain "
        f"`score >= {seen.floor:g}` fails {measured} of it in {percent(main.plain_failures)} % of cases, "
        f"in {100 * alpha:g} % at {percent(main.plain_floor)}"
    )


def method(report: GateReport) -> str:
    """How the floors were tested."""
    config = report.config
    corrected = "Holm over the floors" if config.correction == "holm" else "no correction for many floors"
    return (
        f"percent; true score against the floor, t over runs, or over the questions of a single run; a false alarm in "
        f"{100 * config.alpha:g} % of gates at most, {corrected}; finds: true score found with 80 % power"
    )


def plan_text(plan: FloorPlan) -> str:
    """The plan as a table for a terminal, under what is known of main."""
    noise = plan.noise
    name = f" of {plan.task[:NAME_LENGTH]}" if plan.task else ""
    size = f" of {noise.questions:,} questions" if noise.questions else ""
    basis = (
        f"SD {percent(noise.deviation, 2)} between runs: {percent(noise.answers**0.5, 2)} by answers, "
        f"{percent(noise.whole**0.5, 2)} by run"
        if noise.measured
        else f"SD {percent(noise.deviation, 2)} of its questions, no run beside it to compare"
    )
    heads = ["runs", "alarm\nbelow", "false alarms\nof main, %", f"finds {percent(plan.detect)}\nnow, %",
             f"questions\nfor {100 * plan.power:g} %"]  # fmt: skip
    lines = [
        [
            row.runs,
            percent(row.alarm),
            percent(row.false_alarms),
            percent(row.power),
            f"{row.questions:,}" if row.questions else "none enough" if noise.questions else "–",
        ]
        for row in plan.rows
    ]
    return "\n".join(
        [
            f"floor{name}: {percent(plan.floor)}; a false alarm in {100 * plan.alpha:g} % of gates at most",
            f"main: {percent(noise.score)} in {counted(noise.runs, 'run')}{size}",
            basis,
            f"a plain `score >= {plan.floor:g}` fails {percent(noise.plain_failures(plan.floor))} % of main's runs, "
            f"{100 * plan.alpha:g} % at {percent(noise.plain_floor(plan.alpha))}",
            "",
            table(lines, heads, ["right"] * len(heads)),
            "percent; runs of the candidate, whose mean is judged",
            *(["main itself measures below this floor: choose a lower one"] if noise.score < plan.floor else []),
            *([] if noise.measured else ["runs of main beside them (--baseline) make a few of them enough"]),
        ]
    )
