"""`viubench gate`: whether a candidate is worse than a reference run, or below a floor; and what a floor needs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from viubench.cli import files
from viubench.cli.examples import shown
from viubench.cli.progress import warn
from viubench.cli.run import Track, pairs
from viubench.errors import ViubenchError

if TYPE_CHECKING:
    from viubench.schema import GateReport

app = typer.Typer(invoke_without_command=True)

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable that names the file a GitHub workflow step shows as its summary."""

Floors = Annotated[
    list[str], typer.Option("--floor", help="TASK=0.62: the lowest true score that is good enough; repeatable.")
]
Main = Annotated[
    list[str],
    typer.Option(help="Reference run: a folder, or a saved name. With --floor runs of main or files; repeatable."),
]


@app.callback()
def gate(
    context: typer.Context,
    baseline: Main = [],  # noqa: B006
    candidate: Annotated[
        list[Path], typer.Option(help="Run folder of the model to judge. With --floor also files; repeatable.")
    ] = [],  # noqa: B006
    floor: Floors = [],  # noqa: B006
    config: Annotated[Path | None, typer.Option(help="gate.yaml: margins, floors, alpha, informational tasks.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the whole report there, as JSON.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write a Markdown summary there.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML there, a test case a task.")] = None,
    annotate: Annotated[
        bool | None,
        typer.Option("--annotations/--no-annotations", help="Workflow annotations; by default in a GitHub workflow."),
    ] = None,
    track: Track = None,
    report_only: Annotated[bool, typer.Option("--report-only", help="Judge and show, but exit with 0.")] = False,
) -> None:
    """Check whether a model got worse, or is below a floor: exit 0 no, 1 yes, 3 inconclusive, 4 not comparable."""
    if context.invoked_subcommand:
        return
    from viubench.api.compare import gate as judge
    from viubench.api.compare import gate_config
    from viubench.api.floors import gate_floors
    from viubench.comparison.pair import refuse_twice
    from viubench.storage import reference_run
    from viubench.system.tracking import Tracker

    settings = gate_config(config)
    if report_only:
        settings = settings.model_copy(update={"report_only": True})
    if not candidate:
        raise ViubenchError("no run to judge", where="--candidate", hint="viubench gate --candidate RUN ...")
    facts = {"baseline": " ".join(baseline), "candidate": " ".join(map(str, candidate))}
    called = f"gate-{candidate[0].resolve().name}"
    tracker = Tracker.open(track, candidate[0], lambda: facts, called=called, warn=warn)
    if floor or settings.floors:
        report = gate_floors(candidate, floors(floor) if floor else None, baseline, settings)
    elif len(baseline) == len(candidate) == 1:
        refuse_twice([reference_run.find(baseline[0]), candidate[0]], "--candidate")
        report = judge(baseline[0], candidate[0], settings)
    else:
        hint = "name both; for several runs, or none of main, give --floor TASK=SCORE"
        raise ViubenchError("a gate without floors takes one --baseline and one --candidate", hint=hint)
    with tracker:
        tracker.gate(report)
    _show(report, out=out, summary=summary, junit=junit, annotate=annotate)
    raise typer.Exit(report.exit_code)


def _show(
    report: GateReport, *, out: Path | None, summary: Path | None, junit: Path | None, annotate: bool | None
) -> None:
    from reports.ci.gate import markdown, text
    from reports.ci.github import commands
    from reports.ci.junit import junit as xml
    from reports.html.escape import one_line

    print(text(report))
    if annotate or (annotate is None and os.environ.get("GITHUB_ACTIONS") == "true"):
        for command in commands(report):
            print(command)
    if out is not None:
        files.write(out, report.model_dump_json(by_alias=True, indent=1) + "\n", "--out")
    if junit is not None:
        files.write(junit, xml(report), "--junit")
    if summary is not None:
        files.write(summary, markdown(report), "--summary")
    if step := os.environ.get(STEP_SUMMARY):
        files.write(Path(step), markdown(report), STEP_SUMMARY, append=True)  # other steps write there too
    for fault in report.faults:
        print(f"viubench: not comparable: {one_line(fault)}", file=sys.stderr)


@app.command(epilog=shown("gate plan"))
def plan(
    floor: Annotated[str, typer.Option(help="TASK=0.62, or 0.62 where there is one task or none.")],
    baseline: Main = [],  # noqa: B006
    detect: Annotated[
        float | None, typer.Option(help="True score that must be found to be below it; two points below, by default.")
    ] = None,
    power: Annotated[float, typer.Option(min=0.01, max=0.999, help="Chance to find it.")] = 0.8,
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.49, help="Chance of a false alarm.")] = 0.05,
    score: Annotated[float | None, typer.Option(min=0, max=1, help="Score of main, without runs of it.")] = None,
    questions: Annotated[int | None, typer.Option(min=2, help="Questions of a run, without runs of main.")] = None,
    deviation: Annotated[
        float | None, typer.Option(min=0, help="Standard deviation between the --runs of main that --score is of.")
    ] = None,
    runs: Annotated[int | None, typer.Option(min=2, help="Runs of main behind --score and --deviation.")] = None,
) -> None:
    """Say how many questions and runs a floor needs, from runs of main or from its score and number of questions."""
    from reports.ci.floors import plan_text
    from reports.html.escape import clean
    from viubench.api.floors import gate_plan

    task, equals, value = floor.rpartition("=")
    at = floors([floor])[task] if equals else _fraction(value)
    found = gate_plan(
        at, baseline, task=task or None, detect=detect, power=power, alpha=alpha, score=score, questions=questions,
        deviation=deviation, runs=runs,
    )  # fmt: skip
    print(clean(plan_text(found)))


def floors(given: list[str]) -> dict[str, float]:
    """The floors of TASK=SCORE arguments; raises ViubenchError for another form, or what is no score."""
    for one in given:
        if "=" not in one:
            hint = f"name the task it is for: --floor videomme={one:.20}"
            raise ViubenchError(f"{one!r:.80} is not of the form TASK=SCORE", where="--floor", hint=hint)
    return {task: _fraction(value) for task, value in pairs(given, "--floor").items()}


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        hint = "a fraction such as 0.62, for the task videomme: --floor videomme=0.62"
        raise ViubenchError(f"{text!r:.40} is no floor: a score above 0, at most 1", where="--floor", hint=hint)
    return value
