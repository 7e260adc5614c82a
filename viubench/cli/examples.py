"""An example for the help of each command.

Example:
    command = app.command(epilog=shown("merge"))(merge)
"""

from __future__ import annotations

EXAMPLES = {
    "run": "viubench run --model Qwen/Qwen3-VL-8B-Instruct --tasks viubench --videos my_clips --out runs/qwen3-vl-8b",
    "score": "viubench score --tasks items --responses answers.jsonl --out runs/mine",
    "sweep": "viubench sweep --over frames=8,16,32 --engine oracle --tasks items --out sweeps/frames",
    "merge": "viubench merge runs/shard-1 runs/shard-2 --out runs/whole",
    "judge": "viubench judge runs/mine --judge Qwen/Qwen3-8B",
    "build": "viubench build --recipe viubench --videos my_clips --out items",
    "clips": "viubench clips --out my_clips --n 8 --seconds 8",
    "tiny": "viubench tiny --out models/tiny",
    "report": "viubench report runs/* --out leaderboard.html",
    "compare": "viubench compare runs/base runs/trained --html compare.html",
    "rerun": "viubench rerun runs/mine --out runs/mine-again",
    "probe": "viubench probe runs/mine --probe blind --probe single-frame",
    "train": "viubench train --config my_config.yaml --items items/train --validation items/held-out --out runs/train",
    "watch": "viubench watch runs/train --tasks items/test --gate runs/base",
    "doctor": "viubench doctor --thorough",
    "import": "viubench import samples.jsonl --task videomme --out runs/theirs",
    "explain-difference": "viubench explain-difference runs/theirs",
    "tasks": "viubench tasks show videomme",
    "protocols": "viubench protocols show qwen3-vl-instruct --max-tokens 2048",
    "engines": "viubench engines show server",
    "data": "viubench data fetch tempcompass --data-root data",
    "export": "viubench export hub runs/mine --out card",
    "gate": "viubench gate --baseline runs/base --candidate runs/trained",
    "baseline": "viubench baseline save runs/base --name main",
}


def shown(command: str) -> str:
    """The example as the end of a help page, on a line of its own."""
    return f"\b\nExample:\n  {EXAMPLES[command]}"
