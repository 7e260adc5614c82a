"""`viubench report`, `compare` and `baseline`: a page of runs, two runs, saved reference runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from viubench.cli import files
from viubench.cli.examples import shown
from viubench.cli.listing import Json, print_json
from viubench.errors import Exit, ViubenchError

if TYPE_CHECKING:
    from viubench.schema.across import AcrossReport

app = typer.Typer(no_args_is_help=True, help="Save a run as the reference run that later runs are gated against.")
Dir = Annotated[Path, typer.Option("--dir", help="Folder of the saved reference runs.")]

IN_PAGE = 12
"""Samples that turned in the page, of each task and direction, unless --flips is given."""


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
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="A B", help="Run folders: the earlier model or saved reference, the later."),
    ],
    across: Annotated[
        bool, typer.Option("--across", help="Runs of the same items under several settings; two or more.")
    ] = False,
    margin: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="With --across: a loss that does not matter; 0.02 is two points.")
    ] = 0.02,
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
    from viubench.api.compare import compare_across
    from viubench.comparison.pair import Side, compare_runs, refuse_twice
    from viubench.comparison.report import LEVEL, largest
    from viubench.comparison.report import flips as all_flips
    from viubench.comparison.report import report as full_report

    files.check({"--html": html, "--json": json})
    if across:
        show_across(compare_across(runs, margin=margin, common=common), html, json)
        return
    if len(runs) != 2:
        hint = "several settings of one model are compared with: viubench compare --across RUN RUN RUN"
        raise ViubenchError(f"two runs are compared, {len(runs)} were named", where="compare", hint=hint)
    refuse_twice(runs, "compare")
    a, b = runs
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


def show_across(found: AcrossReport, html: Path | None, json: Path | None) -> None:
    """Print the table of several settings, and write the page and the data."""
    from reports.ci.across import text
    from reports.html.escape import one_line

    print(text(found))
    if json is not None:
        files.write(json, found.model_dump_json(by_alias=True, indent=1) + "\n", "--json", parents=True)
    if html is not None:
        from reports.pages import across_page

        files.write(html, across_page.render(found), "--html", parents=True)
        print(one_line(str(html.resolve())))


@app.command(epilog=shown("baseline save"))
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


@app.command(epilog=shown("baseline show"))
def show(
    name: Annotated[str | None, typer.Argument(help="One reference run; by default a line of each.")] = None,
    folder: Dir = Path("baselines"),
    json: Json = False,
) -> None:
    """Check the hashes of saved reference runs, and show what they hold."""
    from reports.ci.baselines import about, every, one
    from viubench.comparison.pair import Side
    from viubench.storage import reference_run

    if name is not None:
        path = reference_run.find(name, folder)
        Side.read(path)  # refuses one that was changed
        if json:
            print_json(about(path))
        else:
            print(one(path))
        return
    known = reference_run.names(folder)
    if not known:
        raise ViubenchError(
            f"there is no saved reference run in {folder}", where="--dir", hint="save one with viubench baseline save"
        )
    paths = [folder / name for name in known]
    if json:
        print_json([about(path) for path in paths])
    else:
        print(every(paths))
    if any(reference_run.changes(folder / name) for name in known):
        raise typer.Exit(Exit.INVALID_RUN)
