"""The command line: `viubench COMMAND`. A file per group of commands; heavy imports happen inside a command.

Example:
    viubench run --model Qwen/Qwen3-VL-8B-Instruct --tasks viubench --videos clips --out runs/qwen3-vl-8b
"""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer
from typer.main import get_command

from viubench.cli import (
    audit,
    build,
    comparison,
    data,
    doctor,
    engines,
    equate,
    export,
    frontier,
    gate,
    imports,
    judge,
    merge,
    probe,
    probe_data,
    protocols,
    rerun,
    run,
    sweep,
    tasks,
    train,
    view,
    watch,
)
from viubench.cli.ending import ended_in_order, failed
from viubench.cli.examples import shown
from viubench.cli.progress import warn
from viubench.cli.streams import use_droppable
from viubench.cli.typed import typed
from viubench.errors import ViubenchError
from viubench.storage import environment
from viubench.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Evaluate video-understanding models: trusted numbers, fast, with the reasons behind them.",
    rich_markup_mode=None,
)
for command in (run.run, run.score, sweep.sweep, frontier.frontier, merge.merge, judge.judge, build.build, build.clips,
                build.tiny, equate.equate, comparison.report, view.view, comparison.compare, rerun.rerun, probe.probe,
                audit.audit, train.train,
                watch.watch, doctor.doctor):  # fmt: skip
    app.command(epilog=shown(command.__name__))(command)
app.command(epilog=shown("probe-data"))(probe_data.probe_data)
app.command("import", epilog=shown("import"))(imports.import_command)
app.command(epilog=shown("explain-difference"))(imports.explain_difference)
for name, group in {
    "tasks": tasks,
    "protocols": protocols,
    "engines": engines,
    "data": data,
    "export": export,
    "gate": gate,
    "baseline": comparison,
}.items():
    app.add_typer(group.app, name=name, epilog=shown(name))


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit()


@app.command(hidden=True, context_settings={"ignore_unknown_options": True})
def bench(words: Annotated[list[str], typer.Argument(metavar="NAME")] = []) -> None:  # noqa: B006
    """Benchmarks run from a checkout: python -m tests.bench NAME."""
    command = shlex.join(["python", "-m", "tests.bench", *words])
    raise ViubenchError("the benchmarks are not part of the package", hint=f"in a checkout, run: {command}")


def main(commands: typer.Typer = app) -> None:
    """Run `commands`; a mistake or a fault ends in two or three lines, never in a traceback, and output that nobody
    takes changes nothing."""
    use_droppable()
    with ended_in_order():
        try:
            environment.check()
            for line in environment.unknown():
                warn(line)
            command = get_command(commands)
            sys.argv[1:] = typed(command, sys.argv[1:])
            command()
        except Exception as error:
            sys.exit(failed(error))
