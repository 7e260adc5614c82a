"""`viubench report`: run folders to one self-contained page, and the same table in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[Path, typer.Option(help="The page.")] = Path("leaderboard.html"),
    training: Annotated[list[Path], typer.Option(help="A training folder, for its curves; repeatable.")] = [],  # noqa: B006
) -> None:
    """Write an HTML leaderboard that opens from disk, and print its table."""
    from reports.pages import leaderboard_page
    from viubench.tasks.registry import Catalogue

    print(leaderboard_page.write(runs, out, Catalogue().references, trainings=training))
    print(out.resolve())
