"""An example for the help of each command and group of commands.

Example:
    command = app.command(epilog=shown("merge"))(merge)
"""

from __future__ import annotations

EXAMPLES = {
    "run": "viubench run --model Qwen/Qwen3-VL-8B-Instruct --tasks viubench --videos my_clips --out runs/qwen3-vl-8b",
    "score": "viubench score --tasks items --responses answers.jsonl --out runs/mine",
    "sweep": "viubench sweep --over frames=8,16,32 --engine oracle --tasks items --out sweeps/frames",
    "frontier": "viubench frontier --model Qwen/Qwen3-VL-8B-Instruct --videos my_clips --out frontiers/qwen3-vl-8b",
    "merge": "viubench merge runs/shard-1 runs/shard-2 --out runs/whole",
    "judge": "viubench judge runs/mine --judge Qwen/Qwen3-8B",
    "build": "viubench build --recipe viubench --videos my_clips --out items",
    "equate": "viubench equate items/november items/december --run runs/m-november --run runs/m-december",
    "probe-data": "viubench probe-data --model runs/train/checkpoint-000468 --items items/train --out runs/probe",
    "clips": "viubench clips --out my_clips --n 8 --seconds 8",
    "tiny": "viubench tiny --out models/tiny",
    "report": "viubench report runs/* --out leaderboard.html",
    "view": "viubench view runs",
    "compare": "viubench compare runs/base runs/trained --html compare.html",
    "rerun": "viubench rerun runs/mine --out runs/mine-again",
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
    "tasks list": "viubench tasks list --json",
    "tasks show": "viubench tasks show videomme",
    "tasks new": "viubench tasks new questions.csv --out my_task.yaml",
    "tasks validate": "viubench tasks validate my_task.yaml --data-root data",
    "protocols list": "viubench protocols list",
    "protocols show": "viubench protocols show qwen3-vl-instruct --max-tokens 2048",
    "engines list": "viubench engines list",
    "engines show": "viubench engines show vllm",
    "data fetch": "viubench data fetch tempcompass --data-root data",
    "data verify": "viubench data verify tempcompass --data-root data --deep",
    "export lmms-eval": "viubench export lmms-eval --tasks viubench --videos my_clips --out for_lmms",
    "export verl": "viubench export verl --config my_config.yaml --items items/train --out for_verl",
    "export hub": "viubench export hub runs/mine --out card",
    "export every-eval-ever": "viubench export every-eval-ever runs/mine --out eee --organization my-lab",
    "export lmms-samples": "viubench export lmms-samples runs/mine --out logs",
    "export inspect": "viubench export inspect runs/mine --out logs",
    "gate plan": "viubench gate plan --floor videomme=0.62 --score 0.64 --questions 900",
    "baseline save": "viubench baseline save runs/base --name main",
    "baseline show": "viubench baseline show main",
}


def shown(command: str) -> str:
    """The example as the end of a help page, on a line of its own."""
    return f"\b\nExample:\n  {EXAMPLES[command]}"
