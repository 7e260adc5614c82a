"""A training by verl, from pretext items to a Hugging Face folder: hand over, check, train, merge.

Example:
    >>> launch(questions, Path("runs/verl"), "/opt/verl/bin/python")
    PosixPath('runs/verl/checkpoint-000468')

    runs/verl/handed/              what `trainer.verl.export.export` writes, and overrides.txt
    runs/verl/verl/                verl's own checkpoints; the same command goes on from the last of them
    runs/verl/checkpoint-000468/   the finished model, which `viubench run --model` opens

verl is run as its users run it, `python -m verl.trainer.main_ppo`, by an interpreter of its own environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.verl import export, preflight
from trainer.verl.overrides import differences, overrides, refuse
from viubench.engines.checkpoints import describe_checkpoint
from viubench.errors import ViubenchError
from viubench.storage import atomic
from viubench.system.doctor import Check

PYTHON = "VIUBENCH_VERL_PYTHON"
"""Environment variable that names the interpreter of verl's environment."""

LATEST = "latest_checkpointed_iteration.txt"

Say = Callable[[str], None]


def launch(
    questions: Questions,
    out: Path,
    python: str,
    *,
    gpus: int = 8,
    nodes: int = 1,
    max_prompt: int = export.MAX_PROMPT,
    picture: export.Picture = "png",
    workers: int = 1,
    say: Say = print,
    progress: export.Progress = lambda done, total: None,
) -> Path:
    """Train on `questions` with verl; returns the finished checkpoint. A training that was cut off goes on.

    Args:
        questions: read with `multiple=trainer.verl.export.MULTIPLE`.
        python: the interpreter of verl's environment.
        gpus: per node; on several nodes a ray cluster must be up.
        say: told each stage, and what verl does otherwise than our own loop.

    Raises:
        ViubenchError: the configuration is not one for verl, something is missing, `out` holds another training, or
            verl failed.
    """
    config = questions.config
    out = out.resolve()
    finished = out / f"checkpoint-{config.steps:06d}"
    refuse(config, gpus * nodes)
    _claim(out, questions)
    if finished.is_dir():
        say(f"finished before: {finished}")
        return finished
    require(preflight.checks(python, config, out, gpus=gpus, nodes=nodes), python)
    written = export.export(
        questions, out / "handed", max_prompt=max_prompt, picture=picture, workers=workers, progress=progress
    )
    lines = overrides(config, written, out / "verl", gpus=gpus, nodes=nodes)
    write_overrides(out / "handed", lines)
    for line in differences(config):
        say(f"note: {line}")
    say(f"verl trains {config.steps} steps on {written.rows} questions")
    run(training(python, lines), out)
    return merge(python, config, out, say)


def training(python: str, lines: Sequence[str]) -> list[str]:
    """The command of a training with these overrides."""
    return [python, "-m", "verl.trainer.main_ppo", *lines]


def merging(python: str, checkpoint: Path, target: Path) -> list[str]:
    """The command that makes a Hugging Face folder of one of verl's checkpoints (`global_step_N`)."""
    actor = checkpoint / "actor"
    merger = ["verl.model_merger", "merge", "--backend", "fsdp"]
    return [python, "-m", *merger, "--local_dir", str(actor), "--target_dir", str(target)]


def merge(python: str, config: TrainConfig, out: Path, say: Say = print) -> Path:
    """`out/checkpoint-N` from verl's last checkpoint in `out/verl`; it appears whole or not at all.

    Raises:
        ViubenchError: verl left no checkpoint, stopped before the last step (it is known to end well without having
            trained), or its merger failed.
    """
    latest = out / "verl" / LATEST
    step = int(latest.read_text()) if latest.is_file() else 0
    if step != config.steps:
        raise ViubenchError(
            f"verl ended after step {step} of {config.steps}, without saying why",
            where=str(out / "verl"),
            hint="the same command goes on from there; verl's own messages are above",
        )
    finished = out / f"checkpoint-{step:06d}"
    aside = out / f".{finished.name}{atomic.ASIDE}"
    shutil.rmtree(aside, ignore_errors=True)
    say("merging verl's shards into one checkpoint")
    run(merging(python, out / "verl" / f"global_step_{step}", aside), out)
    describe_checkpoint(str(aside))  # complete, or it says what is missing
    aside.rename(finished)
    return finished


def run(command: Sequence[str], folder: Path) -> None:
    """Run one of verl's commands in `folder`, its output on ours; ViubenchError when it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"TENSORBOARD_DIR": str(folder / "tensorboard"), "HYDRA_FULL_ERROR": "1"} | os.environ
    done = subprocess.run(list(command), cwd=folder, env=environment, check=False)
    if done.returncode:
        raise ViubenchError(
            f"{command[2]} ended with code {done.returncode}",
            where=str(folder),
            hint="its own messages are above; when they are mended, the same command goes on",
        )


def require(checks: Sequence[Check], python: str) -> None:
    """Raises ViubenchError with every check that failed, each with what to do about it."""
    faults = [check for check in checks if check.ok is False]
    if faults:
        lines = [f"{check.name}: {check.detail}" + (f" -> {check.hint}" if check.hint else "") for check in faults]
        raise ViubenchError("verl cannot train here\n  " + "\n  ".join(lines), where=python)


def write_overrides(folder: Path, lines: Sequence[str]) -> Path:
    """`folder/overrides.txt`, one override a line, as xargs reads them."""
    atomic.write(folder / "overrides.txt", "".join(line + "\n" for line in lines).encode())
    return folder / "overrides.txt"


def _claim(out: Path, questions: Questions) -> None:
    """Note whose training `out` is; ViubenchError when it is another's, which verl would go on with unasked."""
    mine = {"config": questions.config.hash(), "items": questions.hash(), "model": questions.config.model}
    note = out / "verl-training.json"
    if note.is_file() and (theirs := json.loads(note.read_bytes())) != mine:
        odd = next(key for key in mine if theirs.get(key) != mine[key])
        raise ViubenchError(
            f"the folder holds a training with another {odd}", where=str(out), hint="name another --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    atomic.write(note, json.dumps(mine).encode())
