"""`viubench import` and `viubench explain-difference`: other harnesses' files as runs, and why scores differ."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from viubench.cli import files
from viubench.cli.run import arguments, pairs, takes
from viubench.errors import Exit

SHOWN = 20


@takes("tasks out videos data_root fresh include_path max_errors quiet")
def import_command(
    *,
    answers: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files of another harness.")],
    model: Annotated[str | None, typer.Option(help="Name to show; what the files say by default.")] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(help="lmms-eval, lm-eval, vlmevalkit, evalscope, qwen, inspect or columns; told by the content."),
    ] = None,
    column: Annotated[
        list[str], typer.Option(help="Of a plain table, response=NAME, id=NAME, question=NAME ...; repeatable.")
    ] = [],  # noqa: B006
    rule: Annotated[list[str], typer.Option(help="A published rule beside the task's own; repeatable.")] = [],  # noqa: B006
    partial: Annotated[
        bool, typer.Option("--partial", help="Keep only the questions that are answered; else the others are wrong.")
    ] = False,
    samples: Annotated[Path | None, typer.Option(help="Item rows the answers belong to (items.jsonl).")] = None,
    seed: Annotated[int, typer.Option(help="Seed the items were built with.")] = 0,
    **options: Any,
) -> None:
    """Import answers of lmms-eval, lm-eval, VLMEvalKit, evalscope, Qwen's scripts or Inspect, or a plain table."""
    import viubench
    from reports.html.escape import clean
    from viubench.cli.import_tables import matching_lines
    from viubench.cli.progress import stages, warn
    from viubench.cli.tables import results_table

    options = arguments(options)
    with stages(quiet=options.pop("quiet")) as progress:
        run = viubench.import_answers(
            answers, **options, model=model, format=format, columns=pairs(column, "--column"), rules=rule,
            partial=partial, samples=samples, seed=seed, progress=progress, argv=["viubench", *sys.argv[1:]],
        )  # fmt: skip
    if run.manifest.imported is not None:
        for line in matching_lines(run.manifest.imported):
            print(clean(line))
    print(clean(results_table(run.results)))
    if line := run.unanswered():
        warn(line)
    raise typer.Exit(Exit.OK if run.valid else Exit.INVALID_RUN)


def explain_difference(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    rule: Annotated[str | None, typer.Option(help="The published rule to compare with; the task's first one.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every difference there as CSV.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything there as JSON.")] = None,
    show: Annotated[int, typer.Option(min=0, help="Differences to print.")] = SHOWN,
) -> None:
    """List why the strict score, a published rule and the score in an imported file differ, sample by sample."""
    from json import dumps

    import viubench
    from reports.html.escape import clean
    from viubench.cli.import_tables import differences_text
    from viubench.imports.explaining import as_json

    found = viubench.explain_difference(run, rule)
    print(clean(differences_text(found, show)))
    if csv is not None:
        files.write(csv, found.to_frame().to_csv(index=False), "--csv", parents=True)
    if json is not None:
        files.write(json, dumps(as_json(found), indent=1, ensure_ascii=False) + "\n", "--json", parents=True)
