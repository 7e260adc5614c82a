"""`python -m tests.bench damage`: which damage of video files is told, and what hides the rest.

Example:
    python -m tests.bench damage --files 700 --seed 0
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.errors import Exit


def damage(
    files: Annotated[int, typer.Option(min=1, help="Damaged files, about.")] = 700,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds, equal files.")] = 0,
    frames: Annotated[int, typer.Option(min=3, help="Frames read of each.")] = 24,
    videos: Annotated[Path | None, typer.Option(help="Folder of sound videos, damaged as well; only read.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Reading processes.")] = 2,
    json: Annotated[Path | None, typer.Option(help="Write the table, and the files shown wrong, there.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Damage videos in many codecs and containers and read them: exit 1 for a crash, a hang, or wrong frames shown that
    a check would have told."""
    from collections import Counter
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    from tests.bench import damage, machine
    from tests.bench.damage.trial import prices
    from viubench.cli.progress import bar

    with TemporaryDirectory(prefix="viubench-bench-") as scratch, bar("reading", quiet=quiet) as progress:
        found = damage.sources(Path(scratch), videos)
        rows = damage.measure(found, files, seed, frames, workers, progress)
        costs = prices(found)
    outcomes = Counter(row.outcome for row in rows)
    kept = damage.kept_wrong(rows)
    printed = "\n".join((
        damage.table(rows, costs),
        ", ".join(f"{outcome} {count}" for outcome, count in outcomes.most_common()),
        f"at most {max(row.seconds for row in rows):.1f} s and {max(row.peak_mb for row in rows):.0f} MB a file",
        *(f"wrong, and could be told: {row.kind}, {row.mutation}, seed {row.seed}" for row in kept),
    ))  # fmt: skip
    print(printed)
    hidden = [row for row in rows if row.outcome == "ok" and row.wrong]
    machine.write(json, hidden, printed, prices=[asdict(cost) for cost in costs], outcomes=outcomes)
    if kept or outcomes["crashed"] or outcomes["timeout"]:
        raise typer.Exit(Exit.NEGATIVE)
