"""`python -m tests.bench NAME`, from a checkout. Each benchmark prints a table and can write it as JSON.

Example:
    python -m tests.bench peers --videos clips --json peers.json
"""

from __future__ import annotations

import typer

from tests.bench import parity, reading
from tests.bench.commands.costs import (
    build,
    decode,
    document,
    hour,
    imports,
    pack,
    page,
    records,
    scale,
    startup,
    view,
)
from tests.bench.commands.damage import damage
from tests.bench.commands.engines import families, feed, order, peers, pipeline
from tests.bench.commands.faults import faults
from tests.bench.commands.statistics import floors, stats
from tests.bench.commands.thresholds import thresholds
from tests.bench.commands.training import curriculum
from viubench.cli import main

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Measure speed, memory, statistics, parity and faults of viubench.",
)

for command in (
    stats,
    floors,
    thresholds,
    peers,
    pipeline,
    feed,
    order,
    decode,
    hour,
    pack,
    build,
    records,
    scale,
    page,
    startup,
    view,
    damage,
    imports,
    document,
    faults,
    families,
    curriculum,
    parity.parity,
    reading.reading,
    reading.generated,
    reading.sizes,
):
    app.command()(command)

if __name__ == "__main__":
    main(app)
