"""`viubench baseline`: save a run as a reference run to commit, and show the saved ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.errors import Exit, ViubenchError

app = typer.Typer(no_args_is_help=True, help="Save a run as the reference run that later runs are gated against.")
Dir = Annotated[Path, typer.Option("--dir", help="Folder of the saved reference runs.")]


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
        raise ViubenchError(f"{run} cannot be a baseline: {fault}", where=str(run), exit_code=Exit.INVALID_RUN)
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
        raise ViubenchError(f"there is no baseline in {folder}", where="--dir", hint="viubench baseline save makes one")
    print(every([folder / name for name in known]))
    if any(reference_run.changes(folder / name) for name in known):
        raise typer.Exit(Exit.INVALID_RUN)
