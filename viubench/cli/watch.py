"""`viubench watch`: evaluate the checkpoints of a training as they appear, gate them, and redraw their curve."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from viubench.cli.run import (
    DataRoot,
    Deterministic,
    EngineArgs,
    Fps,
    FrameCache,
    Frames,
    Include,
    Limit,
    MaxErrors,
    MaxPixels,
    Protocol,
    Replicas,
    Tasks,
    Videos,
    Workers,
)
from viubench.errors import ViubenchError


def register(app: typer.Typer) -> None:
    app.command("watch")(watch)


def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder in which checkpoints appear.")],
    tasks: Tasks,
    out: Annotated[Path | None, typer.Option(help="History, page and runs; DIR/watch by default.")] = None,
    engine: Annotated[str | None, typer.Option(help="As for viubench run; vllm where installed, else hf.")] = None,
    engine_arg: EngineArgs = [],  # noqa: B006
    replicas: Replicas = None,
    deterministic: Deterministic = False,
    videos: Videos = None,
    data_root: DataRoot = None,
    protocol: Protocol = None,
    frames: Frames = None,
    fps: Fps = None,
    max_pixels: MaxPixels = None,
    limit: Limit = None,
    seed: Annotated[int, typer.Option(help="Seed of the items.")] = 0,
    frame_cache: FrameCache = None,
    workers: Workers = 2,
    include_path: Include = [],  # noqa: B006
    max_errors: MaxErrors = 0.01,
    gate: Annotated[str | None, typer.Option(help="Reference run: a folder, or the name of a saved one.")] = None,
    config: Annotated[Path | None, typer.Option(help="gate.yaml: margins, alpha, informational tasks.")] = None,
    on_regression: Annotated[str | None, typer.Option(help="Command to run when the gate says regress.")] = None,
    training: Annotated[Path | None, typer.Option(help="Training folder, for its reward; DIR by default.")] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds without a change until a checkpoint counts.")] = 10.0,
    poll: Annotated[float, typer.Option(min=0.05, help="Seconds between two scans of DIR.")] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="Evaluate what is there, exit with the gate's code.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only a line for each checkpoint.")] = False,
) -> None:
    """Evaluate every checkpoint that appears in DIR, each once, and draw its curve."""
    from viubench.cli.watch_output import Printer, resumable
    from viubench.watch.history import History
    from viubench.watch.loop import WatchLoop
    from viubench.watch.reference import Reference, exit_code
    from viubench.watch.scheduler import Scheduler

    if not folder.is_dir():
        raise ViubenchError(f"no such folder: {folder}", where="DIR", hint="create it, or start the training first")
    given = {
        "--tasks": str(Path(tasks).resolve()) if Path(tasks).is_dir() else tasks,
        "--engine": engine,
        "--videos": videos and videos.resolve(),
        "--data-root": data_root and data_root.resolve(),
        "--protocol": protocol,
        "--frames": frames,
        "--fps": fps,
        "--max-pixels": max_pixels,
        "--limit": limit,
        "--seed": seed,
        "--max-errors": max_errors,
    }
    options = _words(given) + [f"--engine-arg={pair}" for pair in engine_arg] + ["--deterministic"] * deterministic
    options += [f"--include-path={path.resolve()}" for path in include_path]
    more = _words({"--workers": workers, "--frame-cache": frame_cache, "--replicas": replicas})
    reference = Reference.load(gate, config) if gate is not None else None
    command = parse_command(on_regression, gate)
    with History.open(out or folder / "watch") as history, resumable():
        scheduler = Scheduler(folder, history, options, settle=settle, max_errors=max_errors)
        loop = WatchLoop(scheduler, more, reference, command, Printer(scheduler, training, quiet))
        loop.run(poll, once=once)
        raise typer.Exit(exit_code(history.latest()) if reference else 0)


def parse_command(command: str | None, gate: str | None) -> list[str]:
    """The words of `--on-regression`, empty without one.

    Raises:
        ViubenchError: there is no gate, no such program, or a quote that does not close.
    """
    if command is None:
        return []
    where = "--on-regression"
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ViubenchError(f"the command cannot be parsed: {error}", where=where) from None
    if gate is None:
        raise ViubenchError("without a gate nothing regresses", where=where, hint="name a reference run with --gate")
    if not words or shutil.which(words[0]) is None:
        raise ViubenchError(
            f"no such program: {words[0] if words else command!r}",
            where=where,
            hint="it runs without a shell: for pipes and variables, use sh -c '...'",
        )
    return words


def _words(given: Mapping[str, object]) -> list[str]:
    """Options that have a value, as words of a command line."""
    return [part for name, value in given.items() if value is not None for part in (name, str(value))]
