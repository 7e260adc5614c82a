"""`viubench audit`: what in questions and their videos gives answers away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from viubench.cli import files
from viubench.cli.run import arguments, takes
from viubench.errors import Exit

if TYPE_CHECKING:
    from viubench.schema.audit import AuditReport


@takes("videos data_root limit frame_cache follow_links workers include_path columns answer_kind quiet")
def audit(
    sets: Annotated[
        list[str],
        typer.Argument(help="Item folders, files of questions, tasks (as --tasks takes them), or folders of videos."),
    ],
    *,
    json: Annotated[Path | None, typer.Option(help="Write everything there as JSON.")] = None,
    **options: Any,
) -> None:
    """Look for duplicates, unbalanced answers and leaks by names, metadata, compression or clocks; exit 1: a fault."""
    import viubench
    from reports.html.escape import clean
    from viubench.cli.progress import stages
    from viubench.runner.config import Progress

    files.check({"--json": json})
    options = arguments(options)
    with stages(quiet=options.pop("quiet")) as progress:
        report = viubench.audit_questions(
            sets, update=lambda done, total: progress(Progress("reading videos", done, total)), **options
        )
    print(clean(text(report)))
    if json is not None:
        files.write(json, report.model_dump_json(indent=1) + "\n", "--json", parents=True)
    raise typer.Exit(Exit.NEGATIVE if report.faults else Exit.OK)


def text(report: AuditReport) -> str:
    """A line a check, then the examples of each fault and suspect, and what could not be read."""
    from reports.tables.terminal import table

    rows = [[one.check, one.where, one.verdict, one.reason] for one in report.findings]
    lines = [f"{report.questions} questions, {report.videos} videos"]
    lines.append(table(rows, ["check", "of", "verdict", "reason"], ["left"] * 4))
    for fault in report.shown:
        lines += [f"{fault.check}, {fault.where}:", *(f"  {example}" for example in fault.examples)]
    lines += [f"not read: {reason}" for reason in list(report.unreadable.values())[:10]]
    return "\n".join(lines)
