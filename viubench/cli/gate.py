"""`viubench gate`: a candidate run against a reference run; a verdict per task and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from viubench.cli import files

if TYPE_CHECKING:
    from viubench.schema import GateConfig, GateReport

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable that names the file a GitHub workflow step shows as its summary."""

IN_WORKFLOW = "GITHUB_ACTIONS"
"""Environment variable that is "true" in a step of a GitHub workflow."""


def gate(
    baseline: Annotated[str, typer.Option(help="Reference run: a folder, or a name saved with `viubench baseline`.")],
    candidate: Annotated[Path, typer.Option(help="Run folder of the model to judge.")],
    config: Annotated[Path | None, typer.Option(help="gate.yaml: margins, alpha, informational tasks.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the whole report there, as JSON.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write a Markdown summary there.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML there, a test case a task.")] = None,
    annotate: Annotated[
        bool | None,
        typer.Option("--annotations/--no-annotations", help="Workflow annotations; by default in a GitHub workflow."),
    ] = None,
    report_only: Annotated[bool, typer.Option("--report-only", help="Judge and show, but exit with 0.")] = False,
) -> None:
    """Check whether a model got worse: exit 0 no, 1 yes, 3 inconclusive, 4 the runs cannot be compared."""
    from reports.ci.gate import text
    from reports.ci.github import commands
    from reports.html.escape import one_line
    from viubench.comparison.gate import gate as judge
    from viubench.storage.reference_run import find

    report = judge(find(baseline), candidate, _settings(config, report_only))
    print(text(report))
    if annotate or (annotate is None and os.environ.get(IN_WORKFLOW) == "true"):
        for command in commands(report):
            print(command)
    _write_files(report, out, summary, junit)
    for fault in report.faults:
        print(f"viubench: not comparable: {one_line(fault)}", file=sys.stderr)
    raise typer.Exit(report.exit_code)


def _settings(config: Path | None, report_only: bool) -> GateConfig:
    from viubench.schema import GateConfig
    from viubench.storage import strict_yaml

    settings = strict_yaml.load(config, GateConfig) if config else GateConfig()
    return settings.model_copy(update={"report_only": True}) if report_only else settings


def _write_files(report: GateReport, out: Path | None, summary: Path | None, junit: Path | None) -> None:
    from reports.ci.gate import markdown
    from reports.ci.junit import junit as xml

    if out is not None:
        files.write(out, report.model_dump_json(by_alias=True, indent=1) + "\n", "--out")
    if junit is not None:
        files.write(junit, xml(report), "--junit")
    if summary is not None:
        files.write(summary, markdown(report), "--summary")
    if step := os.environ.get(STEP_SUMMARY):
        files.write(Path(step), markdown(report), STEP_SUMMARY, append=True)  # other steps write there too
