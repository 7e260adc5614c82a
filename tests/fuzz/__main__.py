"""`python -m tests.fuzz TARGET`: inputs for one target, guided by coverage where atheris is installed.

Example:
    python -m tests.fuzz yaml_files --runs 100000
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from tests.fuzz import loop

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def fuzz(
    target: Annotated[str, typer.Argument(help=", ".join(loop.TARGETS))],
    runs: Annotated[int, typer.Option(help="Inputs; -1 for no limit.")] = -1,
    seconds: Annotated[int, typer.Option(help="0 for no limit.")] = 0,
    corpus: Annotated[Path | None, typer.Option(help="Folder that keeps what was new, for the next time.")] = None,
    seed: Annotated[int, typer.Option(help="Of a plain run.")] = 0,
    plain: Annotated[bool, typer.Option("--plain", help="Drawn from the seeds alone, without coverage.")] = False,
) -> None:
    """Run a target on many inputs; an exit code above 0 is a fault, and the input is kept."""
    if target not in loop.TARGETS:
        raise typer.BadParameter(f"no such target: {target}", param_hint=", ".join(loop.TARGETS))
    if plain or importlib.util.find_spec("atheris") is None:
        most = runs if runs >= 0 else 10**18
        print(loop.plain(target, most, seed, float(seconds or "inf"), loop.SLOW_S), "inputs of", target)
        return
    if corpus is not None:
        corpus.mkdir(parents=True, exist_ok=True)
    loop.guided(target, runs, seconds, corpus)


if __name__ == "__main__":
    app()
