"""`viubench report`, `compare`, `gate` and `baseline`: a page of runs, two runs, a verdict, saved reference runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from viubench.cli import files
from viubench.errors import Exit, ViubenchError

app = typer.Typer(no_args_is_help=True, help="Save a run as the reference run that later runs are gated against.")
Dir = Annotated[Path, typer.Option("--dir", help="Folder of the saved reference runs.")]

IN_PAGE = 12
"""Samples that turned in the page, of each task and direction, unless --flips is given."""

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable that names the file a GitHub workflow step shows as its summary."""


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[Path, typer.Option(help="The file.")] = Path("leaderboard.html"),
    format: Annotated[  # noqa: A002
        list[str],
        typer.Option(help="html, md, latex, csv, xlsx or json, by default told by --out; repeatable, a file each."),
    ] = [],  # noqa: B006
    training: Annotated[list[Path], typer.Option(help="A training folder, for its curves; repeatable.")] = [],  # noqa: B006
) -> None:
    """Write an HTML leaderboard that opens from disk, or its table alone, and print it; unfinished runs are left
    out."""
    from reports.pages import leaderboard_page
    from reports.tables import table_files
    from viubench.cli.progress import logged
    from viubench.tasks.registry import Catalogue

    paths = table_files.paths(out, format)
    for path in paths.values():
        files.check({"--out": path})
    with logged():
        print(leaderboard_page.write(runs, paths, Catalogue().references, trainings=training))
    for path in paths.values():
        print(path.resolve())


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Run folder of the earlier model, or a saved reference.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Run folder of the later model.")],
    html: Annotated[Path | None, typer.Option(help="Write a page there, with the samples that turned.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything there as JSON.")] = None,
    flips: Annotated[
        int | None,
        typer.Option(min=0, max=200, help="Samples that turned to show, of each task and direction."),
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Leave out the tasks that only one of the runs has.")
    ] = False,
) -> None:
    """Compare run B with run A: what changed, whether it is significant, on which samples; exit 4: not comparable."""
    from reports.ci import comparison
    from reports.html.escape import one_line
    from reports.pages import comparison_page
    from viubench.comparison.pair import Side, compare_runs
    from viubench.comparison.report import LEVEL, largest
    from viubench.comparison.report import flips as all_flips
    from viubench.comparison.report import report as full_report

    files.check({"--html": html, "--json": json})
    sides = Side.read(a), Side.read(b)
    differences = compare_runs(*sides, level=LEVEL, common=common)
    turned = all_flips(differences.tasks.values())
    result = full_report(*sides, differences, turned)
    print(comparison.text(result))
    if flips:
        print("\n" + "\n".join(comparison.flip_lines(largest(turned, flips, (a, b)), len(turned), (a, b))))
    if json is not None:
        files.write(json, result.model_dump_json(by_alias=True, indent=1) + "\n", "--json", parents=True)
    if html is not None:
        page = comparison_page.render(sides, differences, result, turned, per_task=IN_PAGE if flips is None else flips)
        files.write(html, page, "--html", parents=True)
        print(one_line(str(html.resolve())))


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
    from reports.ci.gate import markdown, text
    from reports.ci.github import commands
    from reports.ci.junit import junit as xml
    from reports.html.escape import one_line
    from viubench.api.compare import gate as judge
    from viubench.api.compare import gate_config

    settings = gate_config(config)
    report = judge(baseline, candidate, settings.model_copy(update={"report_only": True}) if report_only else settings)
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
    raise typer.Exit(report.exit_code)


@app.command()
def save(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    name: Annotated[str, typer.Option(help="Name to use with `viubench gate --baseline`.")],
    folder: Dir = Path("baselines"),
    replace: Annotated[bool, typer.Option("--replace", help="Replace the one saved under that name.")] = False,
    max_errors: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of media and engine errors that a task may have.")
    ] = 0.01,
) -> None:
    """Save a run: its manifest, results and reduced records, with their hashes."""
    from reports.ci.baselines import one
    from viubench.comparison.gate import gate
    from viubench.schema import GateConfig
    from viubench.storage import reference_run

    report = gate(run, run, GateConfig(max_errors=max_errors))  # what does not compare with itself can be no reference
    if report.verdict == "error":
        fault = report.faults[0]
        raise ViubenchError(f"{run} cannot be a reference run: {fault}", where=str(run), exit_code=Exit.INVALID_RUN)
    saved = reference_run.save(run, name, folder, replace=replace)
    print(one(saved))
    print(saved)


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="One reference run; by default a line of each.")] = None,
    folder: Dir = Path("baselines"),
) -> None:
    """Check the hashes of saved reference runs, and show what they hold."""
    from reports.ci.baselines import every, one
    from viubench.comparison.pair import Side
    from viubench.storage import reference_run

    if name is not None:
        path = reference_run.find(name, folder)
        Side.read(path)  # refuses one that was changed
        print(one(path))
        return
    known = reference_run.names(folder)
    if not known:
        raise ViubenchError(
            f"there is no saved reference run in {folder}", where="--dir", hint="save one with viubench baseline save"
        )
    print(every([folder / name for name in known]))
    if any(reference_run.changes(folder / name) for name in known):
        raise typer.Exit(Exit.INVALID_RUN)
