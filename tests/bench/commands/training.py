"""`python -m tests.bench curriculum`: what a choice of the training brings, on the tiny model of `make train-demo`.

Example:
    python -m tests.bench curriculum --demo runs/train-demo --out runs/curriculum --steps 60
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def curriculum(
    demo: Annotated[Path, typer.Option(help="Folder of a demo: its items, frames and warm start are used.")],
    out: Annotated[Path, typer.Option(help="Folder of the trainings; resumed.")],
    seeds: Annotated[str, typer.Option(help="Seeds of the trainings, with commas between.")] = "0,1,2",
    steps: Annotated[int, typer.Option(min=10, help="Steps of GRPO of each.")] = 60,
    json: Annotated[Path | None, typer.Option(help="Write the rows there, as JSON.")] = None,
) -> None:
    """Train with and without a curriculum from one warm start, and compare the answers to test items."""
    from tests.bench import curriculum, machine

    found = curriculum.measure(demo, out, [int(seed) for seed in seeds.split(",")], steps)
    print(printed := curriculum.table(found))
    machine.write(json, found.rows, printed, differences=found.differences)
