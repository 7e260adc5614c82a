"""`viubench tasks`: the catalogue, one resolved task, and the proof that tasks grade as they should."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.errors import Exit

app = typer.Typer(no_args_is_help=True, help="Look at tasks, and prove that they grade as they should.")
Include = Annotated[list[Path], typer.Option("--include-path", help="More folders with task YAML files.")]


@app.command("list")
def list_(include_path: Include = []) -> None:  # noqa: B006
    """Every suite and task."""
    from tabulate import tabulate

    from viubench.tasks import Catalogue

    catalogue = Catalogue(tuple(include_path))
    rows = [
        [suite.suite, "suite", f"{len(suite.tasks)} tasks", suite.description] for suite in catalogue.suites.values()
    ]
    for name in catalogue.task_files:
        task = catalogue.task(name)
        rows.append([name, task.domain, task.metric, task.description])
    print(tabulate(rows, ["name", "domain", "metric", "description"]))


@app.command()
def show(name: str, include_path: Include = []) -> None:  # noqa: B006
    """One task, includes resolved, as YAML."""
    import yaml

    from viubench.tasks import Catalogue

    task = Catalogue(tuple(include_path)).task(name)
    print(yaml.safe_dump(task.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100).rstrip())


@app.command()
def validate(
    names: Annotated[list[str] | None, typer.Argument(help="Tasks or YAML files; all when none is named.")] = None,
    include_path: Include = [],  # noqa: B006
) -> None:
    """Grade a true answer (must be 1), a wrong one (below 1) and junk (unparsed) for every task."""
    from viubench.cli.validation import check_all
    from viubench.tasks import Catalogue

    faults = check_all(names or [], Catalogue(tuple(include_path)))
    raise typer.Exit(Exit.NEGATIVE if faults else Exit.OK)
