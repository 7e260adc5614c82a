"""`viubench probe`: a run's questions again with some of the evidence taken away, beside its own scores."""

from __future__ import annotations

import os
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from viubench.cli import files
from viubench.cli.run import Probe
from viubench.errors import Exit, ViubenchError

if TYPE_CHECKING:
    from viubench.comparison.pair import Side
    from viubench.schema.probes import ProbeReport


def probe(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run; its probes are run into RUN/probes.")],
    probe: Probe = [],  # noqa: B006
    json: Annotated[Path | None, typer.Option(help="Write everything there as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Ask a run's questions again without some of the evidence, and show which tasks do not need it.

    The command in its manifest is repeated with each --probe (repeatable); those that are there are not asked again.
    """
    from reports.html.escape import clean
    from viubench.comparison.pair import Side
    from viubench.comparison.probes import FOLDER, probe_report, probes_in
    from viubench.schema import PROBES

    files.check({"--json": json})
    if unknown := [name for name in probe if name not in PROBES]:
        raise ViubenchError(f"no such probe: {unknown[0]}", where="--probe", hint=f"known: {', '.join(PROBES)}")
    real = Side.read(run)
    failed = {name: error for name in dict.fromkeys(probe) if (error := _run(real, name, quiet))}
    if len(failed) == len(set(probe)) > 0:
        raise next(iter(failed.values()))
    there = probes_in(run)
    if not there:
        hint = f"name some: viubench probe {run} --probe blind --probe single-frame"
        raise ViubenchError(f"{run / FOLDER} holds no finished probe", where=str(run), hint=hint)
    report = probe_report(real, there)
    print(clean(text(report)))
    for name, error in failed.items():
        print(clean(f"{name} was not run: {error.message}"))
    if json is not None:
        files.write(json, report.model_dump_json(by_alias=True, indent=1) + "\n", "--json", parents=True)
    raise typer.Exit(Exit.INVALID_RUN if failed else Exit.OK)


def _run(real: Side, name: str, quiet: bool) -> ViubenchError | None:
    """Repeat a run's command under a probe, into its folder; what it cannot do is told."""
    from viubench.cli.rerun import Command
    from viubench.comparison.probes import FOLDER

    out = (real.path / FOLDER / name).resolve()
    command = Command.of(real.manifest, real.path)
    if command.name != "run":
        return ViubenchError(f"{real.path} was made by viubench {command.name}, which asks no model")
    out.mkdir(parents=True, exist_ok=True)
    if (real.path / "items").is_dir():  # they need not be built again
        with suppress(OSError):
            os.symlink(os.path.relpath(real.path.resolve() / "items", out), out / "items")
    given = {"probe": [name], "out": command.relative(out), "fresh": False, "quiet": quiet}
    try:
        with redirect_stdout(StringIO()):  # the table of each is part of one table
            command.repeat(given)
    except ViubenchError as error:
        return error
    return None


def text(report: ProbeReport) -> str:
    """The table of a terminal, in percent, and the tasks that need no video by name."""
    from reports.html.format import percent, points, points_interval
    from reports.tables.terminal import table
    from viubench.schema.probes import MEANING

    rows = [
        [
            row.task,
            row.probe,
            percent(row.real),
            percent(row.probed),
            f"{points(row.difference)} ({points_interval(row.ci)})",
            "" if row.floor is None else percent(row.floor),
            row.verdict,
        ]
        for row in report.rows
    ]
    headers = [
        "task",
        "probe",
        "score",
        "under\nthe probe",
        "difference,\n95 % interval",
        "chance\nor blind",
        "verdict",
    ]
    lines = [f"{report.model}: percent; differences are paired and clustered by source video", table(rows, headers)]
    lines += [
        f"{task} does not need the evidence that is taken away: {', '.join(by)}" for task, by in report.solved.items()
    ]
    lines += [f"{word}: {MEANING[word]}" for word in dict.fromkeys(row.verdict for row in report.rows)]
    lines += [f"left out: {task}, {why}" for tasks in report.left_out.values() for task, why in tasks.items()]
    return "\n".join(lines)
