"""`viubench equate`: whether two item sets of one recipe are alike, so that scores on them can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from viubench.cli import files
from viubench.errors import Exit

if TYPE_CHECKING:
    from viubench.schema.equating import EquatingReport


def equate(
    a: Annotated[Path, typer.Argument(help="Folder of built items.")],
    b: Annotated[Path, typer.Argument(help="Another one, of the same recipe.")],
    run: Annotated[
        list[Path], typer.Option(help="Run folder of a model on one of the sets; one of each set; repeatable.")
    ] = [],  # noqa: B006
    json: Annotated[Path | None, typer.Option(help="Write everything there as JSON.")] = None,
) -> None:
    """Test whether two item sets are alike: ids, true answers, baselines, parameters, common models; exit 1: not."""
    from reports.html.escape import clean
    from viubench.api import equate as api

    files.check({"--json": json})
    report = api.equate(a, b, run)
    print(clean(text(report)))
    if json is not None:
        files.write(json, report.model_dump_json(by_alias=True, indent=1) + "\n", "--json", parents=True)
    raise typer.Exit(Exit.OK if report.alike else Exit.NEGATIVE)


def text(report: EquatingReport) -> str:
    """The comparison for the terminal."""
    from reports.html.format import p_value, percent, points, points_interval
    from reports.tables.terminal import table

    checks = [(c.task, c.what, f"{c.a:g}", f"{c.b:g}", f"{c.distance:.3f}", p_value(c.holm)) for c in report.checks]
    rows: list[tuple[str, ...]] = [
        (r.task, r.row, percent(r.a), percent(r.b), points(r.b - r.a), points_interval(r.ci)) for r in report.baselines
    ]
    rows += [
        (m.task, m.model, percent(m.a), percent(m.b), points(m.b - m.a), points_interval(m.ci)) for m in report.models
    ]
    parts = [
        f"{report.items[0]:,} and {report.items[1]:,} items, {report.shared} ids in both; true answers score "
        f"{percent(report.oracle[0])} and {percent(report.oracle[1])} %",
        table(checks, ["task", "parameter", "mean a", "mean b", "distance", "p, Holm"], ["left"] * 2 + ["right"] * 4),
        table(rows, ["task", "row", "a", "b", "b - a", "interval"], ["left"] * 2 + ["right"] * 4),
    ]
    parts += [
        f"{link.task}: {link.models} common models score {points(link.shift)} on b ({points_interval(link.ci)})"
        for link in report.links
    ]
    parts.append("; ".join(report.reasons) or f"nothing sets them apart at {report.alpha:g}")
    return "\n\n".join(parts)
