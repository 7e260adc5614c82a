"""`viubench bench`: what viubench claims of itself, measured. Each command prints a table and can write it as JSON.

Example:
    viubench bench peers --videos clips --json peers.json
"""

from __future__ import annotations

import typer

from viubench.cli.bench.costs import build, decode, document, page, records, startup
from viubench.cli.bench.engines import order, peers, pipeline
from viubench.cli.bench.statistics import stats

app = typer.Typer(no_args_is_help=True, help="Measure what viubench claims of itself.")

for command in (stats, peers, pipeline, order, decode, build, records, page, startup, document):
    app.command()(command)
