"""`viubench view`: a viewer of runs, their samples, trainings and watches, served on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.errors import ViubenchError


def view(
    runs: Annotated[list[Path], typer.Argument(help="Run, training and watch folders, or folders of them.")],
    host: Annotated[str, typer.Option(help="Address to listen at; others reach any but this machine's own.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for any that is free.")] = 0,
    videos: Annotated[
        list[Path], typer.Option(help="Folder of the videos, where it is not the one of the run; repeatable.")
    ] = [],  # noqa: B006
    frame_cache: Annotated[Path | None, typer.Option(help="Folder of decoded frames; as for viubench run.")] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open the address in a browser.")] = False,
) -> None:
    """Look at runs in a browser, whole and while they are going: samples, frames, answers, comparisons, trainings.

    Nothing is written. The address that is printed holds a token; without it nothing is shown. Ctrl-C ends it.
    """
    from viubench.cli.progress import warn

    try:
        from reports.server.serve import is_loopback, serve
    except ImportError as error:
        if (error.name or "").split(".")[0] not in ("starlette", "uvicorn"):
            raise
        hint = "pip install 'viubench[view]'"
        raise ViubenchError(f"the viewer needs a library that is not installed: {error.name}", hint=hint) from None
    if not is_loopback(host):
        warn(f"others who can reach {host} and get the address can read these runs; the traffic is not encrypted")

    def opened(address: str) -> None:
        print(address, flush=True)
        if browser:
            import webbrowser

            webbrowser.open(address)

    serve(runs, host=host, port=port, videos=videos, cache=frame_cache, opened=opened)
