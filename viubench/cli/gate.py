"""`viubench gate`: two run folders to a verdict per task and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable that names the file a GitHub workflow step shows as its summary."""


def register(app: typer.Typer) -> None:
    app.command("gate")(gate)


def gate(
    baseline: Annotated[Path, typer.Option(help="Run folder of the model to be at least as good as.")],
    candidate: Annotated[Path, typer.Option(help="Run folder of the model to judge.")],
    config: Annotated[Path | None, typer.Option(help="gate.yaml: margins, alpha, informational tasks.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the whole report there, as JSON.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write a Markdown summary there.")] = None,
) -> None:
    """Say whether a model got worse: exit 0 no, 1 yes, 3 these items cannot tell, 4 the runs cannot be compared."""
    from reports.gate import line, markdown, text
    from viubench import strict_yaml
    from viubench.gate import gate as judge
    from viubench.schema import GateConfig

    report = judge(baseline, candidate, strict_yaml.load(config, GateConfig) if config else None)
    print(text(report))
    if out is not None:
        _write(out, report.model_dump_json(by_alias=True, indent=1) + "\n", "--out")
    if summary is not None:
        _write(summary, markdown(report), "--summary")
    if step := os.environ.get(STEP_SUMMARY):
        _write(Path(step), markdown(report), STEP_SUMMARY, append=True)
    faults = report.problems + [
        found.reason for found in report.tasks.values() if found.verdict == "error" and not found.informational
    ]
    for fault in faults:
        print(f"viubench: not comparable: {line(fault)}", file=sys.stderr)
    raise typer.Exit(report.exit_code)


def _write(path: Path, content: str, where: str, *, append: bool = False) -> None:
    """The whole file or nothing; a workflow's summary is added to, other steps write there too."""
    from viubench import atomic
    from viubench.errors import ViubenchError

    try:
        if append:
            with path.open("a", encoding="utf-8") as file:
                file.write(content)
        else:
            atomic.write(path, content.encode(), lasting=True)
    except OSError as error:
        raise ViubenchError(f"cannot write {path}: {error.strerror}", where=where) from None
