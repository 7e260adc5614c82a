"""`viubench merge`: the shards of `viubench run --shard I/N` as one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.cli.run import MaxErrors
from viubench.errors import Exit


def merge(
    shards: Annotated[list[Path], typer.Argument(help="Folders of all shards of a run.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder: new, or merged before.")],
    max_errors: MaxErrors = 0.01,
) -> None:
    """Make one run of its finished shards, with the results of a run that was never split, and print the table."""
    import viubench
    from reports.html.escape import clean
    from viubench.cli.progress import logged, warn
    from viubench.cli.tables import results_table

    with logged():
        run = viubench.merge(shards, out, max_errors=max_errors)
    print(clean(results_table(run.results)))
    for line in filter(None, (run.unanswered(), run.invalid())):
        warn(line)
    raise typer.Exit(Exit.OK if run.valid else Exit.INVALID_RUN)
