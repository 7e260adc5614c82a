"""`python -m trainer.demo --out runs/train-demo --seed 0`, which is `make train-demo`."""

from __future__ import annotations

import sys

import typer

from trainer.demo.pipeline import main
from viubench.errors import ViubenchError

if __name__ == "__main__":
    try:
        typer.run(main)
    except ViubenchError as error:
        hint = f"\n  try: {error.hint}" if error.hint else ""
        sys.exit(f"train-demo: {error.message}{hint}")
