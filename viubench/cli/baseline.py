"""`viubench baseline`: keep what the gate needs of a run in a folder to commit, and look at what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.errors import Exit, ViubenchError

app = typer.Typer(no_args_is_help=True, help="Keep a run as the baseline that later runs are gated against.")
Dir = Annotated[Path, typer.Option("--dir", help="Folder of the baselines.")]


@app.command()
def save(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    name: Annotated[str, typer.Option(help="What the gate is to call it.")],
    folder: Dir = Path("baselines"),
    replace: Annotated[bool, typer.Option("--replace", help="Save over the baseline of that name.")] = False,
    max_errors: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of media and engine errors that a task may have.")
    ] = 0.01,
) -> None:
    """Save a run: its manifest, results and reduced records, with their hashes."""
    from reports.ci.baselines import one
    from viubench.comparison.gate import gate
    from viubench.schema import GateConfig
    from viubench.storage import reference_run

    report = gate(run, run, GateConfig(max_errors=max_errors))  # what cannot be set beside itself can be no baseline
    if report.verdict == "error":
        fault = report.faults[0]
        raise ViubenchError(f"{run} cannot be a baseline: {fault}", where=str(run), exit_code=Exit.INVALID_RUN)
    saved = reference_run.save(run, name, folder, replace=replace)
    print(one(saved))
    print(saved)


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="One baseline; a line of each when none is named.")] = None,
    folder: Dir = Path("baselines"),
) -> None:
    """Check the hashes of saved baselines, and say what they hold."""
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
        raise ViubenchError(f"there is no baseline in {folder}", where="--dir", hint="viubench baseline save makes one")
    print(every([folder / name for name in known]))
    if any(reference_run.changes(folder / name) for name in known):
        raise typer.Exit(Exit.INVALID_RUN)
