"""`viubench judge`: `viubench.judge` for one judge or several, with bars and a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from viubench.cli.run import arguments, takes
from viubench.errors import Exit


@takes(
    "engine replicas base_url max_tokens temperature system thinking set engine_arg max_errors fresh seed quiet debug"
)
def judge(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    *,
    judge: Annotated[
        list[str], typer.Option("--judge", help="Checkpoint folder, hub id, served name or URL; repeatable.")
    ] = [],  # noqa: B006
    checks: Annotated[
        int, typer.Option(min=0, help="Answers of each task to compare with the rules, ask swapped, and ask again.")
    ] = 0,
    labels: Annotated[
        Path | None, typer.Option(help='Lines {"id": ..., "label": ...} to compare the verdicts with.')
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="File with a template of the question in place of ours, or: published.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of verdicts that all runs share.")] = None,
    **options: Any,
) -> None:
    """Have a language model judge what rules cannot read in a finished run; the rules' score stays beside it."""
    import viubench
    from reports.html.escape import clean
    from viubench.cli.progress import stages, warn
    from viubench.cli.tables import judged_table

    options = arguments(options) | {"checks": checks, "labels": labels, "prompt": prompt, "cache": cache}
    with stages(quiet=options.pop("quiet")) as progress:
        options |= {"progress": progress, "argv": ["viubench", *sys.argv[1:]]}
        done = [viubench.judge(run, model, **options) for model in judge or (None,)]
    for one in done:
        print(clean(judged_table(one)))
        for task, found in one.tasks.items():
            if found.errors:
                faults = ", ".join(f"{fault} {n}" for fault, n in found.errors.items())
                warn(f"{task}: no verdict on {found.judge_errors} answers ({faults}); see {run}/judges/{one.judge}")
    worst = max(one.error_share for one in done)
    raise typer.Exit(Exit.OK if worst <= options["max_errors"] else Exit.INVALID_RUN)
