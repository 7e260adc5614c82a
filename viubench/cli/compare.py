"""`viubench compare`: two runs of the same items, sample by sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.cli import files

IN_PAGE = 12
"""Samples that turned in the page, of each task and direction, unless --flips is given."""


def register(app: typer.Typer) -> None:
    app.command("compare")(compare)


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
    from viubench.comparison.report import LEVEL, largest, report
    from viubench.comparison.report import flips as all_flips

    sides = Side.read(a), Side.read(b)
    differences = compare_runs(*sides, level=LEVEL, common=common)
    turned = all_flips(differences.tasks.values())
    result = report(*sides, differences, turned)
    print(comparison.text(result))
    if flips:
        print("\n" + "\n".join(comparison.flip_lines(largest(turned, flips, (a, b)), len(turned), (a, b))))
    if json is not None:
        files.write(json, result.model_dump_json(by_alias=True, indent=1) + "\n", "--json", parents=True)
    if html is not None:
        page = comparison_page.render(sides, differences, result, turned, per_task=IN_PAGE if flips is None else flips)
        files.write(html, page, "--html", parents=True)
        print(one_line(str(html.resolve())))
