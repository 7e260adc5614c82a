"""`viubench engines`: what can answer, and the arguments of each.

Example:
    viubench engines show server
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from viubench.cli.examples import shown
from viubench.cli.listing import Json, print_json
from viubench.errors import ViubenchError

app = typer.Typer(no_args_is_help=True, help="List the engines, and show what --engine-arg takes.")


@app.command("list", epilog=shown("engines list"))
def list_(*, json: Json = False) -> None:
    """Every engine: what it is, and whether it can be used here."""
    from reports.tables.terminal import table
    from viubench import engines
    from viubench.engines.base import CheckpointEngine

    rows = []
    for name in engines.names():
        try:
            engine = engines.load(name)
            what = (engine.__doc__ or "").strip().split("\n")[0]
            missing = engine.missing() if issubclass(engine, CheckpointEngine) else None
            lacks = f"{missing} is not installed" if missing else ""
        except ViubenchError as error:
            what, lacks = "", str(error)
        rows.append({"engine": name, "what": what, "usable": lacks or "yes"})
    if json:
        print_json(rows)
    else:
        print(table([list(row.values()) for row in rows], list(rows[0]), ["left"] * 3))


@app.command(epilog=shown("engines show"))
def show(name: Annotated[str, typer.Argument(help="As --engine takes it.")], *, json: Json = False) -> None:
    """The arguments of one engine, with the type of each or the texts it may be."""
    from reports.tables.terminal import table
    from viubench import engines

    engine = engines.load(name)
    try:
        known = engine.arguments()
    except ImportError as error:
        raise ViubenchError(f"the arguments of {name} are its library's, which cannot be imported: {error}") from None
    rows = {argument: _kind(kind) for argument, kind in sorted(known.items()) if argument[0] != "_"}
    if json:
        print_json(rows)
    elif rows:
        print(table([list(row) for row in rows.items()], ["--engine-arg", "takes"], ["left"] * 2))
    else:
        print(f"{name} takes no arguments")


def _kind(kind: Any) -> str:
    texts = kind if isinstance(kind, tuple) else get_args(kind) if get_origin(kind) is Literal else ()
    if texts:
        return ", ".join(map(str, texts))
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
