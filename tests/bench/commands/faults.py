"""`python -m tests.bench faults`: runs under random schedules of faults, which must end as one that met none.

Example:
    python -m tests.bench faults --runs 200 --seed 0 --json faults.json
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from viubench.errors import Exit


def faults(
    runs: Annotated[int, typer.Option(min=1, help="Schedules, of one to four faults each.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Schedule i is drawn from SEED/i.")] = 0,
    only: Annotated[str | None, typer.Option(help="One kind of fault, or how some begin, as 'server'.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the schedules and their ends there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Kill, fill, damage and starve runs, start them again, and compare their results: exit 1 where one differs."""
    from tests.bench import machine
    from tests.bench.faults import campaign, tally
    from viubench.cli.progress import bar

    signal.pthread_sigmask(
        signal.SIG_UNBLOCK, {signal.SIGINT}
    )  # in the background it is held back, as in what we start
    with bar("schedules", quiet=quiet) as progress:
        rows = campaign.run(runs, seed, only, progress)
    print(printed := tally.table(rows))
    for line in tally.broken(rows):
        print(line)
    machine.write(json, rows, printed)
    raise typer.Exit(Exit.NEGATIVE if tally.broken(rows) else Exit.OK)
