"""`viubench watch`: evaluate the checkpoints of a training as they appear, gate them, and redraw their curve."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from viubench.cli.run import takes
from viubench.errors import ViubenchError

PROTOCOL_OPTIONS = "max_tokens temperature top_p top_k samples system thinking"

RESULT_OPTIONS = (
    f"tasks engine videos data_root protocol frames fps max_pixels limit seed max_errors {PROTOCOL_OPTIONS} base_model"
)
"""Options that change a score, in the order in which the history holds them."""


@takes(
    "track tasks base_model engine_arg replicas deterministic videos data_root protocol frames fps max_pixels "
    f"{PROTOCOL_OPTIONS} set limit frame_cache workers include_path max_errors"
)
def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder in which checkpoints appear.")],
    *,
    out: Annotated[Path | None, typer.Option(help="History, page and runs; DIR/watch by default.")] = None,
    engine: Annotated[str | None, typer.Option(help="As for viubench run; vllm where installed, else hf.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the items.")] = 0,
    gate: Annotated[str | None, typer.Option(help="Reference run: a folder, or the name of a saved one.")] = None,
    config: Annotated[Path | None, typer.Option(help="gate.yaml: margins, alpha, informational tasks.")] = None,
    on_regression: Annotated[str | None, typer.Option(help="Command to run when the gate says regress.")] = None,
    training: Annotated[Path | None, typer.Option(help="Training folder, for its reward; DIR by default.")] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds without a change until a checkpoint counts.")] = 10.0,
    poll: Annotated[float, typer.Option(min=0.05, help="Seconds between two scans of DIR.")] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="Evaluate what is there, exit with the gate's code.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only a line for each checkpoint.")] = False,
    **options: Any,
) -> None:
    """Evaluate every checkpoint that appears in DIR, each once, and draw its curve."""
    from viubench.cli.watch_output import Printer, resumable, warn
    from viubench.system.tracking import Tracker
    from viubench.watch.history import History
    from viubench.watch.loop import WatchLoop
    from viubench.watch.reference import Reference, exit_code
    from viubench.watch.scheduler import Scheduler

    if not folder.is_dir():
        raise ViubenchError(f"no such folder: {folder}", where="DIR", hint="create it, or start the training first")
    tasks, max_errors = options["tasks"], options["max_errors"]
    given = options | {
        "tasks": Path(tasks).resolve() if Path(tasks).exists() else tasks,
        "engine": engine,
        "seed": seed,
    }
    given |= {name: given[name] and given[name].resolve() for name in ("videos", "data_root")}
    if (base_model := options["base_model"]) and Path(base_model).is_dir():
        given["base_model"] = base_model = str(Path(base_model).resolve())
    words = _words(given, RESULT_OPTIONS) + [f"--engine-arg={pair}" for pair in options["engine_arg"]]
    words += [f"--set={pair}" for pair in options["set"]]
    words += ["--deterministic"] * options["deterministic"]
    words += [f"--include-path={path.resolve()}" for path in options["include_path"]]
    more = _words(given, "workers frame_cache replicas")
    reference = Reference.load(gate, config) if gate is not None else None
    command = parse_command(on_regression, gate)
    to = out or folder / "watch"
    facts = {"folder": str(folder.resolve()), "options": words}
    with (
        Tracker.open(
            options["track"], to, lambda: facts, called=f"watch-{folder.resolve().name}", warn=warn
        ) as tracker,
        History.open(to) as history,
        resumable(),
    ):
        scheduler = Scheduler(folder, history, words, settle=settle, max_errors=max_errors, base_model=base_model)
        loop = WatchLoop(scheduler, more, reference, command, Printer(scheduler, training, quiet, tracker))
        loop.run(poll, once=once)
        raise typer.Exit(exit_code(history.latest()) if reference else 0)


def parse_command(command: str | None, gate: str | None) -> list[str]:
    """The words of `--on-regression`, empty without one; raises ViubenchError where there is no gate or no such
    program, or a quote does not close."""
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


def _words(given: Mapping[str, object], names: str) -> list[str]:
    """Options that have a value, as words of a command line."""
    values = {f"--{name.replace('_', '-')}": given[name] for name in names.split()}
    return [part for name, value in values.items() if value is not None for part in (name, str(value))]
